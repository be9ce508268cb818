"""What in an account is the provider's, or another program's: never asked to go, never written over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import GENESYS, MATCH, House, codes, house, outcome, paths

from scimsync.cli.sample import ATTRIBUTES
from scimsync.errors import ConfigError
from scimsync.model.outcomes import Status

OWN = "x-pc:scimv2:v1"
BADGES = "list_value(struct_pack(authority := 'badge', value := 'B' || employee_id))"


def mapping(expression: str, authority: str = "local_wins") -> str:
    return ATTRIBUTES + f'"genesys:externalIds" = {{ value = "{expression}", authority = "{authority}" }}\n'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "a", users=12) as found:
        yield found


@pytest.mark.parametrize("authority", ["local_wins", "merge"])
def test_the_key_of_the_account_itself_is_no_part_of_a_mapped_list(home: House, authority: str) -> None:
    home.configure(attributes=mapping(BADGES, authority))
    home.sync()
    held = home.account(home.active(1)[0])[GENESYS]["externalIds"]
    assert {one["authority"][: len(OWN)] for one in held} == {OWN, "badge"}
    home.quiet()
    home.configure(attributes=mapping(f"CASE WHEN false THEN {BADGES} END", authority))
    home.sync()
    held = home.account(home.active(1)[0])[GENESYS]["externalIds"]
    assert [one["authority"].startswith(OWN) for one in held] == [True]
    home.quiet()


def test_an_element_of_the_provider_in_hr_is_refused_by_name_and_the_person_goes_on(home: House) -> None:
    who = home.active(1)[0]
    home.configure(attributes=mapping(f"list_value(struct_pack(authority := '{OWN}:me', value := employee_id))"))
    home.set(who, job_title="Lead")
    made, report = home.sync()
    assert {(f.code, f.path) for f in made.findings if f.subject == who.employee_id} == {
        ("record.reserved-element", "genesys:externalIds")
    }
    assert paths(made, who) == {"title"}
    assert outcome(report, who).status is Status.DONE


def test_a_path_to_an_element_of_the_provider_cannot_be_mapped(home: House) -> None:
    home.configure(attributes=ATTRIBUTES + f"""'genesys:externalIds[authority eq "{OWN}:x"].value' = "employee_id"\n""")
    with pytest.raises(ConfigError, match=f"{OWN}:x belongs to the directory"):
        home.settings()


LINKED = MATCH.replace('"externalId", ', "")


def test_an_external_id_of_another_program_is_kept_and_told_and_an_empty_one_is_filled(tmp_path: Path) -> None:
    with house(tmp_path / "a", users=12, external_id_scope="org") as home:
        theirs, empty = home.active(2)
        home.edit(theirs, "externalId", "okta-1")
        home.edit(empty, "externalId")
        home.configure(match=LINKED)
        made, report = home.sync()
        assert [(f.code, f.detail, f.holds) for f in made.findings if f.subject == theirs.employee_id] == [
            ("account.foreign-value", "externalId", False)
        ]
        assert paths(made, empty) >= {"externalId"}
        assert report.clean
        assert home.account(theirs)["externalId"] == "okta-1"
        assert home.account(empty)["externalId"] == empty.employee_id
        home.quiet()
        assert codes(home.plan()) == {"account.foreign-value"}


def test_another_program_that_takes_our_external_id_over_is_not_fought(home: House) -> None:
    home.option(external_id_scope="org")
    home.settle()
    who = home.active(1)[0]
    home.edit(who, "externalId", "okta-1")
    made, _ = home.sync()
    assert "account.foreign-value" in codes(made)
    assert home.account(who)["externalId"] == "okta-1"


def test_our_own_external_id_follows_hr(home: House) -> None:
    home.option(external_id_scope="org")
    home.configure(attributes=ATTRIBUTES.replace('= "employee_id"\ntitle', '= "coalesce(mobile, employee_id)"\ntitle'))
    home.settle()
    who = home.active(1)[0]
    home.set(who, mobile="+13175550142")
    made, _ = home.sync()
    assert "externalId" in paths(made, who)
    assert home.account(who)["externalId"] == "+13175550142"


@pytest.mark.parametrize("way", ["link", "follow"])
def test_our_own_external_id_follows_the_key_of_hr_itself(home: House, way: str) -> None:
    home.option(external_id_scope="org")
    attributes = ATTRIBUTES.replace('"enterprise:employeeNumber"          = "employee_id"\n', "")
    home.configure(attributes=attributes, match='["userName"]', more="")
    home.settle()
    who = home.active(1)[0]
    if way == "link":
        home.hr("UPDATE employee SET employee_id = 'N-1' WHERE employee_id = ?", who.employee_id)
        said = home.command("link", "N-1", home.account(who)["id"], "--from", who.employee_id, "--reason", "renumbered")
        assert said.code == 0, said.err
    else:
        home.configure(attributes=attributes, match='["userName"]\nrekey = "follow"')
        home.hr("UPDATE employee SET employee_id = 'N-1' WHERE employee_id = ?", who.employee_id)
    made, _ = home.sync()
    assert "account.foreign-value" not in codes(made)
    assert home.account(who)["externalId"] == "N-1"
