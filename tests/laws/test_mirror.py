"""What is remembered of the directory changes no plan: on random days, beside a plan that remembers nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.soak import examples
from tests.unit.engine.test_whole_runs import LIMITS, Company, run_once, twin_of

from scimsync.model.plans import Change, Plan
from scimsync.model.policy import Depth
from scimsync.workbench.mirror import MIRROR

KEYS = [f"E{n}" for n in range(30)]
WORDS = ["Agent", "Lead", "lead", "Führung", "İ", "", None]


def moved(firm: Company, user: dict[str, Any]) -> None:
    user["meta"] = {**user["meta"], "version": str(int(user["meta"]["version"]) + 1)}


def edit(firm: Company, key: str, word: Any, *, version: bool = True) -> None:
    """Another hand gives an account another title, and the directory another version, or not."""
    user = found(firm, key)
    if user is not None:
        user["title"] = word
        if version:
            moved(firm, user)


def found(firm: Company, key: str) -> dict[str, Any] | None:
    return next((user for user in firm.target.users.values() if user.get("externalId") == key), None)


def close(firm: Company, key: str, word: Any) -> None:
    user = found(firm, key)
    if user is not None:
        user["active"] = not user["active"]
        moved(firm, user)


def rename(firm: Company, key: str, word: Any) -> None:
    user = found(firm, key)
    if user is not None:
        user["userName"] = f"renamed-{key}@example.com"
        moved(firm, user)


def twist(firm: Company, key: str, word: Any) -> None:
    """An account in another form than its schema."""
    user = found(firm, key)
    if user is not None:
        user["title"] = {"en": word}
        moved(firm, user)


def remove(firm: Company, key: str, word: Any) -> None:
    for account, user in list(firm.target.users.items()):
        if user.get("externalId") == key:
            del firm.target.users[account]


def promote(firm: Company, key: str, word: Any) -> None:
    if key in firm.rows:
        firm.rows[key]["title"] = word


def dismiss(firm: Company, key: str, word: Any) -> None:
    firm.rows.pop(key, None)


def hire(firm: Company, key: str, word: Any) -> None:
    number = 100 + int(key[1:])
    firm.rows[f"E{number}"] = firm.person(number) | {"title": word, "boss": key}


BY_HAND: list[Callable[..., None]] = [edit, close, rename, twist, remove]
BY_HR: list[Callable[..., None]] = [promote, dismiss, hire]
UNSEEN = lambda firm, key, word: edit(firm, key, word, version=False)  # noqa: E731


def days(happenings: list[Callable[..., None]]) -> st.SearchStrategy[Any]:
    one = st.tuples(st.sampled_from(happenings), st.sampled_from(KEYS), st.sampled_from(WORDS))
    return st.lists(st.tuples(st.lists(one, max_size=4), st.booleans()), min_size=1, max_size=4)


def told(plan: Plan) -> tuple[object, ...]:
    """What a plan says, without what a depth says of itself."""
    said = [f for f in plan.findings if not f.code.startswith(("target.not-listed", "target.versions", "target.read"))]
    return plan.changes, plan.notices, said, plan.refusals, replace(plan.tally, accounts=0)


def forget(firm: Company) -> None:
    for kept in firm.store.artifact(MIRROR).parent.glob("mirror-*"):
        kept.unlink()


def remembered(firm: Company, folder: Path) -> Path:
    """A copy of what is remembered, to be put back."""
    held = Path(tempfile.mkdtemp(dir=folder))
    for kept in firm.store.artifact(MIRROR).parent.glob("mirror-*"):
        shutil.copy2(kept, held)
    return held


def put_back(firm: Company, held: Path) -> None:
    forget(firm)
    for kept in held.iterdir():
        shutil.copy2(kept, firm.store.artifact(kept.name))


def beside(firm: Company, folder: Path, depth: Depth) -> tuple[Plan, Plan]:
    """A plan that remembers, and one of the same moment that does not."""
    firm.depth = depth
    made = firm.plan(overrides=tuple(LIMITS))
    held = remembered(firm, folder)
    forget(firm)
    firm.depth = Depth.FULL
    plain = firm.plan(overrides=tuple(LIMITS))
    put_back(firm, held)
    return made, plain


@pytest.mark.parametrize(
    ("depth", "happenings"),
    [
        (Depth.FULL, [*BY_HAND, *BY_HR, UNSEEN]),
        (Depth.VERSIONS, [*BY_HAND, *BY_HR]),
        (Depth.SOURCE, BY_HR),
    ],
    ids=["full", "versions", "source"],
)
def test_a_plan_that_remembers_says_what_one_says_that_reads_everybody(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    depth: Depth,
    happenings: list[Callable[..., None]],
) -> None:
    monkeypatch.setattr("scimsync.workbench.recalled.RECALLED_FROM", 1)
    monkeypatch.setattr("scimsync.engine.reading.RECALLED_FROM", 1)
    changed: list[Change] = []

    @settings(max_examples=examples(10, 3))
    @given(days(happenings))
    def law(story: Any) -> None:
        folder = tmp_path_factory.mktemp("day")
        firm = twin_of(run_once, folder / "artifacts")
        firm.recall = timedelta(days=28)
        for happened, applies in story:
            for what, key, word in happened:
                what(firm, key, word)
            made, plain = beside(firm, folder, depth)
            assert told(made) == told(plain)
            changed.extend(made.changes)
            if applies and not plain.refusals:
                firm.apply(plain)

    law()
    assert changed, "no day changed anything, so nothing was held"
