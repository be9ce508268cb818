"""Invented people: the same seed gives the same people, in the directory and in a sample HR file.

Person i depends on nothing but the seed and i, so any number of them can be had, from any place on.
Telephone numbers are of ranges kept for fiction (+1 317 555 xxxx, +44 1632 960xxx).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from uuid import UUID

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
_REPORTS = 8
_FIRST_DAY = date(2012, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
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
    draw = Random(f"{seed}:{index}")  # noqa: S311 - invented people, not secrets
    first, last = draw.choice(_FIRST), draw.choice(_LAST)
    department = draw.choice(tuple(DEPARTMENTS))
    country = "GB" if draw.random() < 0.2 else "US"
    skills = draw.sample(SKILLS, draw.randint(0, 4))
    return Person(
        first_name=first,
        last_name=last,
        email=f"{first}.{last}.{index}@example.com".lower(),
        employee_id=_employee_id(index),
        title="Managing Director" if index == 0 else draw.choice(DEPARTMENTS[department]),
        department=department,
        division=draw.choice(DIVISIONS),
        phone=_work_phone(country, index),
        mobile=f"+1463555{index % 10_000:04d}" if draw.random() < 0.3 else None,
        skills=tuple((name, draw.randint(0, 10) / 2) for name in sorted(skills)),
        manager_id=_employee_id((index - 1) // _REPORTS) if index else None,
        hire_date=(_FIRST_DAY + timedelta(days=draw.randrange(5000))).isoformat(),
        active=index == 0 or draw.random() >= 0.02,
        country=country,
    )


def people(seed: int, count: int) -> Iterator[Person]:
    """Invent the first `count` people."""
    return (person(seed, index) for index in range(count))


def account_id(seed: int, index: int) -> str:
    """The id that the simulated directory gives to person number `index`."""
    return identifier(f"user:{seed}:{index}")


def identifier(text: str) -> str:
    """A UUID that depends on nothing but the text."""
    return str(UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest(), version=4))


def _employee_id(index: int) -> str:
    return f"E{index:05d}"


def _work_phone(country: str, index: int) -> str:
    return f"+441632960{index % 1000:03d}" if country == "GB" else f"+1317555{index % 10_000:04d}"
