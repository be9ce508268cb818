"""Words of messages: near names, and what a key is in the middle of a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


def hint(word: str, choices: Iterable[str]) -> str:
    """What was meant, where a name is near; else nothing.

    Examples:
        >>> hint("colum", ["column", "path"]), hint("xyz", ["column", "path"])
        ('; did you mean column?', '')
    """
    near = get_close_matches(word.lower(), list(choices), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def about(key: Mapping[str, Any]) -> str:
    """What a key of the schema is, to stand behind a colon: its first sentence, and what may be written.

    Examples:
        >>> about({"description": "The file. Needed for `csv` (source.empty).", "examples": ["hr.csv"]})
        'the file; for instance "hr.csv"'
        >>> about({"description": "SQLite or PostgreSQL (store.url).", "enum": ["one", "two"]})
        'SQLite or PostgreSQL; one of one, two'
    """
    first = key["description"].split(". ", 1)[0].removesuffix(".").replace("`", "")
    first = re.sub(r" \([a-z]+\.[a-z-]+\)", "", first)
    first = first if first[1:2].isupper() else first[0].lower() + first[1:]
    words = key.get("enum")
    example = json.dumps(key["examples"][0]) if "examples" in key else ""
    return f"{first}; one of {', '.join(words)}" if words else f"{first}; for instance {example}"
