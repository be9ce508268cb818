"""What a configuration holds both ends to: what is expected of the source, and of the directory as it will be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct, field

from scimsync.model.policy import Limit


class Newest(Struct, frozen=True, kw_only=True):
    """A column that says when a record last changed, and how old the newest of them may be."""

    column: str
    within: timedelta


class Expect(Struct, frozen=True, kw_only=True):
    """What is expected of each reading of the source, besides what is learned from the readings before."""

    #: how many records there are, at least and at most
    least: int | None = None
    most: int | None = None
    #: how many of the keys may be gone, and how many new; learned where None
    churn: Limit | None = None
    #: column -> the share of blanks that it may have, 0.0 to 1.0
    blanks: Mapping[str, float] = field(default_factory=dict)
    #: column -> how many of its records any of its values may lose
    shares: Mapping[str, Limit] = field(default_factory=dict)
    newest: Newest | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are named, each once."""
        named = [*self.blanks, *self.shares, *([self.newest.column] if self.newest else [])]
        return tuple(dict.fromkeys(named))


class Rule(Struct, frozen=True, kw_only=True):
    """What must hold of the directory as it will be: a query that gives what is wrong, or a number of people."""

    name: str
    message: str
    #: a SELECT over `before` and `after`; the rule holds where it gives no row
    sql: str = ""
    #: instead: of whom it speaks, and how many of them there may be at least and at most
    where: str = ""
    least: int | None = None
    most: int | None = None
    #: a plan against it is refused; else the plan tells of it
    refuses: bool = True

    @property
    def code(self) -> str:
        """What a person sets aside."""
        return f"rule.{self.name}"


class Contract(Struct, frozen=True, kw_only=True):
    """What both ends are held to."""

    expect: Expect = field(default_factory=Expect)
    rules: tuple[Rule, ...] = ()
