"""What databases differ in: their drivers and where to get them, how they are kept from writing, what they let slip.

A driver is named by its package only where we know it: a package that merely bears the driver's name may be anybody's.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

#: driver of an address -> what to install
_PACKAGES = {
    "psycopg": "'scimsync[postgres]'",
    "pymysql": "'scimsync[mysql]'",
    "pymssql": "'scimsync[mssql]'",
    "oracledb": "'scimsync[oracle]'",
    "psycopg2": "psycopg2-binary",
    "pg8000": "pg8000",
    "mysqldb": "mysqlclient",
    "mysqlconnector": "mysql-connector-python",
    "mariadbconnector": "mariadb",
    "pyodbc": "pyodbc",
    "mssqlpython": "mssql-python",
    "cx_oracle": "cx_Oracle",
}
#: drivers that answer to an event loop only, and what to write instead
_ASYNC = {
    "asyncpg": "postgresql+psycopg", "aiomysql": "mysql+pymysql", "asyncmy": "mysql+pymysql",
    "aiosqlite": "sqlite", "aioodbc": "mssql+pymssql",
}  # fmt: skip
#: a database without a driver -> ours, its module, and that of the driver which SQLAlchemy would take
_OURS = {
    "postgres": ("postgresql+psycopg", "psycopg", ""),
    "postgresql": ("postgresql+psycopg", "psycopg", ""),
    "mysql": ("mysql+pymysql", "pymysql", "MySQLdb"),
    "mariadb": ("mariadb+pymysql", "pymysql", "MySQLdb"),
    "mssql": ("mssql+pymssql", "pymssql", "pyodbc"),
    "oracle": ("oracle+oracledb", "oracledb", "cx_Oracle"),
}
#: what MySQL counts as no limit, and the number of its complaint that there is no such variable, so that nothing limits
_NO_LIMIT, _UNKNOWN_VARIABLE = 2**64 - 1, 1193
DIALECTS = "https://docs.sqlalchemy.org/en/21/dialects/"

#: in MySQL nothing that holds these words reads only; comments of the form /*! */ are carried out there
_MYSQL = re.compile(r"\b(OUTFILE|DUMPFILE)\b|/\*M?!", re.IGNORECASE)
#: in SQL Server one text is many statements without anything between them; all of these words are reserved there
_MSSQL = re.compile(
    r"\b(INTO|INSERT|UPDATE|DELETE|MERGE|TRUNCATE|DROP|ALTER|CREATE|EXEC|EXECUTE|GRANT|REVOKE|DENY|BACKUP|RESTORE|BULK"
    r"|SHUTDOWN|KILL|RECONFIGURE|WRITETEXT|UPDATETEXT|DECLARE|SET|USE|OPENROWSET|OPENQUERY|OPENDATASOURCE|DBCC)\b",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"\[[^\]]*\]")

#: what to do next where a database of one of these names complains so; the first that fits
NEXT_STEPS = (
    (r"\((1044|1142|1143),|ORA-01031|ORA-41900|\b(229|230|916)\b.*permission",
     "Let an administrator grant SELECT on the database and its tables to this user."),
    (r"\(1045,|\(1698,|ORA-01017|\(18456,", "Check user and password in url under [source]."),
    (r"\(1049,|ORA-12514|ORA-12505|DPY-6001|DPY-6003|\(4060,", "Check the name of the database in url under [source]."),
    (r"\(1146,|ORA-00942|\(208,", "Check the name of the table, and its schema, in query under [source]."),
    (r"\(1054,|ORA-00904|\(207,", "Check the names of the columns in query under [source]."),
    (r"\(1792,|\(1290,|ORA-01456", "The source is only read: write a query that changes nothing."),
    (r"\(1205,|\(1222,|ORA-00054", "Another program is writing to it: run again when it is finished."),
    (
        r"\((2002|2003|2005|2006|2013|20009|20002),|ORA-12541|ORA-12170|DPY-6005|DPY-4011",
        "Check that host and port in url under [source] can be reached from here, and run again.",
    ),
    (r"\((1317|1927|1969|3024),|ORA-01013",
     "The database ended the query: look whether an administrator or a limit of time did, and run again."),
    (r"\(1064,|ORA-009\d\d|\((102|156),", "Correct query under [source]; try it in a database tool."),
)  # fmt: skip


def driven(url: URL) -> URL:
    """The address with the driver that it is meant for: ours where none is named, unless only another is there.

    Examples:
        >>> from sqlalchemy import make_url
        >>> driven(make_url("postgres://hr/people")).drivername
        'postgresql+psycopg'
    """
    name, module, other = _OURS.get(url.drivername, ("", "", ""))
    if not name or (other and find_spec(module) is None and find_spec(other) is not None):
        return url
    return url.set(drivername=name)


def missing(driver: str, module: str) -> str:
    """What to do about a driver that cannot be loaded.

    Args:
        driver: As in the address, behind the `+`.
        module: What could not be imported.
    """
    if driver in _ASYNC:
        return (
            f"the database driver {driver} works in event loops only. Write {_ASYNC[driver]} at the beginning of url"
            " under [source]"
        )
    if driver in _PACKAGES:
        return f"the database driver {driver} is not installed. Run: pip install {_PACKAGES[driver]}"
    named = f" (its module {module})" if module and module != driver else ""
    return (
        f"the database driver {driver}{named} is not installed. Which package brings it, the page of its dialect says:"
        f" {DIALECTS}; a package that merely has its name may be somebody else's"
    )


def writes(database: str, query: str, bare: str) -> str:
    """What in a query that begins as if it read would write after all; "" for nothing that we know.

    Args:
        database: The name of the dialect.
        query: As it is sent.
        bare: The same without texts, quoted names and comments.
    """
    found = None
    if database in {"mysql", "mariadb"}:
        found = _MYSQL.search(query)
    elif database == "mssql":
        found = _MSSQL.search(_BRACKETS.sub(" ", bare))
    return found[0] if found else ""


#: dialects of which we ask for a transaction that only reads
_READ_ONLY = frozenset({"postgresql", "mysql", "mariadb", "oracle"})


def guard(database: str) -> tuple[str, bool]:
    """What keeps our query from writing, in words; and whether the database itself does.

    Args:
        database: The name of the dialect.
    """
    if database in _READ_ONLY:
        return "the query runs in a read-only transaction, and the database refuses to write", True
    if database == "sqlite":
        return "the file is opened to read only", True
    words = "the database has no read-only transaction"
    words += (
        ": a query that holds a word that writes is not sent" if database == "mssql" else " that we know to ask for"
    )
    return f"{words}, and nothing is ever committed. Give the user the right to read and no other", False


def make_read_only(connection: Connection) -> None:
    """Ask for a transaction that only reads, where the database knows one. SQL Server does not.

    What SQL Server is asked there is never committed, and the words that write are not sent.
    """
    match connection.dialect.name:
        case "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        case "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
        case "mysql" | "mariadb":
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            _give_every_row(connection)
            connection.rollback()
        case "oracle":
            connection.rollback()
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        case _:
            pass


def _give_every_row(connection: Connection) -> None:
    """Lift the limit that a server may set for every SELECT: its answers end early, and nothing says so."""
    try:
        connection.exec_driver_sql(f"SET SESSION sql_select_limit = {_NO_LIMIT}")
    except DBAPIError as error:
        if error.orig is None or error.orig.args[:1] != (_UNKNOWN_VARIABLE,):
            raise


def be_lenient(connection: Any) -> None:  # noqa: ANN401 - of psycopg, which may not be there
    """Have days that Python does not know (`infinity`, years beyond 9999) come as text: of one person, not a fault."""
    from psycopg import DataError  # noqa: PLC0415 - an extra
    from psycopg.adapt import Loader  # noqa: PLC0415
    from psycopg.pq import Format  # noqa: PLC0415

    for name in ("date", "timestamp", "timestamptz"):
        oid = connection.adapters.types[name].oid
        strict = connection.adapters.get_loader(oid, Format.TEXT)

        class Lenient(Loader):
            """Gives what cannot be given as a day as it is written."""

            _strict = strict

            def __init__(self, number: int, context: Any = None) -> None:  # noqa: ANN401 - as its base
                super().__init__(number, context)
                self._inner = self._strict(number, context)

            def load(self, data: Any) -> Any:  # noqa: ANN401 - as its base
                try:
                    return self._inner.load(data)
                except DataError:
                    return bytes(data).decode()

        connection.adapters.register_loader(oid, Lenient)
