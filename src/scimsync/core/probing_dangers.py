"""What is dangerous about a provider, by what was found, and what scimsync will do about it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from scimsync.model.probing import Findings, Found


class Danger(Struct, frozen=True):
    """What may happen, and what scimsync does about it."""

    what: str
    cure: str

    def __str__(self) -> str:
        """In one sentence."""
        return f"{self.what}; {self.cure}"


def _paths(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else ""


#: entry -> what is dangerous about a value; None for nothing
_JUDGES: Mapping[str, Callable[[object], Danger | None]] = {
    "paging.first_index": lambda value: _on(
        value == 0, "whoever counts from 1 never sees the first account", "it counts pages from 0"
    ),
    "paging.stable": lambda value: _on(
        value is False,
        "people are listed twice or not at all between two pages",
        "it reads page after page, again where some are missing, and makes nobody new meanwhile of whom it is not sure",
    ),
    "reading.attributes": lambda value: _on(
        value is False, "a listing that names attributes fails or hides some", "it reads whole accounts"
    ),
    "filters.attributes": lambda value: _on(
        isinstance(value, list),
        "a filter on another attribute may answer with anybody, or fail",
        "it looks nobody up by them, and compares each answer with what was asked",
    ),
    "filters.case_exact": lambda value: _on(
        value is True,
        "a login in other capitals is not found, and would be made a second time",
        "it looks no login up by it, and compares those of the listing, in which capitals do not count",
    ),
    "versions.concurrency": lambda value: _on(
        value == "compare",
        "no version guards a write, so what somebody else writes at the same time may be undone",
        "it reads, compares, writes and reads back, and tells of the window",
    ),
    "patch.served": lambda value: _on(
        value is False,
        "a change is a PUT of the whole account, and what is not shown may get lost",
        "it sends all that it read with the change, and nothing where something could not be read",
    ),
    "patch.value_filters": lambda value: _on(
        value is False, "one element of a list cannot be addressed", "it writes the whole list as it was read"
    ),
    "patch.keeps_others": lambda value: _on(
        value is False,
        "a write to one element takes the others of the list away",
        "it writes such a change to one account alone, compares, and stops that kind of write where others were lost",
    ),
    "patch.operations": lambda value: _on(
        value == 1, "of several operations in one PATCH not all are carried out", "it sends one at a time"
    ),
    "create.answers": lambda value: _on(
        value == "nothing",
        "a creation does not say which account it made",
        "it looks the account up by its login, and makes none twice",
    ),
    "create.unique_logins": lambda value: _on(
        value is False,
        "a login can be given twice, so a creation that was lost on the way and is repeated makes a double",
        "it looks for the account before each creation, and holds the person where it cannot tell",
    ),
    "accounts.disabled": lambda value: {
        "hidden": Danger(
            "who was disabled is not listed any more, and looks like nobody",
            "it reads by its id whom it saw before, and makes none of them anew; whom it never saw it cannot know",
        ),
        "gone": Danger(
            "who was disabled is not found any more, and cannot be brought back under that id",
            "it takes that answer for done; a rehire gets a new account, or is held where the login is still taken",
        ),
    }.get(str(value)),
    "accounts.deleted": lambda value: {
        "kept": Danger("what is deleted stays, inactive", 'it refuses leavers = "delete"; take "disable"'),
        "refused": Danger("nothing can be deleted", 'it refuses leavers = "delete"; take "disable"'),
    }.get(str(value)),
    "accounts.immutable": lambda value: _on(
        bool(value), f"a later change of {_paths(value)} is refused or ignored", "it writes them at a creation alone"
    ),
    "accounts.hidden": lambda value: _on(
        bool(value), f"whether {_paths(value)} arrived cannot be seen", "it remembers what was sent, and sends it once"
    ),
    "accounts.unkept": lambda value: _on(
        bool(value),
        f"a write of {_paths(value)} is answered with a success and lost",
        "it does not write them, and says so; take them from [attributes]",
    ),
    "accounts.normalised": lambda value: _on(
        bool(value),
        f"{_paths(value)} read otherwise than they were written, which looks like a change on every run",
        "it takes the form that came back for what was sent",
    ),
    "accounts.booleans": lambda value: _on(
        value == "text", "active travels as text, and any text may count as true", "it reads and writes texts"
    ),
    "accounts.search_lag": lambda value: _on(
        bool(value), "a new account is not found at once, and looks as if it were missing", "it waits and looks again"
    ),
    "groups.members": lambda value: _on(
        value in {"capped", "hidden"},
        "a group does not show everybody in it, so who is in it cannot be seen",
        "it remembers whom it added, and removes nobody whom it neither sees nor remembers",
    ),
    "groups.add_twice": lambda value: {
        "doubled": Danger("a member that is added again is in the list twice", "it adds nobody who is shown in it"),
        "refused": Danger("a member that is added again is refused", "it adds nobody who is shown in it"),
    }.get(str(value)),
    "groups.remove": lambda value: {
        "value": Danger("a member is not removed by a filter", "it removes with path members and whom as value"),
        "list": Danger(
            "a member is removed only with the whole list, and whom somebody adds meanwhile may be taken out",
            "it reads the group and writes the list as it was, without that member",
        ),
    }.get(str(value)),
}


def _on(holds: bool, what: str, cure: str) -> Danger | None:  # noqa: FBT001 - reads as a table
    return Danger(what, cure) if holds else None


def danger(found: Found) -> Danger | None:
    """What is dangerous about one answer; None for nothing."""
    judge = _JUDGES.get(found.entry)
    return judge(found.value) if judge is not None else None


def dangers(findings: Findings) -> dict[str, Danger]:
    """What is dangerous, by entry."""
    judged = {entry: danger(found) for entry, found in findings.found.items()}
    return {entry: one for entry, one in judged.items() if one is not None}
