"""Who is refused, and whether that is about the person or about our client."""

from __future__ import annotations

import asyncio

import pytest

from scimsync.core.replies import forbidden
from scimsync.engine.denying import MOST_ALIKE, Denials
from scimsync.errors import TargetDenied
from scimsync.model.outcomes import Exchange, Outcome, Reply, Rights, Status
from scimsync.model.plans import Action, Change, Delta, Lifecycle, Reason, Sides, Verdict
from scimsync.model.policy import Authority
from scimsync.scim.messages import ErrorReport
from scimsync.testing import MemoryTarget

SKILL = "routing:skill:assign"
LACKS = ErrorReport(status=403, code="missing.any.permissions", detail=f"You need one of [{SKILL}]")


def change(key: str, *paths: str, account: str | None = "x") -> Change:
    deltas = tuple(
        Delta(
            path=path,
            sides=Sides(desired="b", current="a", base=None, known=False),
            verdict=Verdict.WRITE,
            reason=Reason.SOURCE_MOVED,
            authority=Authority.LOCAL_WINS,
        )
        for path in paths
    )
    return Change(
        key=key, name=key, account=account, version="1", action=Action.UPDATE, lifecycle=Lifecycle.MOVER, deltas=deltas,
        operations=(),
    )  # fmt: skip


def refused(error: ErrorReport, status: int = 403) -> Reply:
    return Reply(exchange=Exchange.ANSWERED, method="PATCH", status=status, error=error)


def play(denials: Denials, *refusals: tuple[Change, Reply | None]) -> list[TargetDenied | None]:
    async def scene() -> list[TargetDenied | None]:
        found = []
        for one, reply in refusals:
            status = Status.DONE if reply is None else Status.FAILED
            written = {delta.path: "b" for delta in one.deltas} if reply is None else {}
            if reply is not None:
                denials.refused(one.key, reply)
            found.append(await denials.judge(one, Outcome(key=one.key, status=status, written=written)))
        return found

    return asyncio.run(scene())


def denials(*held: str) -> Denials:
    return Denials(MemoryTarget(rights=Rights(granted={"Home": frozenset(held)}) if held else None))


def test_the_third_person_alike_ends_the_run_and_later_ones_say_nothing_more() -> None:
    people = [(change(f"E{n}", "title", "genesys:routingSkills"), refused(LACKS)) for n in range(MOST_ALIKE + 2)]
    found = play(denials(), *people)
    assert [error is not None for error in found] == [False, False, True, False, False]
    assert SKILL in str(found[2])


def test_what_was_written_for_somebody_is_no_missing_permission() -> None:
    good = (change("E0", "genesys:routingSkills"), None)
    bad = [(change(f"E{n}", "genesys:routingSkills"), refused(LACKS)) for n in range(1, 9)]
    assert play(denials(), good, *bad) == [None] * 9
    assert play(denials(), *bad[:2], good, *bad[2:]) == [None] * 9
    fresh = [(change(f"N{n}", "genesys:routingSkills", account=None), refused(LACKS)) for n in range(3)]
    assert play(denials(), good, *fresh)[-1] is not None  # to write an account is not to make one


def test_a_permission_that_the_target_says_we_have_is_about_the_people() -> None:
    bad = [(change(f"E{n}", "title"), refused(LACKS)) for n in range(5)]
    assert play(denials(SKILL), *bad) == [None] * 5
    assert play(denials("routing:*:*"), *bad) == [None] * 5
    assert play(denials("routing:skill:view"), *bad)[2] is not None


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (refused(LACKS), SKILL),
        (refused(ErrorReport(status=403, code="missing.division.permissions", detail=f"{SKILL} in Home")), ""),
        (refused(ErrorReport(status=403, detail="b:c:d and a:b:c and b:c:d")), "a:b:c, b:c:d"),
        (refused(ErrorReport(status=403, code="not.authorized")), "not.authorized"),
        (refused(ErrorReport(status=403)), "a permission that it does not name"),
        (Reply(exchange=Exchange.ANSWERED, method="PATCH", status=403), "a permission that it does not name"),
        (refused(ErrorReport(status=400, detail=SKILL), 400), ""),
    ],
)
def test_what_a_refusal_says_is_missing(reply: Reply, said: str) -> None:
    assert forbidden(reply) == said


def test_refusals_of_different_kinds_are_not_alike() -> None:
    kinds = [ErrorReport(status=403, detail=f"you need a:b:{word}") for word in ("c", "d", "e", "c", "d", "e")]
    assert play(denials(), *((change(f"E{n}", "title"), refused(kind)) for n, kind in enumerate(kinds))) == [None] * 6
