"""What is said about a rule of the configuration that fails, or that nobody could check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scimsync.model.contracts import Rule
from scimsync.model.plans import RULE_FAILED, Finding, Severity

#: the code of rules that were not checked
UNCHECKED = "rule.unchecked"
#: people, and rows, whom one finding names
_NAMED, _ROWS = 10, 3


def failed(  # noqa: PLR0913 - it is told whole
    rule: Rule,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    number: int,
    causes: Mapping[str, Sequence[str]],
    *,
    before: bool,
    reason: str | None = None,
) -> Finding:
    """The finding about a rule that fails.

    Args:
        rule: The rule.
        columns: What its rows are made of.
        rows: The first of them.
        number: How many there are.
        causes: Kind of change -> the keys of whom it changes so; each is enough to make the rule fail.
        before: It fails without the plan as well.
        reason: Why a person set the rule aside; None where nobody did.
    """
    parts = [
        ", ".join(f"{name} {_said(value)}" for name, value in zip(columns, row, strict=True)) for row in rows[:_ROWS]
    ]
    if rule.where:
        parts[:] = [f"{part}, expected {_bar(rule)}" for part in parts]
    more = number - len(parts)
    parts += [f"and {more:,} more rows"] if more > 0 else []
    parts += ["it fails already as the directory is"] if before else []
    parts += [f"because of {kind}: {_people(keys)}" for kind, keys in causes.items()]
    look = "look at the changes that are named" if causes else "look at whom the rule counts"
    hint = f'{look}; if it is right so: --override {rule.code} --reason "..."'
    refuses = rule.refuses and reason is None
    return Finding(
        severity=Severity.ERROR if refuses else Severity.WARNING,
        code=RULE_FAILED,
        subject=rule.name,
        summary=f"rule {rule.name}: {rule.message}",
        detail="; ".join(parts),
        hint=hint if refuses else f"set aside: {reason}" if reason is not None else look,
    )


def unanswered(rule: Rule, why: str, reason: str | None = None) -> Finding:
    """The finding about a rule that could not be answered: it does not hold, as far as anybody knows."""
    found = failed(rule, (), (), 0, {}, before=False, reason=reason)
    return _with(found, why)


def _with(found: Finding, detail: str) -> Finding:
    return Finding(
        severity=found.severity,
        code=found.code,
        subject=found.subject,
        summary=found.summary,
        detail=detail,
        hint=found.hint,
    )


def unchecked(rules: Sequence[Rule], why: str, *, partial: bool = False) -> Finding:
    """The finding about rules that were not checked.

    Args:
        rules: Those that were not.
        why: Why not.
        partial: The plan is for some people only, by somebody's wish.
    """
    return Finding(
        severity=Severity.INFO if partial else Severity.WARNING,
        code=UNCHECKED,
        subject="",
        summary="rules on the result were not checked",
        detail=f"{why}: {', '.join(rule.name for rule in rules)}",
        hint="a plan for everybody, that reads all they ask for, checks them",
    )


def _bar(rule: Rule) -> str:
    if rule.least is not None and rule.most is not None:
        return f"from {rule.least:,} to {rule.most:,}"
    return f"{rule.least:,} or more" if rule.least is not None else f"{rule.most:,} or fewer"


def _said(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _people(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED:,} more" if len(keys) > _NAMED else ""
    return f"{', '.join(keys[:_NAMED])}{more}"
