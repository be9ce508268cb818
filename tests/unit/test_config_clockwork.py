"""[[schedule]], [[blackout]] and [[alarm]]: what is read, and what is refused with its place and what was meant."""

from __future__ import annotations

from datetime import date, time, timedelta
from pathlib import Path

import pytest
from tests.unit.test_config_webhooks import REST

from scimsync.config import Settings, load
from scimsync.errors import ConfigError
from scimsync.model.alarms import AlarmKind
from scimsync.model.policy import Depth
from scimsync.model.schedules import Blackout, Schedule
from scimsync.services import configuring

NIGHTLY = '[[schedule]]\nname = "nightly"\ncron = "30 2 * * *"\n'
OFFICE = '[[blackout]]\nname = "office"\n'
MAIL = '[[alarm]]\nkind = "mail"\nserver = "smtp.example.com"\nsender = "a@example.com"\nto = ["b@example.com"]\n'
SLACK = '[[alarm]]\nkind = "slack"\nurl = "env:SLACK"\n'


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK", "https://hooks.slack.example/services/canary")
    monkeypatch.setenv("PLAIN", "http://hooks.example/canary")
    monkeypatch.setenv("PASSWORD", "canary")


def write(folder: Path, text: str) -> Path:
    file = folder / "scimsync.toml"
    file.write_text(REST + text, encoding="utf-8")
    return file


def read(folder: Path, text: str) -> Settings:
    return load(write(folder, text), secrets={"alarm"})


def faults(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), secrets={"alarm"})
    return "\n".join(caught.value.faults)


def test_a_schedule_is_read_in_the_zone_of_the_source_unless_it_names_its_own(tmp_path: Path) -> None:
    more = '[[schedule]]\nname = "hourly"\ncron = "0 * * * *"\nzone = "Asia/Tokyo"\ndepth = "versions"\n'
    whole = REST.replace('key = "id"', 'key = "id"\nzone = "Europe/Berlin"')
    file = tmp_path / "scimsync.toml"
    file.write_text(whole + NIGHTLY + more, encoding="utf-8")
    assert load(file, secrets=False).schedules == (
        Schedule(name="nightly", cron="30 2 * * *", zone="Europe/Berlin"),
        Schedule(name="hourly", cron="0 * * * *", zone="Asia/Tokyo", depth=Depth.VERSIONS),
    )


def test_a_blackout_holds_every_day_or_on_the_days_that_are_named(tmp_path: Path) -> None:
    texts = [
        OFFICE,
        '[[blackout]]\nname = "b"\ndays = ["Mon", "fri"]\nstart = "08:00"\nend = "20:00"\n',
        '[[blackout]]\nname = "c"\ndates = ["2026-12-24"]\nzone = "Asia/Tokyo"\n',
    ]
    assert read(tmp_path, "".join(texts)).blackouts == (
        Blackout(name="office", days=frozenset(range(7)), dates=frozenset(), start=time(), end=time(), zone="UTC"),
        Blackout(name="b", days=frozenset({0, 4}), dates=frozenset(), start=time(8), end=time(20), zone="UTC"),
        Blackout(
            name="c",
            days=frozenset(),
            dates=frozenset({date(2026, 12, 24)}),
            start=time(),
            end=time(),
            zone="Asia/Tokyo",
        ),
    )


def test_an_alarm_is_read_and_its_name_and_its_looks_tell_no_secret(tmp_path: Path) -> None:
    more = 'username = "me"\npassword = "env:PASSWORD"\nabout = ["run-failed"]\nsilence = "36h"\ntls = "implicit"\n'
    mail, slack = read(tmp_path, MAIL + more + SLACK).alarms
    assert (mail.host, mail.port, mail.username, mail.password) == ("smtp.example.com", 465, "me", "canary")
    assert (mail.about, mail.silence) == (frozenset({AlarmKind.FAILED}), timedelta(hours=36))
    assert (mail.shown, slack.shown) == ("alarm 1 (mail, smtp.example.com)", "alarm 2 (slack)")
    assert slack.url.endswith("canary")
    assert "canary" not in repr(mail) + repr(slack) + slack.name
    assert [slack.wants(kind, "nightly") for kind in AlarmKind] == [True, False, True, True, True, True]
    assert slack.wants(AlarmKind.SILENCE, "24 h")
    assert [mail.wants(kind, "36 h") for kind in AlarmKind] == [True, False, False, False, False, False]


def test_only_who_sends_alarms_needs_their_secrets_and_their_name_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(tmp_path, SLACK).alarms[0].name
    monkeypatch.delenv("SLACK")
    assert load(write(tmp_path, SLACK), secrets={"webhook"}).alarms[0].name == before
    assert "refers to the environment variable SLACK" in faults(tmp_path, SLACK)
    with pytest.raises(ConfigError, match="SLACK"):
        configuring.check(write(tmp_path, SLACK))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NIGHTLY.replace("30 2", "30 26"), "[[schedule]] 1 cron = '30 26 * * *': the hour cannot be read; write"),
        (NIGHTLY.replace("* * *", "* *"), "[[schedule]] 1 cron = '30 2 * *': it has 4 fields, and takes 5"),
        (NIGHTLY + 'zone = "Europe/Berln"\n', "zone = 'Europe/Berln' is no time zone; did you mean Europe/Berlin?"),
        (NIGHTLY + NIGHTLY, "[[schedule]] 2 name = 'nightly': [[schedule]] 1 has it; write 'nightly-2'"),
        (NIGHTLY.replace("nightly", "Each night"), "name = 'Each night': write small letters, digits and hyphens"),
        (NIGHTLY.replace('name = "nightly"\n', ""), "[[schedule]] 1 name is missing: what the schedule is called"),
        (NIGHTLY + 'dept = "full"\n', "[[schedule]] 1 dept is not a setting; did you mean depth?"),
        (NIGHTLY + 'depth = "ful"\n', "[[schedule]] 1 depth = 'ful' is none of full, versions, source; did you mean"),
        ("[schedule]\n", "[[schedule]] must be a list of tables: write [[schedule]] with two brackets"),
        (OFFICE + OFFICE, "[[blackout]] 2 name = 'office': [[blackout]] 1 has it; write 'office-2'"),
        (OFFICE + 'days = ["monday"]\n', "[[blackout]] 1 days: 'monday' is none of mon, tue, wed"),
        (OFFICE + 'days = ["monday"]\n', "did you mean mon?"),
        (OFFICE + 'dates = ["24.12.2026"]\n', "dates: '24.12.2026' is no day; write for instance 2026-12-24"),
        (OFFICE + 'start = "8:00"\n', "[[blackout]] 1 start = '8:00': write hours and minutes such as \"08:00\""),
        (OFFICE + 'zone = "CETT"\n', "[[blackout]] 1 zone = 'CETT' is no time zone"),
        (MAIL.replace('server = "smtp.example.com"\n', ""), '[[alarm]] 1 server is missing: kind = "mail" needs it'),
        (MAIL.replace("smtp.example.com", "smtp example"), "[[alarm]] 1 server is no host and port"),
        (MAIL.replace("b@example.com", "b"), "[[alarm]] 1 to: 'b' is no mail address"),
        (MAIL + 'tls = "off"\n', 'tls = "off" goes to a server of this machine only; write "starttls"'),
        (MAIL + 'password = "canary"\n', "[[alarm]] 1 password is a secret and may not stand in the file"),
        (MAIL + 'url = "env:SLACK"\n', "[[alarm]] 1 url does not fit kind = 'mail'; take it away"),
        (MAIL + 'about = ["run-fialed"]\n', "about: 'run-fialed' is none of run-failed, run-silence, plan-refused"),
        (MAIL + 'about = ["run-fialed"]\n', "did you mean run-failed?"),
        (MAIL + 'silence = "a day"\n', '[[alarm]] 1 silence = \'a day\': write days or hours such as "1d" or "36h"'),
        (MAIL + MAIL, "[[alarm]] 2 is the same as another; join what they are about in one"),
        ('[[alarm]]\nkind = "slack"\n', '[[alarm]] 1 url is missing: kind = "slack" needs it'),
        (SLACK.replace("SLACK", "PLAIN"), "[[alarm]] 1 url must be https"),
        (SLACK.replace("env:SLACK", "https://x"), "[[alarm]] 1 url is a secret and may not stand in the file"),
        (SLACK + 'to = ["b@example.com"]\n', "[[alarm]] 1 to does not fit kind = 'slack'; take it away"),
        ('[[alarm]]\nkind = "pigeon"\n', "[[alarm]] 1 kind = 'pigeon' is none of mail, slack, teams, apprise"),
    ],
)
def test_bad_input_is_refused_with_its_place_and_what_was_meant(tmp_path: Path, text: str, words: str) -> None:
    found = faults(tmp_path, text)
    assert words in found
    assert "canary" not in found
