"""The answer of PostgreSQL to a whole query as one stream of CSV: COPY, in the transaction that reads.

What a column holds is asked for without asking the query itself, and the locks of the question keep it so. A query
with a column whose text Python and PostgreSQL write differently (floats, times with zone) is walked row by row, and so
is one that fails: whoever walks knows the words for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

from msgspec import Struct

from scimsync.model.records import Form, Poured

#: what a column of a type holds, by the number of the type in PostgreSQL
_FORMS = {
    16: Form.TRUTH,
    **dict.fromkeys((20, 21, 23), Form.WHOLE),
    **dict.fromkeys((25, 1042, 1043, 2950), Form.TEXT),  # text, char, varchar, uuid
    1082: Form.DAY,
    1114: Form.TIME,
    1700: Form.NUMBER,
}
#: types from here on are of users, enumerations above all; psycopg gives them as text
_FIRST_OF_USERS = 16_384


class Copying(Struct, frozen=True):
    """One query, on a connection of psycopg that is in a transaction."""

    connection: Any
    query: str
    columns: tuple[str, ...]
    forms: Sequence[Form]

    def pour(self, sink: BinaryIO) -> Poured | None:
        """Write the answer into a file; None where that failed, with the connection ready for another statement."""
        fault = self.connection.__class__.Error  # psycopg is here if it is installed
        try:
            with self.connection.cursor() as cursor:
                with cursor.copy(f"COPY (\n{self.query.rstrip(' ;')}\n) TO STDOUT (FORMAT csv)") as copy:
                    for data in copy:
                        sink.write(data)
                rows = int(cursor.rowcount)
        except fault:
            self.connection.rollback()
            return None
        return Poured(forms=self.forms, rows=rows, keeps_empty=True)


def copying(connection: Any, query: str) -> Copying | None:  # noqa: ANN401 - of psycopg, which may not be there
    """How to copy the answer to a query; None where rows must be walked, or the query is wrong.

    Args:
        connection: Of psycopg.
        query: One statement that reads.
    """
    if connection.info.encoding != "utf-8" or not connection.info.parameter_status("DateStyle").startswith("ISO"):
        return None
    try:
        connection.execute("SELECT 1")  # the transaction begins
        prepared = connection.pgconn.prepare(b"", query.encode())
        told = connection.pgconn.describe_prepared(b"")
    except connection.__class__.Error:
        connection.rollback()
        return None
    if prepared.error_message or told.error_message:
        connection.rollback()
        return None
    names = tuple(told.fname(n).decode() for n in range(told.nfields))
    kinds = [told.ftype(n) for n in range(told.nfields)]
    forms = [Form.TEXT if kind >= _FIRST_OF_USERS else _FORMS.get(kind) for kind in kinds]
    known = [form for form in forms if form is not None]
    # of one column, the line of a NULL is a blank line, which is no record to whoever reads it
    return Copying(connection, query, names, known) if 1 < len(known) == len(forms) else None
