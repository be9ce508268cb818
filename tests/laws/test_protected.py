"""A protected person is never written, whatever the directory says: a law over random lies.

`SCIMSYNC_DAYS_TIMES=10 pytest tests/laws/test_protected.py` plays more of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.laws.lies import Firm, Liar, Lies
from tests.servers import account
from tests.soak import WHOLE, examples

from scimsync.model.policy import Leavers

#: each is nine protected people in as many roles; where more are played, each for two nights
EXAMPLES, NIGHTS = examples(100, 12), 2 if WHOLE else 1

LIES: dict[str, Any] = {
    "names": ["lower", "upper", "username"],
    "login": ["missing", "null", "empty", "upper", "spaces", "list"],
    "login_listed": [True],
    "ids": ["number"],
    "listed": ["alias", "unknown", "upper", "crossed"],
    "pages": ["overlap", "cap", "ignored", "zero"],
    "total": ["page", "none", "more", "less"],
    "empty": ["null"],
    "filters": ["ignored", "nobody", "other", "absent", "refused"],
    "answers": ["old", "nothing", "other", "wrong"],
    "versions": ["missing", "equal", "header"],
    "stolen": ["yes", "only"],
    "doubled": ["same", "renamed", "blank", "ahead"],
}
assert set(LIES) == {field.name for field in fields(Lies)}

#: What a protected person is to HR: nobody; a mover, also under another login; a leaver by word and by absence;
#: a joiner with the login, a mover who gets it, a leaver with the number, a member of one group and not of another.
ROLES = ("stranger", "mover", "renamed", "left", "gone", "joiner", "taker", "number", "member")
PROTECTED = frozenset(f"{role}@x.org" for role in ROLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One example: what the directory lies about, and how HR and policy speak of the protected people."""

    lies: Lies
    #: how HR spells their logins: as they are, in capitals, with spaces
    spelled: str
    #: they stand first in the directory
    first: bool
    #: they carry a number of HR, and are linked where HR has them
    marked: bool
    #: the others are linked already
    linked: bool
    leavers: Leavers


@st.composite
def some_lies(draw: st.DrawFn) -> Lies:
    """A few at a time: a directory that lies about everything is not believed in anything."""
    names = draw(st.lists(st.sampled_from(sorted(LIES)), max_size=4, unique=True))
    return Lies(**{name: draw(st.sampled_from(LIES[name])) for name in names})


examples = st.builds(
    Told,
    lies=some_lies(),
    spelled=st.sampled_from(["same", "upper", "spaces"]),
    first=st.booleans(),
    marked=st.booleans(),
    linked=st.booleans(),
    leavers=st.sampled_from([Leavers.DISABLE, Leavers.DELETE]),
)


def firm_of(folder: Path, told: Told) -> Firm:
    """Nine protected people, each in one role, and some whom nothing protects."""
    numbers = {role: str(70 + number) for number, role in enumerate(ROLES)}
    spelled = {"upper": str.upper, "spaces": lambda text: f" {text} "}.get(told.spelled, str)
    admins: list[dict[str, object]] = []
    for role, number in numbers.items():
        admin: dict[str, object] = {"userName": f"{role}@x.org", "displayName": "Root", "active": True, "title": "T"}
        admins.append(admin | ({"externalId": number} if told.marked and told.lies.stolen != "only" else {}))
    others = [account(number) for number in (1, 2, 3)]
    if told.lies.stolen:
        others += [account(f"s{number}", externalId=number) for number in numbers.values()]
    provider = Liar(told.lies, PROTECTED, *(admins + others if told.first else others + admins))
    ids = {str(user["userName"]): identity for identity, user in provider.users.items()}
    rows = [[str(n), f"p{n}@x.org", f"P{n}", "active", "Moved"] for n in (1, 2, 3)]
    links = {str(n): ids[f"p{n}@x.org"] for n in (1, 2, 3) if told.linked}
    for role, number in numbers.items():
        row = {"mover": "active", "left": "left", "joiner": "active", "member": "active"}.get(role)
        if row:
            rows.append([number, spelled(f"{role}@x.org"), "Root", row, "Chief"])
        if told.marked and role in {"mover", "renamed", "left", "gone", "member"}:
            links[number] = ids[f"{role}@x.org"]
    rows += [
        [numbers["renamed"], "new@x.org", "Root", "active", "Chief"],
        [numbers["number"], "n@x.org", "N", "left", "T"],
    ]
    rows[1][1] = spelled("taker@x.org")
    provider.put({"id": "g1", "displayName": "Team", "members": [{"value": ids["member@x.org"]}]}, provider.groups)
    provider.put({"id": "g2", "displayName": "Crew", "members": []}, provider.groups)
    pairs = [("1", "Team"), (numbers["member"], "Crew"), ("2", "Crew")]
    return Firm(folder, provider, rows, links, pairs, told.leavers, PROTECTED)


def broken(provider: Liar, ids: dict[str, str]) -> Iterator[str]:
    """What was done to protected people."""
    for method, kind, what in provider.writes:
        if kind == "Users" and method == "POST":
            login = str(what.get("userName")).strip().casefold()
            if login in PROTECTED:
                yield f"POST of a second {login}"
        elif kind == "Users" and what in ids:
            yield f"{method} of {ids[what]}"
    for identity, user in provider.users.items():
        if identity not in ids and str(user.get("userName")).strip().casefold() in PROTECTED:
            yield f"{identity} got the login {user['userName']}"
    held = {group["id"]: {member["value"] for member in group["members"]} for group in provider.groups.values()}
    if {one for one in held["g1"] | held["g2"] if one in ids} - {i for i, login in ids.items() if "member" in login}:
        yield "a protected person was put into a group"
    member = next(identity for identity, login in ids.items() if login == "member@x.org")
    if member not in held["g1"] or member in held["g2"]:
        yield "a protected person moved between groups"


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(examples)
def test_a_protected_person_is_never_written(told: Told) -> None:
    with tempfile.TemporaryDirectory() as folder:
        firm = firm_of(Path(folder), told)
        provider = firm.provider
        ids = {i: str(user["userName"]) for i, user in provider.users.items() if user["userName"] in PROTECTED}
        for _ in range(NIGHTS):
            assert firm.sync() != 1
        assert list(broken(provider, ids)) == []
