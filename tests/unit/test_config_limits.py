"""The section [limits], and words that stand for nothing in the source."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.test_config_groups import REST, SQL

from scimsync.config import Settings, load
from scimsync.errors import ConfigError
from scimsync.model.policy import Limit, Limits

PHONE = 'phoneNumbers[type eq "work"].value'


def read(folder: Path, limits: str = "", source: str = SQL) -> Settings:
    file = folder / "scimsync.toml"
    file.write_text(f"{source}{REST}{limits}", encoding="utf-8")
    return load(file, secrets=False)


def test_without_the_section_the_standard_holds(tmp_path: Path) -> None:
    assert read(tmp_path).policy.limits == Limits()


@pytest.mark.parametrize(
    ("written", "window"),
    [('"1d"', timedelta(days=1)), ('"12h"', timedelta(hours=12)), ('"7 d"', timedelta(days=7)), ('"0"', timedelta()),
     ("0", timedelta())],
)  # fmt: skip
def test_a_window_is_days_or_hours(tmp_path: Path, written: str, window: timedelta) -> None:
    assert read(tmp_path, f"[limits]\nwindow = {written}\n").policy.limits.window == window


def test_leavers_count_for_a_week_or_as_long_as_somebody_wrote_for_everybody(tmp_path: Path) -> None:
    def counted(text: str) -> timedelta:
        return read(tmp_path, f"[limits]\n{text}\n").policy.limits.leavers_window

    assert counted("") == timedelta(days=7)
    assert counted('window = "12h"') == timedelta(hours=12)
    assert counted('window = "12h"\nleavers_window = "14d"') == timedelta(days=14)
    assert counted("leavers_window = 0") == timedelta()
    assert counted('leavers_window = "1d"') == timedelta(days=1)


def test_one_limit_of_clearing_is_for_every_attribute(tmp_path: Path) -> None:
    limits = read(tmp_path, "[limits]\nclear = 7\n").policy.limits
    assert limits.clear_of("title") == limits.clear_of(PHONE) == Limit(count=7)


def test_attributes_may_have_limits_of_their_own(tmp_path: Path) -> None:
    text = '[limits.clear]\ntitle = 5\n\'phoneNumbers[type eq "WORK"].value\' = "1%"\ndefault = "8%"\n'
    limits = read(tmp_path, text.replace("WORK", "work")).policy.limits
    assert limits.clear_of("title") == Limit(count=5)
    assert limits.clear_of(PHONE) == Limit(share=0.01, floor=10)
    assert limits.clear_of("displayName") == Limit(share=0.08, floor=10)
    assert read(tmp_path, "[limits.clear]\ntitle = 5\n").policy.limits.clear == Limits().clear


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[limits]\nwindow = "a day"\n', "[limits] window = 'a day': write days or hours"),
        ("[limits]\nwindow = 24\n", "[limits] window = 24"),
        ("[limits]\nclear = true\n", "[limits] clear = True"),
        ('[limits.clear]\ntitle = "many"\n', "[limits] clear title = 'many'"),
        ("[limits.clear]\ntitel = 5\n", "[limits.clear] 'titel' is not a SCIM path"),
        ("[limits.clear]\n'emails[type eq \"work\"].value' = 5\n", "is not mapped"),
        ('[policy]\nrings = ["10%"]\n', "[policy] rings = ['10%']: write shares in percent that grow up to 100%"),
        ('[policy]\noutage = "wait"\n', "[policy] outage = 'wait'"),
        ("[limits]\nring_errors = true\n", "[limits] ring_errors = True"),
        ('[limits]\nenabel = "5%"\n', "did you mean enable?"),
    ],
)
def test_what_cannot_be_a_limit_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text)
    assert words in str(refused.value)


def test_a_plan_of_before_stays_good_where_nothing_new_is_used(tmp_path: Path) -> None:
    standard = read(tmp_path).digest
    assert read(tmp_path, '[limits]\nwindow = "24h"\nenable = "5%"\nclear = "5%"\n').digest == standard
    others = [
        read(tmp_path, text).digest
        for text in ('[limits]\nwindow = "12h"\n', "[limits]\nenable = 5\n", "[limits.clear]\ntitle = 5\n")
    ]
    others.append(read(tmp_path, source=f'{SQL}null_values = ["-"]\n').digest)
    assert len({standard, *others}) == 5


def test_words_that_stand_for_nothing_are_a_list(tmp_path: Path) -> None:
    assert read(tmp_path, source=f'{SQL}null_values = ["NULL", "-"]\n').source.null_values == ("NULL", "-")
    with pytest.raises(ConfigError, match="null_values must be a list of texts"):
        read(tmp_path, source=f'{SQL}null_values = "NULL"\n')
