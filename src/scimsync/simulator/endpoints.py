"""What each SCIM endpoint of the simulated service does: users, groups, discovery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from scimsync.scim.messages import LIST_RESPONSE, entity_tag
from scimsync.scim.schema import Catalog
from scimsync.simulator.answers import Answer, Limit, Refused, refuse_beyond
from scimsync.simulator.directory import Directory
from scimsync.simulator.discovery import describe
from scimsync.simulator.drift import Step, refuse_drifted
from scimsync.simulator.entities import GROUPS, USERS, Actor, Entity
from scimsync.simulator.messages import Item, Request, document_of, names_version, operations_of
from scimsync.simulator.permissions import ANY_OF, GROUP, demand_any
from scimsync.simulator.platform import Platform
from scimsync.simulator.queries import Query, read_query, select_groups, select_users
from scimsync.simulator.routes import FAMILIES
from scimsync.simulator.tokens import Tokens, too_many


class Endpoints:
    """The endpoints of one organisation, by the kind of the request.

    Args:
        directory: The organisation.
        tokens: Who may ask.
        drift: How the published schemas departed from what they were.
    """

    def __init__(self, directory: Directory, tokens: Tokens, drift: list[Step]) -> None:
        self.directory = directory
        self.options = directory.options
        self.tokens = tokens
        self.drift = drift
        self.handlers: Mapping[str, Callable[[Request], Answer]] = {
            "token": lambda request: self.tokens.grant(request.headers, request.body),
            "list": self._list,
            "get": self._get,
            "post": self._post,
            "put": self._put,
            "patch": self._patch,
            "delete": self._delete,
            "group_list": self._group_list,
            "group_get": self._group_get,
            "group_put": self._group_put,
            "group_patch": self._group_patch,
            "schema": self._schema,
            **Platform(directory, tokens).handlers,
        }

    # -- users -------------------------------------------------------------------------------------

    def _list(self, request: Request) -> Answer:
        query = self._query(request, USERS)
        refused = {"documented": query.expensive, "always": query.costly}
        self._refuse_expensive(query, limited=refused.get(self.options.expensive_page_429, False))
        found = select_users(self.directory, query.filter, request.client)
        if self.options.divisions != "all":
            found = [number for number in found if self.directory.visible(self.directory.entity(number))]
        page = self._slice(found, query)
        if page and not self.directory.entity(page[-1]).active:
            refuse_beyond(self.options.inactive_wall, query.start - 1 + len(page))
        return self._page(len(found), query, self.directory.page(page, query.projection, query.key, request.client))

    def _query(self, request: Request, catalog: Catalog) -> Query:
        accept = self.options.group_active == "accept"
        query = read_query(request.query, catalog, self.options.unknown_attribute, group_active=accept)
        if query.sorted and self.options.sort == "error":
            raise Refused(400, "sorting is not supported", scim_type="invalidValue")
        return query

    def _refuse_expensive(self, query: Query, *, limited: bool) -> None:
        """Documented: more than 25 with secondary look-ups may answer 429."""
        if limited and query.count > 25:
            refused = too_many(1, 25, query.count)
            refused.limit = Limit("scim", "expensive.page.size", 25)
            raise refused

    def _slice(self, found: Sequence[Item], query: Query) -> Sequence[Item]:
        count = min(query.count, self.options.max_count or query.count)
        return found[query.start - 1 : query.start - 1 + count]

    def _page(self, total: int, query: Query, page: list[bytes]) -> Answer:
        head = (
            f'{{"schemas":["{LIST_RESPONSE}"],"totalResults":{total},"startIndex":{query.start},'
            f'"itemsPerPage":{len(page)},"Resources":['
        )
        return Answer(200, head.encode() + b",".join(page) + b"]}")

    def _user(self, request: Request) -> Entity:
        user = self.directory.user(request.id)
        if user is None or not self.directory.visible(user):
            raise Refused(404, "There is no user with this id.")
        return user

    def _get(self, request: Request) -> Answer:
        return self._one(self._user(request), request, group=False)

    def _one(self, entity: Entity, request: Request, *, group: bool, status: int = 200) -> Answer:
        headers = self._tag(str(entity.version))
        asked = request.headers.get(b"if-none-match")
        if request.method in {"GET", "HEAD"} and asked is not None and names_version(asked, entity.version):
            return Answer(304, headers=headers)
        query = self._query(request, GROUPS if group else USERS)
        text = self.directory.wire(entity, query.projection, query.key, request.client)
        return Answer(status, text, headers=headers)

    def _tag(self, version: str) -> dict[str, str]:
        tag = entity_tag(version)
        forms = {"quoted": tag, "weak": f"W/{tag}", "unquoted": version}
        form = forms.get(self.options.etag_form)
        return {} if form is None else {"ETag": form}

    def _actor(self, request: Request) -> Actor:
        allowed = self.tokens.permissions(request.client)
        return Actor(request.client, request.method, allowed, request.fails, request.correlation_id)

    def _admit_to_users(self, request: Request) -> Actor:
        """The role must hold one of the permissions that the spec names; each area is checked later."""
        actor = self._actor(request)
        demand_any(actor.permissions, ANY_OF[request.method])
        return actor

    def _body_of(self, request: Request) -> dict[str, object]:
        document = document_of(request, self.options.request_bytes)
        if self.drift and request.endpoint == "users":
            refuse_drifted(document, self.drift)
        return document

    def _post(self, request: Request) -> Answer:
        actor = self._admit_to_users(request)
        user = self.directory.create(self._body_of(request), actor)
        answer = self._one(user, request, group=False, status=int(self.options.create_status))
        answer.headers["Location"] = self.directory.url("User", user.id)
        return answer

    def _put(self, request: Request) -> Answer:
        actor = self._admit_to_users(request)
        user = self._user(request)
        body = self._body_of(request)
        self._guard(user, request)
        return self._one(self.directory.replace(user, body, actor), request, group=False)

    def _patch(self, request: Request) -> Answer:
        actor = self._admit_to_users(request)
        user = self._user(request)
        operations = operations_of(self._body_of(request))
        self._guard(user, request)
        return self._one(self.directory.patch(user, operations, actor), request, group=False)

    def _delete(self, request: Request) -> Answer:
        actor = self._admit_to_users(request)
        user = self._user(request)
        self._guard(user, request)
        self.directory.delete(user, actor)
        return Answer(int(self.options.delete_status))

    def _guard(self, entity: Entity, request: Request) -> None:
        """Refuse a write whose If-Match names another version; the documents disagree how (§4.1)."""
        asked = request.headers.get(b"if-match")
        strong = self.options.weak_if_match == "refuse"
        if asked is None or names_version(asked, entity.version, strong=strong):
            return
        text = f"The version does not match the current version [{entity.version}]."
        match self.options.version_conflict:
            case "409_scim":
                raise Refused(409, text, scim_type="")
            case "409_general_conflict":
                raise Refused(409, text)
            case "412":
                raise Refused(412, text)
        raise Refused(400, text, scim_type="invalidVers")

    # -- groups ------------------------------------------------------------------------------------

    def _group(self, request: Request) -> Entity:
        demand_any(self.tokens.permissions(request.client), [GROUP])  # there is no weaker read permission
        group = self.directory.group(request.id)
        if group is None:
            raise Refused(404, "There is no group with this id.")
        return group

    def _group_list(self, request: Request) -> Answer:
        demand_any(self.tokens.permissions(request.client), [GROUP])
        query = self._query(request, GROUPS)
        self._refuse_expensive(query, limited=self.options.expensive_group_page_429 and query.expensive)
        versioned = request.path.lower().startswith(FAMILIES[0])
        if self.options.v2_groups_filter_required and versioned and not query.filter:
            raise Refused(400, "filter is required")
        found = select_groups(self.directory, query.filter)
        texts = [self.directory.wire(g, query.projection, query.key) for g in self._slice(found, query)]
        return self._page(len(found), query, texts)

    def _group_get(self, request: Request) -> Answer:
        return self._one(self._group(request), request, group=True)

    def _group_put(self, request: Request) -> Answer:
        group = self._group(request)
        body = self._body_of(request)
        if not body.get("displayName"):
            raise Refused(400, "displayName is required", scim_type="invalidValue")
        self._guard(group, request)
        return self._one(self.directory.replace_group(group, body, self._actor(request)), request, group=True)

    def _group_patch(self, request: Request) -> Answer:
        group = self._group(request)
        operations = operations_of(self._body_of(request))
        self._guard(group, request)
        return self._one(self.directory.patch_group(group, operations, self._actor(request)), request, group=True)

    # -- discovery ---------------------------------------------------------------------------------

    def _schema(self, request: Request) -> Answer:
        base = f"{self.directory.base_url}{FAMILIES[0].rstrip('/')}"
        filtered = b"filter=" in request.query.lower()
        document = describe(request.endpoint, request.id, base, filtered=filtered, drift=self.drift)
        if request.endpoint != "serviceproviderconfig":
            return Answer(200, msgspec.json.encode(document))
        headers, asked = self._tag("1"), request.headers.get(b"if-none-match")
        if asked is not None and names_version(asked, 1):
            return Answer(304, headers=headers)
        return Answer(200, msgspec.json.encode(document), headers=headers)
