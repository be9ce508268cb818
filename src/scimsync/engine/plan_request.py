"""What planning is handed: its ports, and what shall be planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct, field

from scimsync.core.blackout import Holding
from scimsync.core.depths import Rhythm
from scimsync.core.offline import Known
from scimsync.core.presence import ALL_THERE, Presence
from scimsync.core.validity import ALWAYS, Validity
from scimsync.engine.membership import Pairs
from scimsync.engine.metrics import Counted, Unmeasured
from scimsync.engine.ports import Clock, Metrics, Observer, Source, Store, Target
from scimsync.model.contracts import Contract
from scimsync.model.events import Subscription
from scimsync.model.phones import PhoneReader
from scimsync.model.policy import Depth, Policy
from scimsync.scim.dialect import Dialect
from scimsync.scim.generic import GENERIC
from scimsync.scim.schema import Catalog
from scimsync.values import Secretive
from scimsync.workbench.phones import Memo


class PlanPorts(Secretive, frozen=True, kw_only=True):
    """The ports of one run, and the little else that planning needs from outside."""

    source: Source
    target: Target
    store: Store
    clock: Clock
    observer: Observer
    phones: PhoneReader
    #: which way of reading numbers that is; nothing is remembered where ""
    phones_version: Callable[[], str] = lambda: ""
    #: whether numbers that are read now are remembered
    phones_kept: bool = True
    #: makes the tail of a run id, so that two runs in one second differ
    fresh: Callable[[], str]
    #: where memberships come from, where policy manages groups
    pairs: Pairs = field(default_factory=Pairs)
    metrics: Metrics = field(default_factory=Unmeasured)
    #: what the plan is signed with; not signed where None
    key: bytes | None = None
    #: what this run asked so far
    counted: Counted = field(default_factory=Counted)

    @property
    def memo(self) -> Memo:
        """What is remembered of phone numbers."""
        return Memo(self.store.artifact("phones").parent, self.clock.now(), self.phones_version, keeps=self.phones_kept)

    def name(self, created: datetime) -> str:
        """A name that no run has yet: a clock that stepped back shows the same second twice."""
        while True:
            name = f"{created:%Y%m%d-%H%M%S}-{self.fresh()}"
            if self.store.run(name) is None:
                return name


class PlanRequest(Struct, frozen=True, kw_only=True):
    """What shall be planned."""

    policy: Policy
    catalog: Catalog
    #: what both ends are held to
    contract: Contract = field(default_factory=Contract)
    #: what the provider takes, and which names must exist
    dialect: Dialect = GENERIC
    #: column of the source that identifies a person
    key: str
    #: what the source is known by; its people are those of the links that bear this name
    source: str = ""
    #: what an earlier version knew it by
    former: str = ""
    #: texts that stand for nothing in a cell of the source
    null_values: tuple[str, ...] = ()
    #: digest of the effective configuration
    configuration: str
    #: the same part by part
    parts: Mapping[str, str] = field(default_factory=dict)
    #: from when until when the records of the source hold, and the day that the plan is made for
    validity: Validity = ALWAYS
    #: who of the people of the source is there for the directory
    presence: Presence = ALL_THERE
    #: whether blanks around texts of the source are taken away
    trim: bool = False
    #: whether the source delivers only people of whom something changed
    is_delta: bool = False
    #: the time zone of today() in the mapping, and of the days of records
    zone: str = "UTC"
    #: whoever applies asks for a token first
    fetches_token: bool = False
    #: reads of single accounts that run at the same time
    workers: int = 8
    memory_limit: str = "512MB"
    #: how old a value of an expensive attribute may be where the version of the account did not move; 0: read all
    recall: timedelta = timedelta()
    #: how deep the directory is looked at, and how often deeper
    depth: Depth = Depth.FULL
    rhythm: Rhythm = field(default_factory=Rhythm)
    #: keys of the people to look at; everybody where empty
    only: tuple[str, ...] = ()
    #: rule -> reason, for rules that a person sets aside
    overrides: Mapping[str, str] = field(default_factory=dict)
    #: where the accounts are kept as they were read; not kept where None
    keep: Path | None = None
    #: whether the target's schema is compared before it is read
    schema: bool = True
    #: whether each person is told of where several might be told of in one line, so that two plans can be compared
    each: bool = False
    #: the accounts as the last whole reading showed them, where the directory shall not be asked
    offline: Known | None = None
    #: the blackout that holds, in which access is taken away and nothing else is done
    blackout: Holding | None = None
    #: who proposes the plan, so that they do not approve it
    authors: tuple[str, ...] = ()
    #: who is told where the plan may not be applied
    subscriptions: tuple[Subscription, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether it is about some people only: those who are asked for, or whom a delivery of changes holds."""
        return self.is_delta or bool(self.only)
