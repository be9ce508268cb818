"""What a person decided about a conflict, and who a person is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import Enum

from msgspec import Struct, field


class Actor(Struct, frozen=True):
    """Who does something, and how that was proven."""

    #: `user@host` on the command line; elsewhere what identifies the person there, such as an address
    name: str
    #: `os` for the user of the operating system; else what a front door has proven them by: `password`, `oidc`
    proof: str = "os"

    @property
    def text(self) -> str:
        """How plans and records write it: `name (proof)`."""
        return f"{self.name} ({self.proof})"

    @classmethod
    def read(cls, text: str) -> Actor:
        """What `text` wrote.

        Examples:
            >>> Actor.read(Actor("ada (temp)@laptop", "os").text)
            Actor(name='ada (temp)@laptop', proof='os')
        """
        name, _, proof = text.rpartition(" (")
        return cls(name, proof.removesuffix(")")) if name else cls(text)

    @property
    def subject(self) -> str:
        """What an OpenID Connect provider knows them by for ever, `issuer#subject`; "" of everybody else.

        Examples:
            >>> Actor("ada@example.com <https://id.example#00u1>", "oidc").subject
            'https://id.example#00u1'
        """
        return self.name.rpartition(" <")[2][:-1] if " <" in self.name and self.name.endswith(">") else ""

    @property
    def shown(self) -> str:
        """The name as people read it; of a provider it may change, and two may bear it."""
        return self.name.rpartition(" <")[0] if self.subject else self.name

    @property
    def person(self) -> str:
        """What people are told apart by: what a provider knows them by, or the name in one spelling."""
        return self.subject or spelled(self.name)

    @property
    def local(self) -> str:
        """The name without host or domain."""
        return spelled(self.shown).partition("@")[0]

    def is_same(self, other: Actor) -> bool:
        """Whether two names may be one person; in doubt they are.

        A user of the operating system is the same on each host, and the same as who bears that name elsewhere. Who is
        called the same by a provider is the same, though two may be: nobody approves what their namesake proposed.

        Examples:
            >>> ada = Actor("ada@laptop")
            >>> ada.is_same(Actor("Ada@SERVER")), ada.is_same(Actor("ADA@example.com", "oidc"))
            (True, True)
            >>> Actor("ada@example.com", "oidc").is_same(Actor("ada@example.org", "oidc"))
            False
            >>> married = Actor("a.lovelace@example.com <https://id.example#00u1>", "oidc")
            >>> married.is_same(Actor("ada@example.com <https://id.example#00u1>", "oidc"))
            True
        """
        if "os" in {self.proof, other.proof} and self.local == other.local:
            return True
        return self.person == other.person or spelled(self.shown) == spelled(other.shown)


def spelled(name: str) -> str:
    """A name in the one spelling in which names are compared."""
    shown = "".join(one for one in unicodedata.normalize("NFKC", name) if unicodedata.category(one) not in {"Cf", "Cc"})
    return "".join(unicodedata.normalize("NFKC", shown.casefold()).split())


class Wins(Enum):
    """Whose value a conflict ends with."""

    HR = "hr"
    DIRECTORY = "directory"


class Scope(Enum):
    """For what a decision holds."""

    ONCE = "once"  #: for these three values of this person
    PERSON = "person"  #: for this attribute of this person, whatever the values
    ATTRIBUTE = "attribute"  #: for this attribute of everybody


class Decision(Struct, frozen=True, kw_only=True):
    """How a conflict ends, because a person said so. It answers conflicts, and nothing else."""

    id: str
    path: str
    #: whom it is about; "" for everybody
    key: str = ""
    wins: Wins
    #: mark of the three values that it was made about (`core.deciding.mark`); "" where it holds whatever they are
    sides: str = ""
    actor: str
    proof: str = "os"
    reason: str = ""
    at: datetime
    #: the last day on which it holds; None for ever
    until: date | None = None
    #: the plan that showed the conflict
    plan: str = ""
    #: when it ended, and who or which run ended it; None and "" as long as it holds
    ended: datetime | None = None
    ended_by: str = ""

    @property
    def scope(self) -> Scope:
        """For what it holds."""
        if not self.key:
            return Scope.ATTRIBUTE
        return Scope.ONCE if self.sides else Scope.PERSON

    def holds(self, today: date) -> bool:
        """Whether it still answers conflicts."""
        return self.ended is None and (self.until is None or self.until >= today)


class Decisions(Struct, frozen=True):
    """The decisions that a plan obeys."""

    held: Mapping[tuple[str, str], Decision] = field(default_factory=dict)

    @classmethod
    def of(cls, decisions: Iterable[Decision], today: date) -> Decisions:
        """Those that hold on a day."""
        return cls({(one.key, one.path): one for one in decisions if one.holds(today)})

    def about(self, key: str, path: str) -> Decision | None:
        """The nearest one: about this attribute of this person, else about this attribute."""
        return (self.held.get((key, path)) or self.held.get(("", path))) if self.held else None
