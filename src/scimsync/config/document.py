"""The TOML file as it is written: one model for each section, one described field for each key.

From these models come what is refused, the JSON Schema for editors, and the tables of docs/configuration.md. Nothing
here asks for more than a look at the file: what needs the dialect, the environment or another key stands in `reading`.
The sources stand in `sources`, the directory in `target`, the sections about what goes out to others in `outward`.

The first sentence of a description stands in messages; all of it is shown by editors and in the documentation. A
code in parentheses is the name of a page under docs/errors.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from scimsync.config.approvals import Approval
from scimsync.config.clockwork import Alarm, Blackout, Schedule
from scimsync.config.console import Console
from scimsync.config.contracts import Rule
from scimsync.config.keys import (
    AFTER,
    OUTAGE,
    AuthorityWord,
    Section,
    Share,
    Window,
)
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import section as _section
from scimsync.config.keys import text as _text
from scimsync.config.outward import Audit, Events, Log, Metrics, Webhook
from scimsync.config.sources import Source
from scimsync.config.states import State
from scimsync.config.target import Target


class Correlation(Section):
    """How a record finds its account on a first run. Later the remembered link decides."""

    match: list[str] = _key(
        "Paths by which a record finds its account, tried in order. The first wins that finds exactly one account "
        "which nobody else claims, and which carries nobody else's values on the paths before it.",
        ["externalId", "userName"],
        example=["externalId", "enterprise:employeeNumber", "userName"],
    )
    rekey: Literal["hold", "follow"] = _key(
        "What becomes of an account whose person comes again under another key. HR renumbers, or closes one record "
        "and opens another. `hold`: both wait until somebody says `scimsync link`. `follow`: the account goes to the "
        "new key where it agrees in three marks (login, name, phone, employee number, external id), and the plan says "
        "so (correlation.rekeyed).",
        "hold",
        example="follow",
    )
    renames: Literal["hold", "tell", "off"] = _key(
        "What becomes of a joiner who is probably somebody who left, by two strong marks that nobody else has "
        "(rename.suspected). `hold`: no account is made, and none disabled, until somebody says `scimsync link`. "
        "`tell`: the plan says so and goes on. `off`: nobody looks.",
        "hold",
        example="tell",
    )
    renames_within: Window = _key(
        "How long ago somebody may have left, in days (`d`) or hours (`h`), to be suspected of coming again under "
        "another key. Counted from the day on which scimsync disabled the account.",
        "30d",
        example="90d",
    )


class Attribute(Section):
    """One mapped attribute with an authority of its own."""

    value: str = _key("The SQL expression over one record.", example="skills(skill_list)")
    authority: AuthorityWord | None = _key(
        "Who wins for this attribute where the directory was edited. Default: `[policy] authority`.",
        None,
        example="merge",
    )


Expression = Annotated[
    str | Attribute,
    _key(
        "An SQL expression over one record, or a table with it and an authority of its own.",
        example="lower(trim(email))",
    ),
]


class Policy(Section):
    """Who wins, what becomes of leavers, and who is never touched."""

    authority: AuthorityWord = _key(
        "Who wins where the directory was edited, for every attribute without its own.", "local_wins", example="ask"
    )
    leavers: Literal["disable", "keep", "delete"] = _key(
        "What becomes of the account of a person who left: `disable` it, `keep` it active, or disable it and `delete` "
        "it after a while (leaver.expired).",
        "disable",
        example="delete",
    )
    leavers_after: str = _like(
        AFTER,
        "How long an account is inactive before it is deleted, in days (`d`) or hours (`h`), where `leavers` is "
        "`delete`. Counted from the day on which it was disabled; where nobody knows that day, from the first on which "
        "a plan met it inactive.",
        "30d",
        example="90d",
    )
    leavers_readings: int = _key(
        "How many readings of the source in a row must lack a person before the access is taken. Until then the "
        "person is suspect, keeps it, and is told of (leaver.suspect). Whom the source *says* to have left loses "
        "access at once.",
        1,
        example=2,
        ge=1,
    )
    leavers_apart: str = _like(
        AFTER,
        "How far apart two readings are that count as two, in hours (`h`) or days (`d`). No file counts twice.",
        "1h",
        example="12h",
    )
    leave: Literal["hold", "keep", "disable"] = _key(
        "What becomes of the account of a person on leave (`[source] on_leave`). `hold`: nothing of this person is "
        "written until the return (record.on-leave). `keep`: as of everybody who is there, and access stays. "
        "`disable`: access is taken, and given back at the return. Nobody left, so nothing is deleted, and the return "
        "is no rehire.",
        "hold",
        example="disable",
    )
    leave_removes: list[str] = _key(
        "Paths that are cleared while a person is on leave, and `groups` for the memberships; they come back at the "
        "return. With `leave` `keep` or `disable`.",
        [],
        example=["genesys:routingSkills", "groups"],
    )
    out_of_scope: Literal["keep", "disable"] = _key(
        "What becomes of the account of a person who falls out of `[source] where`. `keep`: it is left as it is, and "
        "the plan says so (record.out-of-scope). `disable`: access is taken, and counts against `[limits] disable`. "
        "Nobody left by that, so nothing is deleted; whose own record says that they left, has left.",
        "keep",
        example="disable",
    )
    create_before: Window = _key(
        "How long before the first day (`[source] valid_from`) an account is made, in days (`d`) or hours (`h`). It is "
        "inactive, and enabled on the day, which counts against `[limits] enable` (record.prepared). "
        '`"0"`: it is made on the day.',
        "0",
        example="7d",
    )
    deleted: Literal["hold", "restore"] = _key(
        "What becomes of a joiner whose login belonged to a deleted account, where the target would bring that account "
        "back (account.deleted). `hold` the joiner for a person, or `restore` the account where it is not known to be "
        "another person's.",
        "hold",
        example="restore",
    )
    rehire: Literal["propose", "restore", "leave"] = _key(
        "What becomes of the roles that the directory took from a leaver who comes back, where they are not mapped "
        "(account.stripped). `propose`: the plan names the last ones, and gives them with `--override "
        "account.stripped`. `restore` them with the access, to the same account alone. `leave`: it is only told.",
        "propose",
        example="restore",
    )
    protected: list[str] = _key(
        "Source keys or user names that are never changed. One that nobody has is reported (policy.protected-unknown).",
        [],
        example=["admin@example.com"],
    )
    on_bad_value: Literal["attribute", "person"] = _key(
        "What a bad value leaves out: the `attribute`, or the `person`.", "attribute", example="person"
    )
    exchange: Literal["park", "hold"] = _key(
        "What becomes of people who exchange their logins (login.exchange). `park` one of them under another login "
        "until the others have theirs, or `hold` the logins.",
        "park",
        example="hold",
    )
    plan_expires: str = _like(
        AFTER,
        "How long a plan may be applied after it was made, in days (`d`) or hours (`h`). It is sealed with the plan "
        "(plan.age).",
        "24h",
        example="8h",
    )
    outage: str = _like(
        OUTAGE,
        "What becomes of a run while the target is down. `stop`: it ends after two minutes (exit code 5). `wait 30m`, "
        "or hours (`h`): it waits so long, looks from time to time, and goes on by itself. What was done is kept "
        "either way.",
        "stop",
        example="wait 30m",
    )
    rings: list[str] = _key(
        "The shares of its people to whom a large plan is written one after the other, up to 100%, or `off`. After "
        "each the run stops by itself where too many were held or failed (`[limits] ring_errors`). Who loses access, "
        "and who gives a login up, comes before the first.",
        ["1%", "10%", "100%"],
        example=["5%", "100%"],
    )
    rings_from: int = _key(
        "From how many changes on a plan is large. A shorter one is written as a whole.", 500, example=50, ge=1
    )
    rings_first: str = _text("SQL over one record: who meets it stands in a ring before all.", example="site = 'Leeds'")


class Limits(Section):
    """How much may change: a number of people, or a share. A plan beyond a limit is refused."""

    disable: Share = _key("The share of the linked accounts that may be disabled, or a number.", "5%", example=10)
    enable: Share = _key("The share of the linked accounts that may be enabled again, or a number.", "5%", example=10)
    create: Share = _key("The share of the records that may be created, or a number.", "20%", example="30%")
    update: Share = _key("The share of the linked accounts that may be updated, or a number.", "50%", example=500)
    delete: Share = _key(
        "The share of the linked accounts that may be deleted, or a number. Beyond it none is deleted, and the rest "
        "goes on (limits.delete).",
        "5%",
        example=10,
    )
    clear: Share | dict[str, Annotated[Share, _key("The limit for this attribute.", example=5)]] = _key(
        "The share of the linked accounts of which the value of one attribute may be taken away, or a number. Or a "
        "table of paths with limits of their own, and `default`. Beyond it those values stay, and the rest goes on "
        "(limits.clear).",
        "5%",
        example=20,
    )
    window: Window = _key(
        'Days (`d`) or hours (`h`) over which limits count; `"0"` for each run alone. A 24th less, so that a run of '
        "last night does not count with that of tonight.",
        "1d",
        example="12h",
    )
    leavers_window: Window | None = _key(
        "The same for accounts that are disabled or deleted, since hardly anybody loses many people every night. "
        "Default: `7d`, or `window` where that is not `1d`.",
        None,
        example="14d",
    )
    ring_errors: Share = _key(
        "The share of the people of a ring who may be held or fail, or a number; a share never trips below 3 people. "
        "Beyond it nobody of the next ring is written.",
        "10%",
        example=5,
    )
    group_loss: Share = _key(
        "How many of its members one run may take from a group, whoever it is for. A share counts only for groups of "
        "at least 10. Beyond it that group is left as it is, and the rest goes on.",
        "30%",
        example="50%",
    )
    group_gain: Share = _key(
        "How many members one run may put into a group, of those that it holds, whoever it is for. A share does not "
        "count for a group that holds nobody. Beyond it that group is left as it is, and the rest goes on.",
        "50%",
        example=10,
    )
    source_rows_drop: Share = _key(
        "By how much the source may shrink from run to run. Beyond it, missing people are not treated as leavers.",
        "10%",
        example="5%",
    )


class Groups(Section):
    """Who is a member of which group. Without this section no group is read or changed."""

    query: str = _text(
        "A SELECT that gives pairs: the key of a person, then the group. The names of the two columns are free. For "
        "sources of kind `sql`.",
        example="SELECT id, team FROM member",
    )
    path: str = _text(
        "A file of pairs, of the kind, encoding and `complete` of `[source]`. A text file has a header line, whose "
        "names are free.",
        example="membership.csv",
    )
    column: str = _text("Instead of pairs: a column of the record that lists groups.", example="group_list")
    separator: str = _text("What separates the groups in that column.", ";", example=",")
    match: Literal["displayName", "id"] = _key(
        "How the source names a group: by `displayName`, without case, or by `id`.", "displayName", example="id"
    )
    nesting: str = _text(
        "A SELECT that gives pairs of groups: outer group, inner group. For sources of kind `sql`.",
        example="SELECT outer_group, inner_group FROM nesting",
    )
    nesting_path: str = _text("A file of pairs of groups, of the kind of `[source]`.", example="nesting.csv")
    base: str = _text(
        "The entry below which the groups are, with their members. For sources of kind `ldap`; groups in groups are "
        "found there, too.",
        example="ou=groups,dc=example,dc=com",
    )
    filter: str = _text(
        "Which entries below `base` are groups.",
        "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)(objectClass=group))",
        example="(objectClass=group)",
    )
    member: str = _text(
        "The attribute of a group that holds the distinguished names of its members, or (`memberUid`) their `uid`.",
        "member",
        example="uniqueMember",
    )
    naming: str = _text("The attribute that names a group.", "cn", example="displayName")
    nested: Literal["keep", "flatten", "refuse"] = _key(
        "What becomes of groups in groups.", "refuse", example="flatten"
    )
    others: Literal["keep", "remove"] = _key(
        "What becomes of members whom HR does not name and whom we did not add.", "keep", example="remove"
    )
    managed: list[str] = _key(
        "The groups that are ours, by name. Default: the groups that the source names, now or before.",
        [],
        example=["Billing"],
    )
    protected: list[str] = _key(
        "Names or ids of groups that are never changed (group.protected). A group that is renamed stays protected.",
        [],
        example=["Admins"],
    )


class Document(BaseModel):
    """The configuration of scimsync: keeps a directory equal to what HR says."""

    model_config = ConfigDict(extra="forbid", strict=True, title="scimsync configuration")

    source: Source
    target: Target
    correlation: Correlation = _section()
    attributes: dict[str, Expression] = Field(
        min_length=1,
        description="The mapping: a SCIM path on the left, an SQL expression over one record on the right.",
    )
    policy: Policy = _section()
    limits: Limits = _section()
    groups: Groups | None = None
    rule: list[Rule] = Field([], description=Rule.__doc__)
    approval: list[Approval] = Field([], description=Approval.__doc__)
    state: State = _section()
    metrics: Metrics = _section()
    log: Log = _section()
    audit: Audit = _section()
    webhook: list[Webhook] = Field([], description=Webhook.__doc__)
    events: Events | None = None
    schedule: list[Schedule] = Field([], description=Schedule.__doc__)
    blackout: list[Blackout] = Field([], description=Blackout.__doc__)
    alarm: list[Alarm] = Field([], description=Alarm.__doc__)
    console: Console = _section()
