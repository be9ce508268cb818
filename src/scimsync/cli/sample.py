"""A sample HR side, invented by a seeded generator, and the configuration that reads it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from scimsync.simulator.people import Person

COLUMNS = (
    "employee_id", "first_name", "last_name", "email", "job_title", "department", "division", "phone", "mobile",
    "country", "skill_list", "manager_id", "hire_date", "status",
)  # fmt: skip

ATTRIBUTES = """\
[attributes]                                   # SCIM path = SQL expression over one record
userName                             = "lower(trim(email))"
displayName                          = "first_name || ' ' || last_name"
active                               = "one_of(status, ['active'], ['inactive', 'left'])"  # other words decide nothing
externalId                           = "employee_id"
title                                = "job_title"
"enterprise:employeeNumber"          = "employee_id"
"enterprise:department"              = "department"
"enterprise:division"                = "division"
"enterprise:dateHire"                = "hire_date"
"enterprise:manager"                 = "ref(manager_id)"          # the account of that person
'phoneNumbers[type eq "work"].value' = "e164(phone, country)"
'phoneNumbers[type eq "mobile"].value' = { value = "e164(mobile, country)", authority = "cloud_wins" }
"genesys:routingSkills"              = { value = "skills(skill_list)", authority = "merge" }
"""


def record(person: Person) -> dict[str, str | None]:
    """A person as a row of the HR table; phones as people dial them at home."""
    return {
        "employee_id": person.employee_id,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "job_title": person.title,
        "department": person.department,
        "division": person.division,
        "phone": national(person.phone),
        "mobile": person.mobile,
        "country": person.country,
        "skill_list": ";".join(f"{name}:{level:g}" for name, level in person.skills) or None,
        "manager_id": person.manager_id,
        "hire_date": person.hire_date,
        "status": "active" if person.active else "inactive",
    }


def national(phone: str) -> str:
    """An invented number in the spelling of its country.

    Examples:
        >>> national("+13175550100"), national("+442079460100")
        ('(317) 555-0100', '020 7946 0100')
    """
    if phone.startswith("+1") and len(phone) == 12:
        return f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
    if phone.startswith("+4420") and len(phone) == 13:
        return f"020 {phone[5:9]} {phone[9:]}"
    return phone


def rows(people: Iterable[Person]) -> Iterable[Sequence[str | None]]:
    """People as rows in the order of COLUMNS."""
    for person in people:
        found = record(person)
        yield [found[column] for column in COLUMNS]


def write_database(file: Path, people: Iterable[Person]) -> None:
    """Make an SQLite database with these people in its table `employee`, anew."""
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("DROP TABLE IF EXISTS employee")
        database.execute(f"CREATE TABLE employee ({', '.join(f'{c} TEXT' for c in COLUMNS)})")
        insert(database, people)


def insert(database: sqlite3.Connection, people: Iterable[Person]) -> None:
    """Add people to the table `employee`."""
    marks = ", ".join("?" for _ in COLUMNS)
    database.executemany(f"INSERT INTO employee VALUES ({marks})", rows(people))  # noqa: S608 - question marks only
