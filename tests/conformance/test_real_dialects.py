"""What the four real servers do, asked without scimsync: each shipped dialect says the same.

This is the table that `probe` is measured against. A new release that behaves otherwise fails here first, and names
the entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import httpx2
import pytest
from tests.providers import NAMES, Server, needs_providers, start

from scimsync.scim.dialect_entries import ENTRIES
from scimsync.scim.dialect_file import dialect_of
from scimsync.scim.messages import PATCH_OP
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER

pytestmark = needs_providers

BASE = {"name": {"givenName": "Ann", "familyName": "Ash", "formatted": "Ann Ash"}, "active": True}
#: what each account of the table has beyond `BASE`, where the server takes it
RICH: Mapping[str, object] = {
    "externalId": "e1",
    "displayName": "Annie",
    "title": "Boss",
    "emails": [{"type": "work", "value": "ann@x.org", "primary": True}, {"type": "home", "value": "ann@h.org"}],
    "phoneNumbers": [{"type": "work", "value": "+49 30 123"}],
    ENTERPRISE_USER: {"employeeNumber": "7", "department": "D"},
}
#: it refuses what it does not know, so types are left out
PLAIN: Mapping[str, object] = {**RICH, "emails": [{"value": "ann@x.org"}], "phoneNumbers": [{"value": "+49 30 123"}]}


class Table:
    """Asks a server, one question for each entry."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.rich = PLAIN if server.name == "canaille" else RICH
        self.ann = self.made("Ann@x.org", **self.rich)
        self.bob = self.made("bob@x.org", externalId="e2")
        # somebody without a name, where that is taken: scimmy fails then to filter by names
        server.ask("POST", "/Users", {"schemas": [CORE_USER], "userName": "bare@x.org"})
        made = server.ask("POST", "/Groups", {"schemas": [CORE_GROUP], "displayName": "Crew", "members": []})
        self.group = made.json()["id"]

    def post(self, login: str | None, **more: object) -> httpx2.Response:
        held = {"schemas": [CORE_USER, ENTERPRISE_USER], **BASE, **more}
        named = {name: value for name, value in {**held, "userName": login}.items() if value is not None}
        return self.server.ask("POST", "/Users", named)

    def made(self, login: str, **more: object) -> str:
        answer = self.post(login, **more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def user(self, identity: str = "") -> dict[str, object]:
        return dict(self.server.ask("GET", f"/Users/{identity or self.ann}").json())

    def patch(self, path: str, *operations: Mapping[str, object], **headers: str) -> httpx2.Response:
        return self.server.ask("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)}, **headers)

    def change(self, op: str, path: str | None, value: object = None) -> bool:
        """Whether an operation on Ann is taken and seen."""
        before = self.user()
        body = {"op": op, **({"path": path} if path else {}), **({"value": value} if value is not None else {})}
        answer = self.patch(f"/Users/{self.ann}", body)
        after = self.user()
        return answer.status_code < 300 and _bare(before) != _bare(after)

    def finds(self, expression: str) -> list[str]:
        """The ids that a filter finds; nobody, where it is refused."""
        answer = self.server.ask("GET", f"/Users?filter={quote(expression)}")
        return [user["id"] for user in answer.json().get("Resources") or []] if answer.status_code == 200 else []

    def members(self) -> list[str]:
        shown = self.server.ask("GET", f"/Groups/{self.group}").json().get("members") or []
        logins = {user["userName"]: user["id"] for user in self.server.listed()}
        return [logins.get(one["value"], one["value"]) for one in shown]

    def move(self, *operations: Mapping[str, object]) -> list[str]:
        """The members after some operations on the group."""
        self.patch(f"/Groups/{self.group}", *operations)
        return self.members()

    # --- the entries ------------------------------------------------------------------------------

    def filterable(self, among: Sequence[str]) -> list[str]:
        """Of some paths: those on which a filter finds Ann, and on another value nobody."""
        wanted = {"userName": "Ann@x.org", "externalId": "e1", "displayName": "Annie", "title": "Boss", "active": True}
        wanted |= {"name.familyName": "Ash", "name.givenName": "Ann"}
        return [
            path
            for path in among
            if self.ann in self.finds(f"{path} eq {json.dumps(wanted[path])}")
            and self.ann not in self.finds(f"{path} eq {'false' if path == 'active' else json.dumps('Zed')}")
        ]

    def reading(self) -> dict[str, object]:
        """What GET tells."""
        ask, served = self.server.ask, ("ResourceTypes", "Schemas", "ServiceProviderConfig")
        answer, shown = ask("GET", f"/Users/{self.ann}"), self.user().get("meta")
        tags = {"header": "etag" in answer.headers, "meta": isinstance(shown, dict) and "version" in shown}
        where = "both" if all(tags.values()) else next((name for name, told in tags.items() if told), "none")
        urn = ask("GET", f"/Users?attributes=userName,{ENTERPRISE_USER}:employeeNumber,meta.version")
        all_names = sorted(
            ("userName", "externalId", "displayName", "title", "active", "name.familyName", "name.givenName")
        )
        heeded = self.filterable(all_names)
        return {
            "service.media_type": answer.headers["content-type"].partition(";")[0],
            "discovery.served": [name for name in served if ask("GET", f"/{name}").status_code == 200],
            "paging.first_index": 1 if ask("GET", "/Users?startIndex=1").json()["Resources"] else 0,
            "reading.attributes": urn.status_code == 200,
            "filters.attributes": None if heeded == all_names else heeded,
            "filters.case_exact": bool(heeded) and self.ann not in self.finds('userName eq "ann@x.org"'),
            "versions.shown": where,
            "accounts.booleans": "json" if self.user()["active"] is True else "text",
        }

    def creating(self) -> dict[str, object]:
        """What POST takes and keeps."""
        needed = [
            path
            for path, body in {
                "userName": self.post(None),
                "active": self.post("one@x.org", active=None),
                "name.familyName": self.post("two@x.org", name={"givenName": "A", "formatted": "A B"}),
                "name.formatted": self.post("three@x.org", name={"givenName": "A", "familyName": "B"}),
            }.items()
            if body.status_code >= 300
        ]
        taken = self.post("Ann@x.org").status_code >= 300
        held, unkept = self.user(), []
        for path, value in {**self.rich, "name.formatted": "Ann Ash"}.items():
            shown = held.get("name", {}).get("formatted") if "." in path and path != ENTERPRISE_USER else held.get(path)
            if not shown or (path in {"displayName", "title"} and shown != value):
                unkept.append(path)
        return {"create.required": sorted(needed), "create.unique_logins": taken, "unkept": sorted(unkept)}

    def patching(self) -> dict[str, object]:
        """What PATCH takes; names are changed, which each server keeps."""
        self.ann = self.made("patched@x.org", **self.rich)
        old = self.server.ask("GET", f"/Users/{self.ann}").headers.get("etag", 'W/"no"')
        found: dict[str, object] = {
            "patch.op_case": "lower" if self.change("replace", "name.familyName", "A1") else "title"
        }
        stale = self.patch(
            f"/Users/{self.ann}", {"op": "replace", "path": "name.familyName", "value": "A2"}, **{"If-Match": old}
        )
        many = [{"op": "replace", "path": "name.familyName", "value": f"N{n}"} for n in range(60)]
        found["versions.guards"] = stale.status_code == 412
        found["patch.operations"] = 0 if self.patch(f"/Users/{self.ann}", *many).status_code < 300 else 1
        found["patch.served"] = self.change("replace", "externalId", "e9") or self.change("add", "title", "T2")
        found["patch.value_filters"] = self.change("replace", 'emails[type eq "work"].value', "w@x.org")
        kept = [one["value"] for one in self.user().get("emails") or []]  # type: ignore[attr-defined]
        found["patch.keeps_others"] = bool(found["patch.value_filters"]) and kept == ["w@x.org", "ann@h.org"]
        return found

    def leaving(self) -> dict[str, object]:
        """What becomes of accounts that are disabled, and of those that are deleted."""
        self.patch(f"/Users/{self.bob}", {"op": "replace", "path": "active", "value": False})
        listed = {user["id"]: user.get("active") for user in self.server.listed()}
        disabled = "shown" if listed.get(self.bob) is False else "hidden"
        gone = self.made("gone@x.org")
        status = self.server.ask("DELETE", f"/Users/{gone}").status_code
        there = self.server.ask("GET", f"/Users/{gone}").status_code
        deleted = "refused" if status >= 300 else "gone" if there == 404 else "kept"
        return {"accounts.disabled": disabled, "accounts.deleted": deleted}

    def grouping(self) -> dict[str, object]:
        """What groups do with members."""
        people = [user["id"] for user in self.server.listed()][-4:]
        joined = [{"op": "add", "path": "members", "value": [{"value": one} for one in people]}]
        shown = self.move(*joined)
        twice = self.move(*joined)
        by_filter = self.move({"op": "remove", "path": f'members[value eq "{people[0]}"]'})
        by_value = self.move({"op": "remove", "path": "members", "value": [{"value": people[1]}]})
        as_list = self.move({"op": "replace", "path": "members", "value": [{"value": people[2]}]})
        forms = {
            "filter": people[0] not in by_filter,
            "value": people[1] not in by_value,
            "list": as_list == people[2:3],
        }
        other = self.server.ask(
            "POST", "/Groups", {"schemas": [CORE_GROUP], "displayName": "Night", "members": []}
        ).json()["id"]
        before = self.members()
        nested = self.move({"op": "add", "path": "members", "value": [{"value": other}]})
        people_too = {user["id"] for user in self.server.listed()}
        return {
            "groups.members": "shown" if sorted(shown) == sorted(people) else "hidden",
            "groups.add_twice": "ignored" if len(twice) == len(shown) else "doubled",
            "groups.remove": next(form for form, works in forms.items() if works),
            "groups.nested": other in nested and other not in before and other not in people_too,
        }


def _bare(user: Mapping[str, object]) -> dict[str, object]:
    return {name: held for name, held in user.items() if name != "meta"}


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_dialect_says_what_the_server_does(name: str) -> None:
    with start(name) as server:
        table = Table(server)
        seen = {**table.reading(), **table.creating(), **table.patching(), **table.leaving(), **table.grouping()}
    dialect = dialect_of(name)
    entries = {entry.name: entry.written(getattr(dialect, entry.field)) for entry in ENTRIES}
    unkept = {path.partition(".")[0] if path.startswith("emails") else path for path in dialect.unkept}
    shown_not = {path.replace(ENTERPRISE_USER, "enterprise") for path in seen.pop("unkept")}  # type: ignore[attr-defined]
    guards = seen.pop("versions.guards")
    assert {path: seen[path] for path in seen} == {path: entries[path] for path in seen}
    assert shown_not <= {path.partition(":")[0] for path in unkept}
    # the versions of canaille are seconds, so that a change within the same second passes, and no other
    assert guards is (dialect.concurrency == "version") or name == "canaille"
