"""Deleted accounts of Genesys Cloud: the Platform API tells of them and brings them back; SCIM does neither."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote

import msgspec

from scimsync.adapters.target_http import Client
from scimsync.adapters.target_sweep import query_of
from scimsync.adapters.target_wire import OBJECT, Answer, Ask
from scimsync.model.accounts import DeletedAccount

#: people that are asked for at a time; up to 500 are told of, 100 is what others ask for (guessed)
PAGE = 100
_STATE = "deleted"
#: what is asked for of one person besides the plain attributes
_MORE = "skills,languages,employerInfo"
#: member of a person -> attribute of SCIM
_HELD = {
    "title": "title",
    "department": "department",
    "manager": "manager",
    "addresses": "phoneNumbers",
    "skills": "routingSkills",
    "languages": "routingLanguages",
}


class _Employer(msgspec.Struct):
    number: str | None = msgspec.field(name="employeeId", default=None)


class _Person(msgspec.Struct):
    """A `User` of the Platform API, as far as it is read here."""

    id: str
    name: str | None = None
    email: str | None = None
    username: str | None = None
    version: int = 0
    employer: _Employer | None = msgspec.field(name="employerInfo", default=None)

    def had(self, logins: Collection[str]) -> set[str]:
        """Which of these logins it had."""
        return {str(login).lower() for login in (self.email, self.username) if login} & set(logins)


class _People(msgspec.Struct, rename={"pages": "pageCount"}):
    entities: list[_Person]
    pages: int


_PEOPLE = msgspec.json.Decoder(_People, strict=False)


class DeletedAccounts:
    """Asks for deleted people below an address of the Platform API."""

    def __init__(self, client: Client, url: str) -> None:
        self._client, self._url = client, url

    async def find(self, logins: Collection[str]) -> dict[str, Sequence[DeletedAccount]] | None:
        """The deleted accounts that had one of these logins, by login in lower case; None where they are not shown.

        The list takes no filter on a login (documented), so all of it is read, and each hit once more by its id.
        """
        wanted = {login.lower() for login in logins}
        found: dict[str, list[_Person]] = {}
        page = pages = 1
        while page <= pages:
            query = query_of({"state": _STATE, "pageSize": str(PAGE), "pageNumber": str(page)})
            answer = await self._client.call(self._ask(f"{self._url}?{query}", _PEOPLE.decode))
            if not isinstance(answer.value, _People):
                return None
            for person in answer.value.entities:
                for login in person.had(wanted):
                    found.setdefault(login, []).append(person)
            page, pages = page + 1, answer.value.pages if wanted else 1
        return {login: [await self._whole(login, person) for person in people] for login, people in found.items()}

    async def restore(self, account: str, version: str) -> Answer:
        """Bring one back: the state is changed alone, under its version (documented)."""
        body = msgspec.json.encode({"state": "active", "version": int(version)})
        url = f"{self._url}/{quote(account, safe='')}"
        return await self._client.call(Ask(kind="restore", method="PATCH", url=url, body=body))

    async def _whole(self, login: str, person: _Person) -> DeletedAccount:
        """One account with what it holds; as the list shows it where it cannot be read."""
        query = query_of({"state": _STATE, "expand": _MORE})
        answer = await self._client.call(self._ask(f"{self._url}/{quote(person.id, safe='')}?{query}", OBJECT.decode))
        holds: tuple[str, ...] = ()
        if isinstance(answer.value, Mapping):
            holds = tuple(scim for name, scim in _HELD.items() if answer.value.get(name))
            person = msgspec.convert(answer.value, _Person, strict=False)
        number = (person.employer.number if person.employer else None) or ""
        return DeletedAccount(
            id=person.id,
            login=login,
            name=person.name or "",
            version=str(person.version or ""),
            number=number,
            holds=holds,
        )

    def _ask(self, url: str, decode: object) -> Ask:
        return Ask(kind="deleted", method="GET", url=url, decode=decode)  # type: ignore[arg-type]
