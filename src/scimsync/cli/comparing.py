"""plan --compare-config: what a change of configuration does by itself; as text, JSON, or a comment for a review."""

from __future__ import annotations

from collections.abc import Iterator

import click

from scimsync.cli import interrupting, render
from scimsync.cli.codes import HAS_CHANGES
from scimsync.cli.progress import Bar
from scimsync.cli.running import Options, show, show_json
from scimsync.core.effects import Kind
from scimsync.errors import ConfigError
from scimsync.scim.kept import value_to_json
from scimsync.services import comparing, state
from scimsync.services.comparing import Comparison, Effect, Item
from scimsync.showing.words import counted

#: people who are named of each effect, where nobody asks for all
SHOWN = 3
_ACCESS = {
    "delete": "would now be deleted",
    "disable": "would now be disabled",
    "not delete": "would no longer be deleted",
    "not disable": "would no longer be disabled",
    "enable": "would now be enabled again",
    "not enable": "would no longer be enabled again",
    "restore": "would now get their deleted account back",
    "not restore": "would no longer get their deleted account back",
    "create": "would now get an account",
    "not create": "would no longer get an account",
}
_MEMBERS = {
    "joins": "would now be added",
    "leaves": "would now be taken out",
    "not joins": "would no longer be added",
    "not leaves": "would no longer be taken out",
}


def compare(options: Options) -> int:
    """The plan command with --compare-config; returns the exit code."""
    if options.out or options.html or options.keep_accounts:
        raise ConfigError("--compare-config keeps no plan: --out, --html and --keep-accounts do not go with it.")
    if options.markdown and options.as_json:
        raise ConfigError("--markdown and --json are two forms: give one of them.")
    two = comparing.load_both(options.config, options.compare_config)
    with state.open_store(two.after) as store, Bar() as bar:
        found = interrupting.run(comparing.compare(two, store, bar, options.choices))
    examples = options.examples or ("none" if options.markdown else "values")
    if options.as_json:
        show_json(document(found, examples=examples, everybody=options.everybody))
    else:
        told = markdown if options.markdown else lines
        show(told(found, examples=examples, everybody=options.everybody))
    return HAS_CHANGES if options.detailed_exitcode and found.effects else 0


def sentence(effect: Effect) -> str:
    """What comes of a rule, in half a line.

    Examples:
        >>> item = Item(kind=Kind.VALUE, subject="E1", what="title", before="a", after="b")
        >>> sentence(Effect(rule="[attributes] title", kind=Kind.VALUE, what="title", items=(item,)))
        '1 person would have another title'
    """
    number = effect.number
    people, what = counted(number, "person"), effect.what
    is_less, code = what.startswith("not "), what.removeprefix("not ").removeprefix("other ")
    match effect.kind:
        case Kind.ACCOUNT:
            return f"{people} would be found in another account"
        case Kind.ACCESS:
            return f"{people} {_ACCESS[what]}"
        case Kind.REFUSAL:
            word = "would no longer refuse" if is_less else "would refuse"
            return f"{code} {word} the plan"
        case Kind.MEMBER:
            return f"{counted(number, 'membership')} {_MEMBERS[what]}"
        case Kind.VALUE:
            return f"{people} would have another {what}"
        case Kind.EDIT:
            verdict, _, path = code.partition(" ")
            ends = {"keep": "kept", "conflict": "held for a person"}.get(verdict, verdict)
            word = "no longer be" if is_less else "now be"
            return f"{counted(number, 'directory edit')} of {path} would {word} {ends}"
    word = "less" if is_less else "told otherwise" if what.startswith("other ") else "more"
    return f"{counted(number, 'finding')} {code} {word}"


def lines(found: Comparison, *, examples: str, everybody: bool) -> Iterator[str]:
    """For people at a terminal: rule by rule, the most dangerous first."""
    yield click.style("What the change of configuration does by itself", bold=True)
    yield f"  from {found.before} to {found.after}, {_ground(found)}"
    texts = {rule.name: (rule.before, rule.after) for rule in found.rules}
    last = ""
    for effect in found.effects:
        if effect.rule != last:
            yield ""
            yield click.style(effect.rule, bold=True) + _change(*texts.get(effect.rule, ("", "")))
            last = effect.rule
        dangerous = effect.kind in {Kind.ACCOUNT, Kind.ACCESS}
        yield "  " + click.style(("! " if dangerous else "~ ") + sentence(effect), fg="red" if dangerous else None)
        if examples != "none":
            yield from (f"      {line}" for line in _examples(effect, examples, everybody=everybody))
    yield ""
    if found.idle:
        yield "Changed, and without effect on what is known today: " + ", ".join(rule.name for rule in found.idle)
    elif not found.rules:
        yield "Both say the same: no rule differs."
    if not found.effects:
        yield "No effect: the plans of both are the same."


def _ground(found: Comparison) -> str:
    return (
        f"{counted(found.accounts, 'account')} as they were read at {found.read_at:%Y-%m-%d %H:%M} UTC "
        "(nobody was asked, nothing is kept)"
    )


def _change(before: str, after: str) -> str:
    return f"  {before or '(none)'} -> {after or '(none)'}" if before or after else ""


def _examples(effect: Effect, examples: str, *, everybody: bool) -> Iterator[str]:
    chosen = [item for item in effect.items if item.subject]
    shown = chosen if everybody else chosen[:SHOWN]
    for item in shown:
        if examples == "keys":
            yield item.subject
        else:
            yield "  ".join(part for part in (item.subject, item.name, _moved(item)) if part)
    if len(chosen) > len(shown):
        yield f"… and {len(chosen) - len(shown):,} more (--all shows them)"


def _moved(item: Item) -> str:
    match item.kind:
        case Kind.ACCESS:
            return ""
        case Kind.MEMBER:
            return item.what
        case Kind.FINDING | Kind.REFUSAL | Kind.EDIT:
            return " -> ".join(str(side or "(none)") for side in (item.before, item.after))
    return f"{render.value_text(item.before)} -> {render.value_text(item.after)}"


def document(found: Comparison, *, examples: str, everybody: bool) -> dict[str, object]:
    """As one JSON document."""
    return {
        "before": found.before,
        "after": found.after,
        "accounts": found.accounts,
        "read_at": found.read_at.isoformat(),
        "rules": [{"rule": rule.name, "before": rule.before, "after": rule.after} for rule in found.rules],
        "effects": [
            {
                "rule": effect.rule,
                "kind": effect.kind.value,
                "what": effect.what,
                "number": effect.number,
                "text": sentence(effect),
                **_items(effect, examples, everybody=everybody),
            }
            for effect in found.effects
        ],
        "without_effect": [rule.name for rule in found.idle],
    }


def _items(effect: Effect, examples: str, *, everybody: bool) -> dict[str, object]:
    shown = effect.items if everybody else effect.items[:SHOWN]
    if examples == "none":
        return {}
    if examples == "keys":
        return {"keys": [item.subject for item in shown]}
    return {
        "examples": [
            {"key": i.subject, "what": i.what, "before": value_to_json(i.before), "after": value_to_json(i.after)}
            for i in shown
        ]
    }


def markdown(found: Comparison, *, examples: str, everybody: bool) -> Iterator[str]:
    """As a comment for a pull request: counts and rules; nobody is named unless that is asked for."""
    yield "### What this change of the configuration does by itself"
    yield ""
    yield f"From `{found.before}` to `{found.after}`, {_ground(found)}."
    yield ""
    if found.effects:
        yield "| What would come of it | By the rule |"
        yield "|---|---|"
        for effect in found.effects:
            dangerous = effect.kind in {Kind.ACCOUNT, Kind.ACCESS}
            text = _cell(sentence(effect))
            yield f"| {f'**{text}**' if dangerous else text} | {_code(effect.rule)} |"
    else:
        yield "**No effect**: the plans of both are the same."
    if found.idle:
        yield ""
        yield (
            "Changed, and without effect on what is known today: " + ", ".join(_code(r.name) for r in found.idle) + "."
        )
    if examples != "none" and found.effects:
        yield ""
        yield "<details><summary>For whom</summary>"
        yield ""
        for effect in found.effects:
            told = [_cell(line) for line in _examples(effect, examples, everybody=everybody)]
            if told:
                yield f"- {_cell(sentence(effect))}: {'; '.join(told)}"
        yield ""
        yield "</details>"


def _cell(text: str) -> str:
    r"""Text that stands as it is in a table of Markdown.

    Examples:
        >>> _cell("a|b <i> *c*")
        'a\\|b &lt;i> \\*c\\*'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    for mark in ("|", "*", "`", "[", "]", "_", "@"):
        text = text.replace(mark, f"\\{mark}")
    return text


def _code(text: str) -> str:
    return f"`{text.replace('`', '').replace('|', chr(92) + '|')}`"
