"""[source.expect], [[rule]] and [[approval]]: what both ends, and plans, are held to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scimsync.config import contracts
from scimsync.config.approvals import Approval
from scimsync.config.faults import Faults
from scimsync.config.mapping import span
from scimsync.model.approvals import ApprovalRule
from scimsync.model.contracts import Contract, Expect, Newest, Rule
from scimsync.model.decisions import spelled
from scimsync.model.policy import Limit

#: fewer people than this are no share of anything
_FLOOR = 3
#: what of `sql`, `where` and `count` a rule may have
_WAYS = ((True, False, False), (False, True, True))


def contract(expect: contracts.Expect | None, rules: Sequence[contracts.Rule], told: Faults) -> Contract:
    """What both ends are held to.

    Args:
        expect: What is written of the source.
        rules: What is written of the directory.
        told: Takes what is wrong.
    """
    return Contract(expect=_expect(expect, told) if expect else Expect(), rules=_rules(rules, told))


def approvals(given: Sequence[Approval], told: Faults) -> tuple[ApprovalRule, ...]:
    """Which plans need approvals.

    Args:
        given: What is written.
        told: Takes what is wrong.
    """
    found: list[ApprovalRule] = []
    for number, one in enumerate(given, 1):
        where = f"[[approval]] {number}"
        if one.name and one.name in {other.name for other in found}:
            told.tell(("approval", number - 1, "name"), f"{where} name = {one.name!r}: two rules have the same")
        if not (one.more_than or one.groups or one.override or one.every):
            said = f"{where} says of no plan that it needs approvals: add more_than, groups, override or every"
            told.tell(("approval", number - 1), said)
        if one.by and len({spelled(name) for name in one.by}) < one.needs:
            said = f"{where} needs = {one.needs}: by names fewer people, so nothing could ever be approved"
            told.tell(("approval", number - 1, "needs"), said)
        found.append(
            ApprovalRule(
                name=one.name,
                more_than={str(kind): number for kind, number in one.more_than.items()},
                groups=tuple(one.groups),
                override=one.override,
                every=one.every,
                needs=one.needs,
                by=tuple(one.by),
                valid=span(one.valid),
                settled=span(one.settled),
            )
        )
    return tuple(found)


def _expect(given: contracts.Expect, told: Faults) -> Expect:
    least, most = _bounds(given.rows)
    if least is not None and most is not None and least > most:
        told.tell(
            ("source", "expect", "rows"), f"[source.expect] rows = {given.rows!r}: the second number is the smaller"
        )
    newest = given.newest
    return Expect(
        least=least,
        most=most,
        churn=None if given.churn is None else _limit(given.churn),
        blanks={column: float(share.strip(" \t%")) / 100 for column, share in given.blanks.items()},
        shares={column: _limit(limit) for column, limit in given.shares.items()},
        newest=Newest(column=newest.column, within=span(newest.within)) if newest else None,
    )


def _rules(given: Sequence[contracts.Rule], told: Faults) -> tuple[Rule, ...]:
    found: list[Rule] = []
    for number, one in enumerate(given, 1):
        where = f"[[rule]] {number}"
        if one.name and one.name in {other.name for other in found}:
            told.tell(("rule", number - 1, "name"), f"{where} name = {one.name!r}: two rules have the same")
        least, most = _bounds(one.count)
        known = any(("rule", number - 1, key) in told.places for key in ("sql", "where", "count"))
        if (bool(one.sql), bool(one.where), bool(one.count)) not in _WAYS and not known:
            told.tell(("rule", number - 1, "sql"), f"{where} needs either sql, or where and count")
        found.append(
            Rule(
                name=one.name,
                message=one.message,
                sql=one.sql,
                where=one.where,
                least=least,
                most=most,
                refuses=one.severity == "error",
            )
        )
    return tuple(found)


def _bounds(written: str) -> tuple[int | None, int | None]:
    numbers = [int(number) for number in re.findall(r"[0-9]+", written)]
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    if not numbers:
        return None, None
    return (numbers[0], None) if ">" in written else (None, numbers[0])


def _limit(given: int | str) -> Limit:
    if isinstance(given, int):
        return Limit(count=given)
    return Limit(share=float(given.strip(" \t%")) / 100, floor=_FLOOR)
