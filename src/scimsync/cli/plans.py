"""plan verify, plan diff."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import replace

from scimsync.cli import render
from scimsync.cli.codes import HAS_CHANGES
from scimsync.cli.finding_text import finding_lines
from scimsync.cli.options import DEFAULT
from scimsync.cli.running import show, show_json
from scimsync.config import load
from scimsync.core import sealing
from scimsync.core.differing_plans import Altered, AlteredGroup, Difference, difference
from scimsync.errors import PlanError
from scimsync.model.plans import MAKING, Change, Delta, Finding, Member, Plan
from scimsync.services import planning, state, verifying

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def verify(config: Path, file: Path, public_key: str, *, as_json: bool) -> int:
    """Look at a plan file; exit code 4 where it would not be applied."""
    settings = load(config, secrets=False) if config.is_file() or config != DEFAULT else None
    looks = []
    for look in verifying.verify(file, settings, public_key):
        looks.append(look)
        if not as_json:
            show([f"{click.style(f'{look.mark:<4}', fg=_COLOURS[look.mark])}  {look.name:<13} {look.words}"])
    if as_json:
        show_json(
            [
                {"check": look.name, "result": look.mark, "detail": look.words}
                | ({} if look.people is None else {"people": list(look.people)})
                for look in looks
            ]
        )
    return PlanError.exit_code if any(look.mark == "fail" for look in looks) else 0


class Options(Struct, frozen=True, kw_only=True):
    """How a difference is shown."""

    everybody: bool = False
    as_json: bool = False
    detailed_exitcode: bool = False


def diff(config: Path, before: str, after: str, options: Options) -> int:
    """Compare two plans; returns the exit code."""
    first, second = _found(config, before, after)
    found = difference(first, second)
    if options.as_json:
        show_json(difference_document(first, second, found))
    else:
        show(difference_lines(first, second, found, everybody=options.everybody))
    return HAS_CHANGES if options.detailed_exitcode and not found.is_empty else 0


def _found(config: Path, *named: str) -> list[Plan]:
    """The plans that a person means; the state is opened where one is named by its run."""
    with ExitStack() as stack:
        store = None
        if not all(planning.is_file(name) for name in named):
            store = stack.enter_context(state.open_store(load(config, secrets=False)))
        return [
            planning.read_plan(Path(name))
            if store is None or planning.is_file(name)
            else planning.find_plan(store, name)[0]
            for name in named
        ]


def difference_lines(first: Plan, second: Plan, found: Difference, *, everybody: bool = False) -> Iterator[str]:
    """In what two plans differ, for people."""
    yield click.style(f"Plan {first.id} -> plan {second.id}", bold=True)
    if found.seal:
        yield f"  They rest on another {', another '.join(found.seal)}."
    if found.is_empty:
        yield "No difference: both would do and tell the same."
        return
    numbers = (
        (len(found.added), "added"),
        (len(found.gone), "gone"),
        (len(found.altered), "altered"),
    )
    yield "  Changes: " + ", ".join(f"{number:,} {word}" for number, word in numbers) + "."
    for title, changes in (
        ("changes of the second plan alone", found.added),
        ("changes of the first plan alone", found.gone),
    ):
        yield from _titled(title, (render.change_lines(change) for change in changes), everybody=everybody)
    yield from _titled("changes that are not the same", (_altered(one) for one in found.altered), everybody=everybody)
    yield from _titled("groups", _groups(found), everybody=everybody)
    yield from _titled("conflicts and kept edits", _notices(found), everybody=everybody)
    for title, findings in (
        ("told by the second plan alone", (*found.refusals_added, *found.findings_added)),
        ("told by the first plan alone", (*found.refusals_gone, *found.findings_gone)),
    ):
        if findings:
            yield from ("", click.style(title, bold=True))
            yield from [*finding_lines(findings, everybody=everybody, place=second.place)][2:]
    yield from _titled("numbers", ([f"  {name}  {old:,} -> {new:,}"] for name, (old, new) in found.tally.items()))


def _titled(title: str, blocks: Iterable[Iterable[str]], *, everybody: bool = True) -> Iterator[str]:
    """Blocks of lines below a title; nothing where there are none."""
    told = [*blocks]
    if not told:
        return
    yield from ("", click.style(title, bold=True))
    shown = told if everybody else told[: render.SHOWN]
    for block in shown:
        yield from block
    if len(shown) < len(told):
        yield click.style(f"    … and {len(told) - len(shown):,} more (--all shows them)", dim=True)


def _altered(one: Altered) -> Iterator[str]:
    yield from render.change_lines(replace(one.after, deltas=()))
    if one.before.action is not one.after.action:
        yield f"      {one.before.word} -> {one.after.word}"
    width = max((len(path) for path in one.deltas), default=0)
    for path, (old, new) in one.deltas.items():
        yield f"      {path:<{width}}  {_effect(one.before, old)}  =>  {_effect(one.after, new)}"


def _effect(change: Change, delta: Delta | None) -> str:
    if delta is None:
        return "(left alone)"
    return f"{render.delta_text(delta, new=change.action in MAKING)} ({delta.verdict.value})"


def _groups(found: Difference) -> Iterator[list[str]]:
    for mark, groups in (("+", found.groups_added), ("-", found.groups_gone)):
        for group in groups:
            told = f"+ {len(group.add):,}, - {len(group.remove):,} members"
            yield [f"  {mark} {render.value_text(group.name)}  {told}"]
    for one in found.groups_altered:
        (fewer, more), (stay, leave) = one.added, one.removed
        moved = (("no more joins", fewer), ("joins now", more), ("no more leaves", stay), ("leaves now", leave))
        yield [
            f"  ~ {render.value_text(one.after.name)}",
            *(f"      {word}: {', '.join(map(_member, members))}" for word, members in moved if members),
        ]


def _member(member: Member) -> str:
    return render.value_text(member.key or member.account)


def _notices(found: Difference) -> Iterator[list[str]]:
    for mark, notices in (("+", found.notices_added), ("-", found.notices_gone)):
        for notice in notices:
            yield [f"  {mark} {render.value_text(notice.key)}  {', '.join(delta.path for delta in notice.deltas)}"]
    for one in found.notices_altered:
        yield [f"  ~ {render.value_text(one.key)}  {', '.join(one.deltas)}"]


def difference_document(first: Plan, second: Plan, found: Difference) -> dict[str, object]:
    """In what two plans differ, as one JSON document."""
    return {
        "before": first.id,
        "after": second.id,
        "equal": found.is_empty,
        "people": list(found.people),
        "changes": _document(found.added, found.gone, found.altered),
        "groups": {
            "added": [sealing.group_to_json(group) for group in found.groups_added],
            "gone": [sealing.group_to_json(group) for group in found.groups_gone],
            "altered": [_sides(one) for one in found.groups_altered],
        },
        "notices": _document(found.notices_added, found.notices_gone, found.notices_altered),
        "findings": {"added": _told(found.findings_added), "gone": _told(found.findings_gone)},
        "refusals": {"added": _told(found.refusals_added), "gone": _told(found.refusals_gone)},
        "tally": _pairs(found.tally),
        "seal": _pairs(found.seal),
    }


def _document(added: Sequence[Change], gone: Sequence[Change], altered: Sequence[Altered]) -> dict[str, object]:
    return {
        "added": [sealing.change_to_json(change) for change in added],
        "gone": [sealing.change_to_json(change) for change in gone],
        "altered": [
            {
                "key": one.key,
                "paths": list(one.deltas),
                "before": sealing.change_to_json(one.before),
                "after": sealing.change_to_json(one.after),
            }
            for one in altered
        ],
    }


def _sides(one: AlteredGroup) -> dict[str, object]:
    before, after = (sealing.group_to_json(group) for group in (one.before, one.after))
    return {"group": one.after.group, "before": before, "after": after}


def _told(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [sealing.finding_to_json(finding) for finding in findings]


def _pairs(found: Mapping[str, tuple[object, object]]) -> dict[str, list[object]]:
    return {name: list(pair) for name, pair in found.items()}
