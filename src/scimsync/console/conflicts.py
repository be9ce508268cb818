"""What waits for a person to decide: three sides, decided for once, for the person, or for the attribute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from starlette.responses import Response

from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Right
from scimsync.console.runs import SIZE, Pager
from scimsync.errors import ConfigError, PlanStale, ScimsyncError
from scimsync.model.decisions import Decision, Scope, Wins
from scimsync.services import deciding
from scimsync.services.deciding import Conflict, Listed, Said
from scimsync.services.planning import Choices
from scimsync.services.working import Work

#: conflicts that are decided at once at the most
MOST = 5000


def _conflicts(asked: Asked) -> Response:
    given = {name: asked.query.get(name, "").strip() for name in ("key", "path", "all")}
    try:
        told: Listed | None = asked.console.inbox.listed(asked.store)
    except PlanStale:  # nothing was planned yet
        told = None
    shown = chosen(told, given["key"], given["path"], everything=bool(given["all"])) if told is not None else []
    number = max(1, asked.number("page", 1))
    pager = Pager("/conflicts", {k: v for k, v in given.items() if v}, number, SIZE, len(shown))
    return asked.page(
        "conflicts.html.j2",
        told=told,
        given=given,
        conflicts=shown[(number - 1) * SIZE : number * SIZE],
        pager=pager,
        paths=sorted({one.path for one in told.conflicts}) if told is not None else [],
        words=deciding.words,
        digest=deciding.shown(shown) if len(shown) <= MOST else "",
        most=MOST,
        decided=asked.query.get("decided", "") == "1",
    )


def chosen(told: Listed, word: str, path: str, *, everything: bool = False) -> list[Conflict]:
    """The conflicts that a filter leaves: a part of key or login, an attribute; else all that are open."""
    found, word = told.conflicts if everything else told.open, word.lower()
    return [
        one
        for one in found
        if (not path or one.path == path) and (not word or word in one.key.lower() or word in one.name.lower())
    ]


def _decide(asked: Asked) -> Response:
    _, work = decide(asked)
    return asked.go("/conflicts?decided=1" if work is None else f"/works/{work.id}")


def decide(asked: Asked) -> tuple[Sequence[Decision], Work | None]:
    """Decide those that a filter leaves, or one; whom it is about is planned for at once.

    Returns:
        What was decided, and the plan that is being made; None where somebody else is at work: the next plan obeys.
    """
    form = asked.form
    said = _said(asked)
    told = asked.console.inbox.listed(asked.store)
    if form.get("key") and form.get("one") == "yes":
        wanted = [one for one in told.open if (one.key, one.path) == (form["key"], form.get("path", ""))]
    else:
        wanted = chosen(told, form.get("key", "").strip(), form.get("path", ""))
        if len(wanted) > MOST:
            raise ConfigError(f"These are {len(wanted):,} at once; {MOST:,} are the most. Choose fewer.")
        if form.get("shown", "") != deciding.shown(wanted):
            raise PlanStale("There are others than were shown: nothing was decided. Load the page again, and look.")
    if not wanted:
        raise PlanStale("This does not wait any more: somebody else decided it, or the values are others by now.")
    made = deciding.decide(asked.settings, asked.store, wanted, said, asked.visitor.person)
    try:
        return made, asked.console.works.plan(asked.visitor.person, Choices(only=deciding.people(wanted)))
    except ScimsyncError:
        return made, None


def _said(asked: Asked) -> Said:
    form = asked.form
    try:
        return Said(
            wins=Wins(form.get("wins", "")),
            scope=Scope(form.get("scope", "once")),
            reason=form.get("reason", ""),
            until=date.fromisoformat(form["until"]) if form.get("until") else None,
            seen=form.get("seen", ""),
        )
    except ValueError as error:
        raise ConfigError("Say who wins, for what it holds, and (where it ends) a day like 2026-12-31.") from error


def _withdraw(asked: Asked) -> Response:
    deciding.withdraw(
        asked.settings, asked.store, asked.form.get("id", ""), asked.visitor.person, asked.form.get("reason", "")
    )
    return asked.go("/conflicts")


def _export(asked: Asked) -> Response:
    told = asked.console.inbox.listed(asked.store)
    text = "\n".join(deciding.exported(asked.settings, told.decisions)) + "\n"
    return asked.page("decisions.html.j2", text=text)


PAGES = (
    Page(path="/conflicts", handler=_conflicts, right=Right.VALUES),
    Page(path="/conflicts/export", handler=_export, right=Right.VALUES),
    Page(path="/conflicts/decide", handler=_decide, right=Right.WRITE, method="POST"),
    Page(path="/conflicts/withdraw", handler=_withdraw, right=Right.WRITE, method="POST"),
)
