"""One person seen from both sides, as the workbench hands it to the rules."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct, field

from scimsync.scim.schema import Value


class Pair(Struct, frozen=True, kw_only=True):
    """A record and its account, with the three views of every managed attribute, by short path.

    `account` is None for a person who has none yet; `current` is then empty. `base` holds only the
    paths on which both sides once agreed.
    """

    key: str
    name: str
    row: int | None
    account: str | None
    version: str
    desired: Mapping[str, Value]
    current: Mapping[str, Value] = field(default_factory=dict)
    base: Mapping[str, Value] = field(default_factory=dict)
    #: path -> source key of the person a reference waits for: a joiner of the same plan
    awaits: Mapping[str, str] = field(default_factory=dict)
    #: paths whose reference names nobody that is known: left alone
    unresolved: frozenset[str] = frozenset()
    #: paths whose value in HR is bad: left alone
    left_out: frozenset[str] = frozenset()


class Group(Struct, frozen=True):
    """A group as a listing shows it: without its members."""

    id: str
    name: str


class Membership(Struct, frozen=True):
    """One member of one group, by their ids. The member is an account, or another group."""

    group: str
    account: str


class GroupMemory(Struct, frozen=True, kw_only=True):
    """What is known of groups from earlier runs."""

    #: folded name -> id of the group that it meant
    names: Mapping[str, str] = field(default_factory=dict)
    #: id of a group that was seen to show only a part of its members -> how many it showed; None: not counted yet
    partial: Mapping[str, int | None] = field(default_factory=dict)


class DeletedAccount(Struct, frozen=True, kw_only=True):
    """An account that was deleted, and that the target can bring back."""

    id: str
    #: the login that it had
    login: str
    #: the name that people read
    name: str = ""
    version: str = ""
    #: its employee number; "" where it shows none
    number: str = ""
    #: names of the attributes that come back with it, as SCIM spells them
    holds: tuple[str, ...] = ()


class Leaver(Struct, frozen=True):
    """A linked account whose person is no longer in the source."""

    key: str
    name: str
    account: str
    version: str
    #: what both sides last agreed on about `active`; None where they never did
    agreed: bool | None = None
    #: whether the directory shows that the account is active; if not, it is taken to be
    shown: bool = True


class Stranger(Struct, frozen=True, kw_only=True):
    """An account that HR does not know."""

    account: str
    login: str
    #: as the directory shows it; "" where the mapping has no name
    name: str
    #: None where the directory does not show it
    active: bool | None
    #: [policy] protected names it
    protected: bool = False


class Missing(Enum):
    """Why a reference names nobody who has an account."""

    NOWHERE = "nowhere"  #: neither the source nor a link knows the key
    LOGIN = "login"  #: no account has the login or id
    INACTIVE = "inactive"  #: in the source, as somebody who left
    LEFT_OUT = "left-out"  #: in the source, and left out of this plan
    WITHOUT = "without"  #: in the source, active, and without account in this plan


class Unresolved(Struct, frozen=True):
    """A reference that names nobody who has an account."""

    path: str
    why: Missing
    #: whose reference it is, and whom it names; "" where that is not known
    key: str
    named: str = ""
