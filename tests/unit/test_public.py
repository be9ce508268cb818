"""What is public stays: names, options, keys, codes and words against tests/data/public.json (see tests/public.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.public import STILL, collect, kept, removed, rewrite

KEPT = kept()


@pytest.mark.parametrize("section", STILL)
def test_nothing_that_was_public_is_gone(section: str) -> None:
    gone = removed({section: KEPT[section]}, collect({section: STILL[section]}))
    assert not gone, "\n".join(
        ["this was public and is gone; bring it back, or say that it goes: tools/public --remove", *gone]
    )


def test_the_list_knows_every_section() -> None:
    assert KEPT.keys() == {*STILL, "formats"}
    assert all(KEPT.values())


def test_the_list_gains_what_is_new_and_loses_nothing_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "public.json"
    assert rewrite(file, {"keys": ["[source] url"]}, remove=False) == 0
    assert rewrite(file, {"keys": ["[source] path", "[source] url"]}, remove=False) == 0
    assert capsys.readouterr().out == "new      keys: [source] url\nnew      keys: [source] path\n"
    assert rewrite(file, {"keys": ["[source] path"]}, remove=False) == 1
    assert capsys.readouterr().err.startswith("removed  keys: [source] url\nNothing was written.")
    assert rewrite(file, {}, remove=False) == 1
    assert json.loads(file.read_text(encoding="utf-8")) == {"keys": ["[source] path", "[source] url"]}
    assert rewrite(file, {"keys": ["[source] path"]}, remove=True) == 0
    assert json.loads(file.read_text(encoding="utf-8")) == {"keys": ["[source] path"]}
