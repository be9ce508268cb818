"""Four eyes: plans that somebody else must approve, and the ways round that do not exist."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from msgspec.structs import replace
from tests.runs import House, house

from scimsync import bootstrap
from scimsync.bootstrap import now
from scimsync.engine import ledger
from scimsync.errors import PlanDamaged, PlanRefused, PlanWaits
from scimsync.model.decisions import Actor
from scimsync.model.events import MessageState
from scimsync.model.outcomes import RunState
from scimsync.services import approving, awaiting, trimming
from scimsync.services.trimming import Chosen

MANY = '[[approval]]\nname = "many-leavers"\nmore_than = { disable = 1 }\n'
ADA, BEN = Actor("ada@example.com", "oidc"), Actor("ben@example.com", "oidc")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=20) as found:
        found.sync()
        found.configure(more=MANY)
        yield found


def approve(home: House, plan: str, who: Actor = ADA, reason: str = "they are on the list") -> approving.Reviewed:
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        return approving.approve(settings, store, plan, who, reason)


def dismissed(home: House, number: int = 2) -> str:
    """A plan that takes access from so many people."""
    home.dismiss(*home.active(number))
    return home.plan().id


def test_a_plan_that_needs_an_approval_waits_is_approved_by_somebody_else_and_is_applied(home: House) -> None:
    leavers = home.active(2)
    home.dismiss(*leavers)
    said = home.command("sync")
    assert said.code == 4
    assert "waits for an approval: many-leavers (disable 2, more than 1)" in said.err
    assert all(home.account(who)["active"] for who in leavers)
    (one,) = json.loads(home.command("approvals", "--json").out)
    assert (one["missing"], one["needs"][0]["rule"]) == (1, "many-leavers")
    mine = home.command("approve", one["plan"], "--reason", "I want it")
    assert mine.code == 4
    assert "somebody else approves" in mine.err
    approve(home, one["plan"])
    assert "No plan waits" in home.command("approvals").out
    assert home.command("apply", one["plan"], "--yes").code == 0
    assert not any(home.account(who)["active"] for who in leavers)
    with bootstrap.open_store(home.settings()) as store:
        told = [ledger.document_of(entry) for entry in store.entries(run=one["plan"], kind="approval")]
    assert [(x["action"], x["actor"], x["status"]) for x in told] == [("approved", ADA.name, "oidc")]
    assert home.command("audit", "verify").code == 0


def test_a_plan_below_the_rule_needs_nobody(home: House) -> None:
    home.dismiss(*home.active(1))
    assert home.command("sync").code == 0


def test_many_leavers_in_small_steps_count_together(home: House) -> None:
    first, second = home.active(2)
    home.dismiss(first)
    assert home.command("sync").code == 0
    home.dismiss(second)
    said = home.command("sync", "--user", second.employee_id)
    assert said.code == 4
    assert "with 1 of the last day" in said.err
    assert home.account(second)["active"]


def test_what_an_override_answered_counts_with_small_steps_as_everything_else(home: House) -> None:
    first, second = home.active(2)
    home.dismiss(first)
    assert home.command("sync", "--override", "limits.disable", "--reason", "they left").code == 0
    home.dismiss(second)
    said = home.command("sync")
    assert (said.code, "with 1 of the last day" in said.err) == (4, True)


def test_what_was_approved_does_not_make_the_next_leaver_wait(home: House) -> None:
    *many, late = home.active(3)
    home.dismiss(*many)
    made = home.plan().id
    approve(home, made)
    assert home.command("apply", made, "--yes").code == 0
    home.dismiss(late)
    assert home.command("sync").code == 0


def test_who_proposed_a_plan_does_not_approve_it_under_another_spelling(home: House) -> None:
    made = dismissed(home)
    user = bootstrap.person()
    wide = "".join(
        chr(ord(letter) + 0xFEE0) if letter.isascii() and letter.isalpha() else letter for letter in user.local
    )
    for name in (
        user.name.upper(),
        f"{user.local}@elsewhere",
        f" {user.name} ",
        f"{wide}@host",
        f"{user.local}\u200b@x",
    ):
        with pytest.raises(PlanRefused, match="somebody else"):
            approve(home, made, Actor(name, "os"))
        with pytest.raises(PlanRefused, match="somebody else"):
            approve(home, made, Actor(name.strip(), "oidc"))
    with pytest.raises(PlanWaits):
        home.apply(made)


def test_one_person_counts_once(home: House) -> None:
    home.configure(more=MANY + "needs = 2\n")
    made = dismissed(home)
    told = approve(home, made)
    assert told.standing.missing == 1
    with pytest.raises(PlanRefused, match="approved it before"):
        approve(home, made, Actor("ADA@Example.com", "oidc"))
    with pytest.raises(PlanWaits, match="1 given"):
        home.apply(made)
    approve(home, made, BEN)
    home.apply(made)


def test_only_those_whom_a_rule_names_may_approve(home: House) -> None:
    home.configure(more=MANY + 'by = ["ben@example.com"]\n')
    made = dismissed(home)
    assert approve(home, made, ADA).standing.missing == 1
    with pytest.raises(PlanWaits, match=r"by ben@example.com"):
        home.apply(made)
    assert approve(home, made, BEN).standing.missing == 0
    home.apply(made)


def test_an_approval_is_of_one_plan_and_of_no_other(home: House) -> None:
    made = dismissed(home)
    approve(home, made)
    other = home.plan().id
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        (given,) = store.approvals(made)
        told = approving.record(settings, approving.Kind.APPROVAL, action="approved", who=ADA)
        store.approve(replace(given, run=other), replace(told, run=other, plan=given.digest, status="oidc"))
        digest = approving.review(settings, store, other).digest
        store.approve(replace(given, run=other, digest=digest), replace(told, run=other, plan=digest, status="oidc"))
        found = approving.review(settings, store, other)
    assert [why for _, why in found.standing.void] == [
        "it is about another plan",
        "it is not signed with the key of this state",
    ]
    with pytest.raises(PlanWaits, match="does not count"):
        home.apply(other)


def test_an_approval_that_somebody_wrote_into_the_database_proves_nothing(home: House) -> None:
    made = dismissed(home)
    approve(home, made)
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        engine = store.engine  # type: ignore[attr-defined]
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE approval SET actor = 'ben@example.com'"))
    with pytest.raises(PlanWaits, match="not signed"):
        home.apply(made)


def test_a_stored_plan_that_was_edited_after_it_was_approved_is_refused(home: House) -> None:
    made = dismissed(home)
    approve(home, made)
    file = home.folder / ".scimsync" / "artifacts" / f"plan-{made}.ndjson"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b'"disable"', b'"update"', 1))
    with pytest.raises(PlanDamaged):
        home.apply(made)


def test_a_rejected_plan_is_never_applied_and_the_next_one_may_be(home: House) -> None:
    made = dismissed(home)
    assert home.command("reject", made).code == 2
    said = home.command("reject", made, "--reason", "Ada has not left")
    assert (said.code, "never applied" in said.out) == (0, True)
    with pytest.raises(PlanRefused, match="Ada has not left"):
        home.apply(made)
    with pytest.raises(PlanRefused, match="rejected"):
        approve(home, made)
    again = home.plan().id
    approve(home, again)
    home.apply(again)


def test_an_approval_expires_with_its_rule(home: House) -> None:
    home.configure(more=MANY + 'valid = "1h"\n')
    made = dismissed(home)
    approve(home, made)
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        found, run = approving.find_file(store, made)
        asked = awaiting.Asked(
            rules=settings.policy.approvals,
            public=lambda: awaiting.audit_public(settings),
            now=now() + timedelta(hours=2),
        )
        assert approving.approving.standing(found.plan, run, store, asked).missing == 1


def test_a_rule_that_leaves_the_configuration_holds_until_somebody_approved_that(home: House) -> None:
    home.dismiss(*home.active(1))
    home.sync()  # under the rule, which the state remembers
    home.configure()
    home.dismiss(*home.active(2))
    made = home.plan().id
    with pytest.raises(PlanWaits, match="no such rule by now"):
        home.apply(made)
    approve(home, made)
    home.apply(made)
    home.dismiss(*home.active(2))
    home.sync()


def test_a_rule_that_is_loosened_holds_as_it_was_until_somebody_approved_that(home: House) -> None:
    home.dismiss(*home.active(1))
    home.sync()
    home.configure(more=MANY.replace("disable = 1", "disable = 100"))
    home.dismiss(*home.active(2))
    with pytest.raises(PlanWaits, match="another such rule"):
        home.sync()


def test_what_is_set_aside_must_stand_in_the_plan_that_is_approved(home: House) -> None:
    home.configure(
        limits={"disable": 0, "update": "100%", "create": "100%"},
        more='[[approval]]\nname = "overrides"\noverride = true\n',
    )
    made = dismissed(home)
    late = home.command("apply", made, "--override", "limits.disable", "--reason", "right", "--yes")
    assert late.code == 4
    assert "needs an approval" in late.err
    with pytest.raises(PlanRefused, match="nothing to approve"):
        approve(home, made)
    sealed = home.plan(**{"limits.disable": "they left"}).id
    with pytest.raises(PlanWaits, match=r"it sets aside limits\.disable"):
        home.apply(sealed)
    approve(home, sealed)
    home.apply(sealed)


def test_an_undo_needs_approvals_as_any_plan_does(home: House) -> None:
    home.configure(more='[[approval]]\nname = "all"\nevery = true\n')
    home.dismiss(*home.active(1))
    made = home.plan().id
    approve(home, made)
    home.apply(made)
    said = home.command("undo", made, "--apply", "--yes")
    assert said.code == 4
    assert "waits for an approval" in said.err


def test_a_run_that_was_begun_goes_on_under_the_approval_that_it_began_with(home: House) -> None:
    made = dismissed(home)
    approve(home, made)
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        found, run = approving.find_file(store, made)
        late = awaiting.Asked(
            rules=settings.policy.approvals,
            public=lambda: awaiting.audit_public(settings),
            now=now() + timedelta(days=3),
        )
        assert approving.approving.standing(found.plan, run, store, late).waits
        begun = replace(run, begun=run.seq + 1, began=now(), state=RunState.APPLYING)
        assert not approving.approving.standing(found.plan, begun, store, late).waits


def test_rules_that_can_never_be_met_are_refused_in_the_configuration(home: House) -> None:
    home.configure(
        more='[[approval]]\nname = "x"\nneeds = 2\nby = ["ada", "Ada"]\nevery = true\n[[approval]]\nname = "x"\n'
    )
    said = home.command("config", "check")
    assert said.code == 2
    for words in ("names fewer people", "two rules have the same", "says of no plan"):
        assert words in said.err + said.out


def test_whoever_subscribed_is_told_once_of_each_plan_that_waits(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" * 2)
    hook = '[[webhook]]\nurl = "https://127.0.0.1:9/hook"\nsecret = "env:HOOK"\nevents = ["scimsync.plan.waits"]\n'
    home.configure(more=MANY + hook)
    one, two, three = home.active(3)
    home.dismiss(one, two, three)
    whole = home.plan().id
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        without_one = trimming.leave_out(settings, store, whole, Chosen(users=[one.employee_id]), ADA, "back soon").id
        wanted = Chosen(users=[two.employee_id])
        trimming.leave_out(settings, store, without_one, wanted, ADA, "back soon")  # that one waits for nobody
        told = store.messages(settings.webhooks[0].name, MessageState.PENDING)
    bodies = [json.loads(one.body)["events"]["scimsync.plan.waits"] for one in reversed(told)]
    assert len(bodies) == 2
    assert {one["plan"]: (one["rules"], one["approvals"], one["changes"]["disable"]) for one in bodies} == {
        whole: (["many-leavers"], 1, 3),
        without_one: (["many-leavers"], 1, 2),
    }
