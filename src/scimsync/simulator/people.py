"""Invented people: the same seed gives the same people, in the directory and in a sample HR file.

Person i depends on nothing but the seed and i, so any number of them can be had, from any place on.
Telephone numbers are of ranges kept for fiction (+1 317 555 xxxx, +44 1632 960xxx).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from random import Random

from msgspec import Struct

DIVISIONS = ("Home", "North", "South", "West", "Remote")
SKILLS = (
    "Billing", "Complaints", "Contracts", "Delivery", "Hardware", "Onboarding", "Payments", "Refunds",
    "Retention", "Sales", "Software", "Warranty",
)  # fmt: skip
LANGUAGES = ("English", "French", "German", "Italian", "Polish", "Spanish")
ROLES = ("employee", "supervisor", "admin", "Agent", "Quality Evaluator", "SCIM Integration")
DEPARTMENTS: dict[str, tuple[str, ...]] = {
    "Customer Care": ("Care Agent", "Senior Care Agent", "Care Team Lead"),
    "Finance": ("Accountant", "Payroll Clerk", "Controller"),
    "People": ("Recruiter", "HR Partner", "Trainer"),
    "Sales": ("Account Manager", "Sales Agent", "Sales Team Lead"),
    "Service Desk": ("Support Agent", "Field Engineer", "Incident Manager"),
    "Quality": ("Quality Analyst", "Process Owner", "Auditor"),
}

_FIRST = (
    "Ada", "Aino", "Bela", "Bruno", "Carla", "Cem", "Dana", "Dario", "Edda", "Emil", "Farah", "Finn", "Gita",
    "Goran", "Hana", "Hugo", "Ines", "Ivo", "Jana", "Jonas", "Kaia", "Kofi", "Lena", "Luca", "Mara", "Milo",
    "Nadia", "Nils", "Olga", "Oskar", "Petra", "Pavel", "Rania", "Rolf", "Sina", "Sven", "Tara", "Theo",
    "Uma", "Viktor", "Wanda", "Yara", "Zoe", "Zoltan",
)  # fmt: skip
_LAST = (
    "Abend", "Adler", "Amato", "Bakker", "Berg", "Brandt", "Costa", "Dahl", "Dvorak", "Eklund", "Ferro",
    "Fischer", "Garde", "Haas", "Holm", "Ilves", "Jansen", "Keller", "Kowal", "Laine", "Lund", "Marek",
    "Moreau", "Nagy", "Novak", "Okoro", "Olsen", "Pires", "Quist", "Rao", "Rossi", "Saar", "Silva", "Stein",
    "Takac", "Toth", "Ude", "Varga", "Vogel", "Weiss", "Yilmaz", "Zeman",
)  # fmt: skip
REPORTS = 8  #: people who report to one manager
_FIRST_LOWER, _LAST_LOWER = tuple(n.lower() for n in _FIRST), tuple(n.lower() for n in _LAST)
_DEPARTMENT_NAMES = tuple(DEPARTMENTS)
FIRST_DAY = date(2012, 1, 2)


class Person(Struct, frozen=True, kw_only=True):
    """One invented person, as an HR system would hold one. `manager_id` is an employee id."""

    first_name: str
    last_name: str
    email: str
    employee_id: str
    title: str
    department: str
    division: str
    phone: str
    mobile: str | None
    skills: tuple[tuple[str, float], ...]
    manager_id: str | None
    hire_date: str
    active: bool
    country: str

    @property
    def display_name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


def person(seed: int, index: int) -> Person:
    """Invent person number `index`, counted from 0; number 0 leads and has no manager."""
    return unfold(index, draw(seed, index))


def draw(seed: int, index: int) -> int:
    """All that chance decides about a person, in 64 bits; `unfold` and `traits` read them.

    A million of these words are eight megabytes, so the directory can hold a million people.
    """
    chance = Random(f"{seed}:{index}")  # noqa: S311 - invented people, not secrets
    bits, dice = chance.getrandbits, chance.random
    word = _below(bits, 44) | _below(bits, 42) << 6
    word |= _below(bits, 6) << 12
    word |= (dice() < 0.2) << 17
    names = _sample(bits, _below(bits, 5))
    if index:
        word |= _below(bits, 3) << 15
    word |= _below(bits, 5) << 46
    word |= (dice() < 0.3) << 49
    for place, name in enumerate(names):
        word |= 1 << (18 + name) | _below(bits, 11) << (30 + 4 * place)
    word |= _below(bits, 5000) << 50
    return word | (index == 0 or dice() >= 0.02) << 63


def _below(bits: Callable[[int], int], limit: int) -> int:
    width = limit.bit_length()
    found = bits(width)
    while found >= limit:
        found = bits(width)
    return found


def _sample(bits: Callable[[int], int], count: int) -> list[int]:
    """Numbers of `count` different skills, in order."""
    pool = list(range(len(SKILLS)))
    for place in range(count):
        last = len(SKILLS) - 1 - place
        chosen = _below(bits, last + 1)
        pool[chosen], pool[last] = pool[last], pool[chosen]
    return sorted(pool[len(SKILLS) - count :])


def email(index: int, word: int) -> str:
    """The mail address of a person."""
    return f"{_FIRST_LOWER[word & 63]}.{_LAST_LOWER[word >> 6 & 63]}.{index}@example.com"


def is_active(word: int) -> bool:
    """Whether a person works here now."""
    return bool(word >> 63)


def department(word: int) -> str:
    """The department of a person."""
    return _DEPARTMENT_NAMES[word >> 12 & 7]


def division(word: int) -> str:
    """The division of a person."""
    return DIVISIONS[word >> 46 & 7]


def skills(word: int) -> tuple[tuple[str, float], ...]:
    """The skills of a person with their levels, by name."""
    mask, levels, held = word >> 18 & 0xFFF, word >> 30, []
    for number, name in enumerate(SKILLS):
        if mask >> number & 1:
            held.append((name, (levels & 15) / 2))
            levels >>= 4
    return tuple(held)


def display_name(word: int) -> str:
    """First and last name of a person."""
    return f"{_FIRST[word & 63]} {_LAST[word >> 6 & 63]}"


def title(index: int, word: int) -> str:
    """The job of a person."""
    return "Managing Director" if index == 0 else DEPARTMENTS[department(word)][word >> 15 & 3]


def phones(index: int, word: int) -> tuple[str, str | None]:
    """The number at work, and the mobile one."""
    mobile = f"+1463555{index % 10_000:04d}" if word >> 49 & 1 else None
    return _work_phone("GB" if word >> 17 & 1 else "US", index), mobile


def unfold(index: int, word: int) -> Person:
    """The person that `draw` put into a word."""
    first, last = _FIRST[word & 63], _LAST[word >> 6 & 63]
    country = "GB" if word >> 17 & 1 else "US"
    return Person(
        first_name=first,
        last_name=last,
        email=email(index, word),
        employee_id=employee_id(index),
        title=title(index, word),
        department=department(word),
        division=division(word),
        phone=phones(index, word)[0],
        mobile=phones(index, word)[1],
        skills=skills(word),
        manager_id=employee_id(manager(index)) if index else None,
        hire_date=(FIRST_DAY + timedelta(days=word >> 50 & 0x1FFF)).isoformat(),
        active=is_active(word),
        country=country,
    )


def manager(index: int) -> int:
    """The number of a person's manager; number 0 has none."""
    return (index - 1) // REPORTS


def people(seed: int, count: int) -> Iterator[Person]:
    """Invent the first `count` people."""
    return (person(seed, index) for index in range(count))


def account_id(seed: int, index: int) -> str:
    """The id that the simulated directory gives to person number `index`."""
    return identifier(f"user:{seed}:{index}")


def identifier(text: str) -> str:
    """A UUID that depends on nothing but the text."""
    h = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:]}"


def employee_id(index: int) -> str:
    """The employee number of person number `index`."""
    return f"E{index:05d}"


def _work_phone(country: str, index: int) -> str:
    return f"+441632960{index % 1000:03d}" if country == "GB" else f"+1317555{index % 10_000:04d}"
