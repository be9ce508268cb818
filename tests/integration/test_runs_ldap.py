"""Whole runs from a real OpenLDAP: the first day, a quiet one, the second to the letter; nobody leaves by a cut answer."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.ldap_speakers import Speaker, speaking, wire
from tests.servers import ENTERPRISE_USER, Firm, Provider, firm
from tests.slapd import GROUPS, PASSWORD, PEOPLE, READER, Slapd, group, person

from scimsync.cli.configuring import toml
from scimsync.config import load
from scimsync.errors import ConfigError, SourceError
from scimsync.services import checking

ATTRIBUTES = {
    "userName": "mail",
    "displayName": "cn",
    "active": "not coalesce(account_disabled, false)",
    "externalId": "employeeNumber",
    "title": "title",
    "enterprise:manager": "ref(manager_key)",
}
READ = ["employeeNumber", "mail", "cn", "title", "manager", "userAccountControl"]
IN_GROUPS = f'[groups]\nbase = "{GROUPS}"\nnested = "flatten"\n'
LIMITS = '[limits]\ndisable = 1000\ncreate = 1000\nupdate = 1000\ngroup_loss = "100%"\ngroup_gain = 1000\n'


def employee(n: int, **values: Any) -> Any:
    """A person of the directory, whose manager is named in another way than the directory does."""
    boss = f"UID=u{n // 2} ,  OU=People, DC=example,DC=com" if n else None
    given = {
        "employeeNumber": f"E{n}",
        "mail": f"u{n}@x.org",
        "title": "Agent",
        "manager": boss,
        "userAccountControl": "512",
    }
    return person(f"u{n}", **{**given, **values})


@dataclass
class Company:
    """A directory of people, and the firm that keeps accounts for them."""

    server: Slapd
    firm: Firm

    def configure(self, url: str = "", more: str = "", **keys: object) -> None:
        self.firm.configure(ATTRIBUTES, more=more)
        secret = self.firm.folder / "reader"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(PASSWORD, encoding="utf-8")
        given = {
            "kind": "ldap", "url": url or self.server.url, "base": PEOPLE, "key": "employeeNumber",
            "username": READER, "password": "file:reader", "attributes": READ, **keys,
        }  # fmt: skip
        written = "".join(f"{key} = {toml(value)}\n" for key, value in given.items() if value is not None)
        file = self.firm.folder / "scimsync.toml"
        text = file.read_text(encoding="utf-8")
        text = f"[source]\n{written}{text[text.index('[target]') :]}"
        file.write_text(
            text.replace("[limits]\ndisable = 1000\ncreate = 1000\nupdate = 1000\n", LIMITS), encoding="utf-8"
        )

    def account(self, n: int) -> dict[str, Any]:
        (found,) = self.firm.provider.named(f"u{n}@x.org")
        return found

    def members(self, name: str) -> set[str]:
        (found,) = (one for one in self.firm.provider.groups.values() if one["displayName"] == name)
        names = {user["id"]: user["userName"] for user in self.firm.provider.users.values()}
        return {names[member["value"]].partition("@")[0] for member in found.get("members", [])}

    def refused(self) -> str:
        before = len(self.firm.provider.asked)
        with pytest.raises(SourceError) as caught:
            self.firm.plan()
        assert {asked.method for asked in self.firm.provider.asked[before:]} <= {"GET"}
        assert PASSWORD not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    people = [employee(n) for n in range(150)]
    groups = [group("Billing", *(f"uid=u{n},{PEOPLE}" for n in range(5))), group("Night", f"UID=u7, {PEOPLE}")]
    with Slapd(tmp_path, people + groups) as server, firm(tmp_path / "firm", Provider()) as found:
        made = Company(server, found)
        made.configure()
        yield made


def test_the_first_day_the_quiet_one_and_the_second_to_the_letter(company: Company) -> None:
    _, report = company.firm.sync()
    assert report.clean
    managers = [company.account(n)[ENTERPRISE_USER]["manager"]["value"] for n in range(1, 150)]
    assert managers == [company.account(n // 2)["id"] for n in range(1, 150)]
    company.firm.quiet()
    server = company.server
    server.change(f"uid=u1,{PEOPLE}", title="Lead")
    server.change(f"uid=u2,{PEOPLE}", userAccountControl="514")
    server.change(f"uid=u3,{PEOPLE}", manager=f"uid=u9,{PEOPLE}")
    server.delete(f"uid=u149,{PEOPLE}")
    server.add(employee(150))
    made, report = company.firm.sync()
    assert report.clean
    assert {change.key for change in made.changes} == {"E1", "E2", "E3", "E149", "E150"}
    assert company.account(1)["title"] == "Lead"
    assert company.account(3)[ENTERPRISE_USER]["manager"]["value"] == company.account(9)["id"]
    assert [company.account(n)["active"] for n in (1, 2, 149, 150)] == [True, False, False, True]
    company.firm.quiet()


def test_a_size_limit_makes_nobody_a_leaver(company: Company) -> None:
    company.firm.sync()
    company.server.limit(f'limits dn.exact="{READER}" size=unlimited size.prtotal=100')
    company.configure(page_size=50)
    assert "nothing of them is used" in company.refused()
    company.server.limit(f'limits dn.exact="{READER}" size=100')
    company.configure()
    assert "(size limit)" in company.refused()
    company.server.limit(f'limits dn.exact="{READER}" size=unlimited')
    company.configure()
    company.firm.quiet()


@pytest.mark.parametrize("cut", [2_000, 20_000])
def test_an_answer_that_breaks_half_way_makes_nobody_a_leaver(company: Company, cut: int) -> None:
    company.firm.sync()
    with wire(company.server.port, cut=cut) as url:
        company.configure(url)
        assert "no connection" in company.refused()
    company.configure()
    company.firm.quiet()


def test_a_user_who_may_no_longer_read_the_base_makes_nobody_a_leaver(company: Company) -> None:
    company.firm.sync()
    company.configure(username=None, password=None, anonymous=True)
    assert "may not see it" in company.refused()


def test_members_follow_the_groups_of_the_directory(company: Company) -> None:
    for name in ("Billing", "Night"):
        company.firm.provider.put({"displayName": name, "members": []}, company.firm.provider.groups)
    company.configure(more=IN_GROUPS)
    company.firm.sync()
    company.firm.sync()  # whoever joined is a member once the account is there
    assert company.members("Billing") == {f"u{n}" for n in range(5)}
    assert company.members("Night") == {"u7"}
    company.firm.quiet()
    company.server.change(f"cn=Billing,{GROUPS}", member=[f"uid=u1,{PEOPLE}", f"cn=Night,{GROUPS}"])
    company.firm.sync()
    assert company.members("Billing") == {"u1", "u7"}
    company.firm.quiet()
    company.server.limit(f'limits dn.exact="{READER}" size=unlimited size.prtotal=1')
    company.refused()
    assert company.members("Billing") == {"u1", "u7"}


def test_doctor_says_what_it_found(company: Company) -> None:
    company.configure(company.server.tls_url, ca_file=str(company.server.ca_file))
    told = checking.told_by_source(load(company.firm.folder / "scimsync.toml"))
    assert "OpenLDAP" in told[0]
    found = checking.try_source(load(company.firm.folder / "scimsync.toml"))
    assert (found.rows, found.proven) == (150, True)
    said = company.firm.command("doctor")
    assert "naming contexts: dc=example,dc=com" in said.out
    assert "150 records" in said.out


def test_managers_of_a_directory_that_is_joined_to_hr_are_found_by_the_column_of_the_join(company: Company) -> None:
    company.firm.hr(*({"id": f"E{n}", "login": f"u{n}@x.org", "name": f"u{n}"} for n in range(150)))
    company.configure()
    file = company.firm.folder / "scimsync.toml"
    text = (
        file.read_text(encoding="utf-8")
        .replace("[source]", "[source.ad]")
        .replace('key = "employeeNumber"\n', 'join = "ad.employeeNumber = id"\n')
    )
    text = text.replace('"mail"\n', '"login"\n').replace('"cn"\n', '"name"\n').replace('"employeeNumber"\n', '"id"\n')
    text = (
        text.replace('"title"\n', '"ad.title"\n')
        .replace("account_disabled", "ad.account_disabled")
        .replace("ref(manager_key)", "ref(ad.manager_key)")
    )
    file.write_text(
        '[source.hr]\nkind = "csv"\npath = "hr.csv"\nkey = "id"\ncomplete = "assume"\n' + text, encoding="utf-8"
    )
    _, report = company.firm.sync()
    assert report.clean
    assert company.account(149)[ENTERPRISE_USER]["manager"]["value"] == company.account(74)["id"]
    company.firm.quiet()


def test_who_stops_a_run_does_not_wait_for_the_directory(tmp_path: Path) -> None:
    asked = threading.Event()

    class Silent(Speaker):
        def said(self, message: int, data: Any) -> Iterator[bytes | None]:
            if data[1][0] != 0x63:  # no search
                return super().said(message, data)
            asked.set()
            return iter(())

    with speaking(Silent()) as url, firm(tmp_path, Provider()) as found:
        file = found.folder / "scimsync.toml"
        text = file.read_text(encoding="utf-8")
        keys = f'kind = "ldap"\nurl = "{url}"\nbase = "dc=x"\nkey = "uid"\nanonymous = true\nattributes = ["uid"]\n'
        file.write_text(f"[source]\n{keys}{text[text.index('[target]') :]}", encoding="utf-8")
        words = [sys.executable, "-m", "scimsync", "plan"]
        with subprocess.Popen(words, cwd=found.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
            assert asked.wait(60)
            run.send_signal(signal.SIGTERM)
            said, _ = run.communicate(timeout=20)
    assert run.returncode == 143
    assert said == b"Stopped (SIGTERM).\n"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"base": None}, "base is missing"),
        ({"password": None}, "[source] password is missing: a directory is read with both, or with none"),
        ({"username": None, "password": None}, "give it with password, or say anonymous = true"),
        ({"anonymous": True}, "anonymous = true does not go with username and password"),
        ({"url": "https://ldap.example.com"}, "[source] url is no address of a directory"),
        ({"url": "ldap://ldap.example.com", "starttls": False}, "would travel in clear to ldap.example.com"),
        ({"token": "file:reader"}, "[source] token does not fit kind = 'ldap'"),
        ({"columns": ["a"]}, "columns for kind = 'ldap' is a table"),
        ({"multi_valued": {"mail": "last"}}, "multi_valued"),
    ],
)
def test_what_does_not_fit_is_refused_before_anybody_is_asked(
    company: Company, keys: dict[str, Any], said: str
) -> None:
    company.configure(**keys)
    with pytest.raises(ConfigError) as caught:
        load(company.firm.folder / "scimsync.toml")
    assert said in str(caught.value)
    assert len(caught.value.faults) == 1, caught.value.faults


def test_where_python_ldap_is_missing_it_is_said_what_building_it_needs(company: Company) -> None:
    code = "import sys; sys.modules['ldap'] = None; from scimsync.cli.main import main; main()"
    words = [sys.executable, "-c", code, "plan"]
    run = subprocess.run(words, cwd=company.firm.folder, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 2
    assert "pip install 'scimsync[ldap]'" in run.stderr
    assert "apt-get install gcc python3-dev libldap2-dev libsasl2-dev" in run.stderr
