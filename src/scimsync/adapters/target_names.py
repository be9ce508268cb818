"""Names that exist outside SCIM, and the licences that follow from roles: the Platform API of Genesys Cloud."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from scimsync.adapters.target_http import Client
from scimsync.adapters.target_sweep import query_of
from scimsync.adapters.target_wire import Ask
from scimsync.scim.dialect import ROLE, Dialect

#: names that are asked for at a time
NAMES_PAGE = 100


class _Named(msgspec.Struct):
    name: str
    id: str | None = None


class _NamesPage(msgspec.Struct, rename={"pages": "pageCount"}):
    """A page of a listing of the Platform API."""

    entities: list[_Named]
    pages: int


_NAMES_PAGE = msgspec.json.Decoder(_NamesPage, strict=False)
_LICENCES = msgspec.json.Decoder(list[str])


class Names:
    """Asks for lists of names, and for what follows from them."""

    def __init__(self, client: Client, api_url: str, dialect: Dialect) -> None:
        self._client, self._api, self._dialect = client, api_url.rstrip("/"), dialect

    async def read(self, kind: str) -> Mapping[str, str] | None:
        """The names of a kind, each with its id ("" where it has none); None where the list is not shown to us."""
        listed = next((one for one in self._dialect.names if one.kind == kind), None)
        found: dict[str, str] = {}
        page = pages = 1
        while listed is not None and page <= pages:
            query = query_of({"pageNumber": str(page), "pageSize": str(NAMES_PAGE)})
            url = f"{self._api}{listed.url}?{query}"
            answer = await self._client.call(Ask(kind="names", method="GET", url=url, decode=_NAMES_PAGE.decode))
            if not isinstance(answer.value, _NamesPage):
                return None
            found |= {one.name: one.id or "" for one in answer.value.entities}
            page, pages = page + 1, answer.value.pages
        return None if listed is None else found

    async def licences(self, sets: Collection[frozenset[str]]) -> Mapping[frozenset[str], frozenset[str]] | None:
        """What follows from each set of roles, by their names; None where one of them cannot be told.

        The service takes ids of roles and needs no permission (documented); the ids come from the list of roles.
        """
        ids = await self.read(ROLE) if self._dialect.licences_url and sets else None
        if ids is None or not all(ids.get(role) for roles in sets for role in roles):
            return None
        found: dict[frozenset[str], frozenset[str]] = {}
        for roles in sets:
            body = msgspec.json.encode(sorted(ids[role] for role in roles))
            url = self._api + self._dialect.licences_url
            ask = Ask(kind="licences", method="POST", url=url, body=body, decode=_LICENCES.decode)
            answer = await self._client.call(ask)
            if not isinstance(answer.value, list):
                return None
            found[roles] = frozenset(answer.value)
        return found
