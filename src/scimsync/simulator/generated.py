"""The invented accounts that nobody has written to: each is a number and 64 bits, and a resource when it is read.

A million of them take some 30 MB and ten seconds; an account becomes an object of its own with its first change.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache

import msgspec

from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.schema import CORE_USER, ENTERPRISE_USER
from scimsync.simulator import people
from scimsync.simulator.normalising import EXTERNAL_AUTHORITY

JsonObject = dict[str, object]

SCHEMAS = (CORE_USER, ENTERPRISE_USER, GENESYS_USER)
_MAIL = re.compile(r"[a-z]+\.[a-z]+\.(\d+)@example\.com")
_EMPLOYEE = re.compile(r"E(\d{5,})")
_INDEX_BITS = 24
_INDEX_MASK = (1 << _INDEX_BITS) - 1
_DAYS = tuple((people.FIRST_DAY + timedelta(days=n)).isoformat() for n in range(5000))


class GeneratedUsers:
    """Invented people by number, and what can be found out about them without making them.

    Args:
        seed: Which people.
        count: How many.
        since: When the directory took them in, as seconds; their `lastModified`.
        inactive_roles: Whether the inactive ones kept their roles.
    """

    def __init__(self, seed: int, count: int, since: float, *, inactive_roles: bool = False) -> None:
        if count > _INDEX_MASK:
            raise ValueError(f"no more than {_INDEX_MASK} accounts can be invented")
        self.seed, self.since, self.inactive_roles = seed, since, inactive_roles
        self.words = array("Q", (people.draw(seed, index) for index in range(count)))
        self._ids = array("Q", sorted(_mark(people.account_id(seed, i)) | i for i in range(count)))

    def __len__(self) -> int:
        return len(self.words)

    def id(self, number: int) -> str:
        """The account id of a number."""
        return _id(self.seed, number)

    def number(self, id_: str) -> int | None:
        """The number of an account id."""
        if len(id_) != 36:
            return None
        try:
            mark = _mark(id_)
        except ValueError:
            return None
        place = bisect_left(self._ids, mark)
        while place < len(self._ids) and self._ids[place] & ~_INDEX_MASK == mark:
            number = self._ids[place] & _INDEX_MASK
            if self.id(number) == id_:
                return number
            place += 1
        return None

    def find(self, index: str, key: str) -> Iterable[int]:
        """The numbers of those that have a key in an index of the directory."""
        match index:
            case "userName" | "email":
                return self._only(_MAIL, key.lower(), key)
            case "externalId" | "employeeNumber":
                return self._only(_EMPLOYEE, key, key)
            case "externalIds":
                authority, _, value = key.partition("\n")
                return self._only(_EMPLOYEE, value, value) if authority == EXTERNAL_AUTHORITY else ()
            case "manager":
                number = self.number(key)
                first = len(self) if number is None else number * people.REPORTS + 1
                return range(first, min(first + people.REPORTS, len(self)))
            case "division" if key in people.DIVISIONS:
                wanted = people.DIVISIONS.index(key)
                return [number for number, word in enumerate(self.words) if word >> 46 & 7 == wanted]
        return ()

    def _only(self, pattern: re.Pattern[str], text: str, key: str) -> tuple[int, ...]:
        found = pattern.fullmatch(text)
        number = int(found[1]) if found and len(found[1]) < 10 else len(self)
        if number >= len(self):
            return ()
        names = {people.email(number, self.words[number]), people.employee_id(number)}
        return (number,) if {text, key} & names else ()

    def resource(self, number: int) -> JsonObject:
        """The account as the directory keeps it: what `settle` makes of what was invented."""
        manager = f'{{"value":"{self.id(people.manager(number))}"}}' if number else ""
        return msgspec.json.decode(self.text(number, self.id(number), manager) + b"}", type=JsonObject)

    def text(self, number: int, id_: str, manager: str) -> bytes:
        """The account as JSON, without its end: what follows is `groups`, `meta` and a brace.

        Args:
            number: Which.
            id_: The account id.
            manager: The manager as a JSON object; empty for number 0, who has none.
        """
        word = self.words[number]
        mail, employee = people.email(number, word), people.employee_id(number)
        title, department = people.title(number, word), people.department(word)
        phone, mobile = people.phones(number, word)
        more = f',{{"type":"mobile","value":"{mobile}"}}' if mobile else ""
        above = f',"manager":{manager}' if manager else ""
        roles = f'"roles":{_LEAD if "Lead" in title else _PLAIN},' if word >> 63 or self.inactive_roles else ""
        return (
            f'{_HEAD}{id_}","active":{"true" if word >> 63 else "false"},"userName":"{mail}",'
            f'"displayName":"{people.display_name(word)}","title":"{title}","externalId":"{employee}",'
            f'"emails":[{{"type":"work","value":"{mail}"}},{{"type":"other","value":"{mail}"}}],'
            f'"phoneNumbers":[{{"type":"work","value":"{phone}"}}{more}],'
            f'{roles}"{ENTERPRISE_USER}":{{"division":"{people.division(word)}","department":"{department}",'
            f'"employeeNumber":"{employee}","dateHire":"{_DAYS[word >> 50 & 0x1FFF]}"{above}}},'
            f'"{GENESYS_USER}":{{{_skills(word & _SKILL_BITS)}"externalIds":'
            f'[{{"authority":"{EXTERNAL_AUTHORITY}","value":"{employee}"}}]}}'
        ).encode()


_id = lru_cache(maxsize=65_536)(people.account_id)
_SKILL_BITS = 0xFFF << 18 | 0xFFFF << 30
_HEAD = f'{{"schemas":["{SCHEMAS[0]}","{SCHEMAS[1]}","{SCHEMAS[2]}"],"id":"'
_PLAIN, _LEAD = '[{"value":"employee"}]', '[{"value":"employee"},{"value":"supervisor"}]'


@lru_cache(maxsize=65_536)
def _skills(word: int) -> str:
    held = ",".join(f'{{"name":"{name}","proficiency":{level}}}' for name, level in people.skills(word))
    return f'"routingSkills":[{held}],' if held else ""


def _mark(id_: str) -> int:
    return int(id_[:8] + id_[9:11], 16) << _INDEX_BITS
