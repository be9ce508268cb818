"""[source.expect] and [[rule]]: what both ends are held to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scimsync.config import contracts
from scimsync.config.faults import Faults
from scimsync.config.mapping import span
from scimsync.model.contracts import Contract, Expect, Newest, Rule
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
