"""The section [groups]: where memberships come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from scimsync.cli.sample import ATTRIBUTES
from scimsync.config import Settings, load
from scimsync.errors import ConfigError
from scimsync.model.policy import Grouping, Limit, Nested, Others, Providing

SQL = '[source]\nkind = "sql"\nurl = "sqlite:///hr.db"\nquery = "SELECT 1"\nkey = "id"\n'
CSV = '[source]\nkind = "csv"\npath = "hr.csv"\nkey = "id"\n'
REST = f'[target]\nregion = "us-east-1"\n{ATTRIBUTES}\n'
#: Genesys Cloud is the target where nothing else is said
GENESYS = Providing(is_removal_known=True)


def read(folder: Path, groups: str, source: str = SQL) -> Settings:
    file = folder / "scimsync.toml"
    file.write_text(f"{source}{REST}{groups}", encoding="utf-8")
    return load(file, secrets=False)


def faults(folder: Path, groups: str, source: str = SQL) -> str:
    with pytest.raises(ConfigError) as refused:
        read(folder, groups, source)
    return str(refused.value)


def test_without_the_section_no_group_is_managed(tmp_path: Path) -> None:
    settings = read(tmp_path, "")
    assert settings.groups is None
    assert settings.policy.groups is None


def test_pairs_come_from_a_query_and_the_rest_has_defaults(tmp_path: Path) -> None:
    settings = read(tmp_path, '[groups]\nquery = "SELECT a, b FROM m"\n')
    assert settings.groups is not None
    assert settings.groups.query == "SELECT a, b FROM m"
    assert settings.policy.groups == Grouping(providing=GENESYS)
    assert str(settings.policy.limits.group_loss) == "30%"
    assert settings.policy.limits.group_gain == Limit(share=0.5, floor=20)


def test_a_file_source_takes_files_beside_the_configuration(tmp_path: Path) -> None:
    text = (
        '[groups]\npath = "m.csv"\nnesting_path = "n.csv"\nnested = "flatten"\nothers = "remove"\n'
        'match = "id"\nmanaged = ["A"]\nprotected = ["Chiefs"]\n'
    )
    settings = read(tmp_path, text, CSV)
    assert settings.groups is not None
    assert (settings.groups.path, settings.groups.nesting_path) == (tmp_path / "m.csv", tmp_path / "n.csv")
    assert settings.policy.groups == Grouping(
        match="id",
        nested=Nested.FLATTEN,
        others=Others.REMOVE,
        managed=("A",),
        protected=("Chiefs",),
        batch=50,
        providing=GENESYS,
    )


@pytest.mark.parametrize(
    ("groups", "source", "words"),
    [
        ("[groups]\n", SQL, "exactly one of query, path, base and column; it has none"),
        ('[groups]\nquery = "x"\ncolumn = "y"\n', SQL, "it has query, column"),
        ('[groups]\npath = "x"\n', SQL, "path does not fit [source] kind = 'sql'; write query"),
        ('[groups]\ncolumn = "x"\nnesting = "y"\n', CSV, "nesting does not fit [source] kind = 'csv'"),
        ('[groups]\ncolumn = "x"\nnested = "flat"\n', SQL, "did you mean flatten?"),
        ('[groups]\ncolumn = "x"\nothers = "drop"\n', SQL, "none of keep, remove"),
        ('[groups]\ncolumn = "x"\nmatch = "name"\n', SQL, "none of displayName, id"),
        ('[groups]\ncolumn = "x"\nmanaged = "A"\n', SQL, "managed must be a list of texts"),
        ('[groups]\ncolumm = "x"\n', SQL, "did you mean column?"),
        ('[groups]\ncolumn = "x"\n[limits]\ngroup_loss = "many"\n', SQL, "group_loss"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(tmp_path: Path, groups: str, source: str, words: str) -> None:
    assert words in faults(tmp_path, groups, source)


def test_every_rule_about_groups_is_part_of_what_a_plan_is_bound_to(tmp_path: Path) -> None:
    pairs = '[groups]\nquery = "SELECT a, b FROM m"\n'
    more = (
        'protected = ["A"]',
        'nested = "keep"',
        'others = "remove"',
        'match = "id"',
        'managed = ["A"]',
        'nesting = "SELECT 2"',
    )
    texts = ["", pairs, '[groups]\ncolumn = "c"\n', '[groups]\ncolumn = "c"\nseparator = ","\n']
    texts += [f"{pairs}{line}\n" for line in more]
    assert len({read(tmp_path, text).digest for text in texts}) == len(texts)


def test_groups_of_a_person_cannot_be_mapped_and_the_hint_says_where_they_belong(tmp_path: Path) -> None:
    source = f'{SQL}[target]\nregion = "us-east-1"\n{ATTRIBUTES}groups = "x"\n'
    file = tmp_path / "scimsync.toml"
    file.write_text(source, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"see \[groups\]"):
        load(file, secrets=False)
