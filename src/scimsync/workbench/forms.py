"""Mend the accounts of a spool file whose values have another form than their schema gives them, and name them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from scimsync.model.plans import Finding, Severity
from scimsync.scim.fitting import fitted
from scimsync.scim.schema import Catalog
from scimsync.workbench.bench import MARK, encode

#: accounts of one kind that a finding names
_NAMED = 3


class Forms:
    """Brings accounts into the form of their schema, and remembers whose values were odd."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        #: (path, whether it could be read) -> how many accounts, and the ids of the first
        self._odd: dict[tuple[str, bool], tuple[int, list[str]]] = {}

    def mend(self, path: Path) -> None:
        """Write a file of resources anew, one JSON object a line, each in the form of its schema."""
        mended = path.with_suffix(".mended")
        with path.open("rb") as read, mended.open("wb") as write:
            for line in read:
                found, odd = fitted(msgspec.json.decode(line, type=dict[str, object]), self._catalog)
                places = sorted(odd.lost | odd.read)
                if places:  # looked at anew in each plan, and told of again
                    found[MARK] = None
                write.write(encode(found) + b"\n")
                for place in places:
                    self._note(place, str(found.get("id", "")), is_read=place not in odd.lost)
        mended.replace(path)

    def _note(self, place: str, account: str, *, is_read: bool) -> None:
        number, named = self._odd.get((place, is_read), (0, []))
        if account not in named:
            self._odd[place, is_read] = (number + 1, [*named, account][:_NAMED])

    @property
    def findings(self) -> list[Finding]:
        """One finding for each attribute."""
        return [
            Finding(
                severity=Severity.INFO if is_read else Severity.WARNING,
                code="account.odd",
                subject=place,
                summary="accounts have a value in another form than the schema gives it",
                detail=f"{number:,} {'account' if number == 1 else 'accounts'} ({', '.join(named)}"
                f"{', ...' if number > len(named) else ''}): "
                f"{'read all the same' if is_read else 'it cannot be read, and counts as absent'}",
                hint="correct it in the directory" if not is_read else "nothing to do",
            )
            for (place, is_read), (number, named) in sorted(self._odd.items())
        ]
