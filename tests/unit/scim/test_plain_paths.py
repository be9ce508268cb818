"""Plain paths are read without the library, which takes half a second to load; both readers must agree."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.soak import examples

from scimsync.errors import InvalidPath
from scimsync.scim import grammar
from scimsync.scim.grammar import Path

#: words of the grammar, which may or may not be names too
WORDS = ["not", "NOT", "and", "or", "eq", "pr", "true", "false", "null", "nothing", "order"]
NAMES = st.sampled_from(["userName", "$ref", "a-b_c", "x1", "Value", "1a", "a b", "", "é", "-a"] + WORDS)
URNS = st.sampled_from(["", "urn:ietf:params:scim:schemas:core:2.0:User:", "urn:x:y:", "urn:x:", "URN:a:b:", "urn::"])
VALUES = st.text(st.sampled_from('ab ]["\\.ü1'), max_size=4)


@st.composite
def texts(draw: st.DrawFn) -> str:
    text = draw(URNS) + draw(NAMES)
    if draw(st.booleans()):
        text += f'[{draw(NAMES)}{draw(st.sampled_from([" eq ", "  eq ", " EQ ", " ne ", "eq"]))}"{draw(VALUES)}"]'
    if draw(st.booleans()):
        text += "." + draw(NAMES)
    return text


def read(text: str) -> Path | None:
    try:
        return grammar.parse_path.__wrapped__(text)
    except InvalidPath:
        return None


@settings(max_examples=examples(1000, 400))
@example('userName[not eq ""]')
@given(texts())
def test_a_plain_path_is_read_as_the_library_reads_it(text: str) -> None:
    ours = read(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grammar, "_PLAIN", re.compile(r"(?!)"))
        assert ours == read(text)


def test_a_usual_mapping_is_read_without_loading_the_library() -> None:
    code = (
        "import sys; from scimsync.scim.grammar import parse_path; "
        "parse_path('emails[type eq \"work\"].value'); "
        "parse_path('urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager'); "
        "sys.exit('scim2_models' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
