"""What is public stays: what commands print for machines, plan files, the state and events against tests/data/public.json."""

from __future__ import annotations

from tests.public import collect, formats, kept, removed


def test_no_member_of_a_format_is_gone() -> None:
    gone = removed({"formats": kept()["formats"]}, collect({"formats": formats}))
    assert not gone, "\n".join(
        ["this was public and is gone; bring it back, or say that it goes: tools/public --remove", *gone]
    )
