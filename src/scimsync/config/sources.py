"""The source as it is written in the file: what all kinds share, and the keys of each family of kinds.

A family is a mixin with flat keys below `[source]`; of the bases of `Source` the last comes first in the documentation.
`FITS` says which kinds take a key; what an earlier version passed over in silence (the keys of databases and files) is
passed over still.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from scimsync.config.contracts import Expect
from scimsync.config.keys import REFERENCE, Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import or_blank as _or_blank
from scimsync.config.keys import text as _text
from scimsync.config.source_ldap import LDAP, LDAP_ACCESS, LDAP_KEYS, Ldap
from scimsync.config.source_places import ACCESS_KEYS, FILES, PLACE_KEYS, SHEET_KEYS, SHEETS, Places, Sheets
from scimsync.config.source_rest import ACCESS_KEYS as ASKED_ACCESS
from scimsync.config.source_rest import ASKED, ASKED_KEYS, REST, REST_KEYS, SCIM, SCIM_KEYS, Asked

#: keys and the kinds of source that take them, family by family; a kind takes what any family says
_FAMILIES: tuple[tuple[tuple[str, ...], frozenset[str]], ...] = (
    (
        (
            "username", "password", "token", "header", "header_value", "client_id", "client_secret", "token_url",
            "scopes", "audience", "client_auth", "ca_file",
        ),
        frozenset(),
    ),
    (SHEET_KEYS, SHEETS),
    ((*PLACE_KEYS, *ACCESS_KEYS), FILES),
    (("skip_lines", "columns"), frozenset({"csv"})),
    (REST_KEYS, REST),
    (SCIM_KEYS, SCIM),
    (("columns", "page_size", *LDAP_ACCESS, *LDAP_KEYS), LDAP),
    (("columns", *ASKED_KEYS, *ASKED_ACCESS), ASKED),
)  # fmt: skip
#: key -> the kinds of source that take it; a key that is not here fits all
FITS: Mapping[str, frozenset[str]] = {
    key: frozenset().union(*(kinds for keys, kinds in _FAMILIES if key in keys))
    for keys, _ in _FAMILIES
    for key in keys
}
#: kind -> the keys that it cannot do without, besides `kind` and `key`
NEEDS: Mapping[str, tuple[str, ...]] = {
    "sql": ("url", "query"),
    "csv": ("path",),
    "parquet": ("path",),
    "jsonl": ("path",),
    "excel": ("path",),
    "ods": ("path",),
    "rest": ("url", "columns"),
    "scim": ("url", "columns"),
    "ldap": ("url", "base"),
}


Where = Annotated[
    str, Field(min_length=1, description="Where the column stands in a record.", examples=["supervisor.id"])
]


class Records(Section):
    """What all sources share, and the keys of databases and files."""

    kind: Literal["sql", "csv", "parquet", "jsonl", "excel", "ods", "rest", "scim", "ldap"] = _key(
        "What the source is.", example="csv"
    )
    url: str = _or_blank(
        "Any SQLAlchemy URL, or env:NAME. PostgreSQL takes the extra `postgres`, MySQL and MariaDB `mysql`, SQL Server "
        "`mssql`, Oracle `oracle`. For kind `rest` the address of the API, for kind `scim` that of the directory, both "
        "without secrets; for kind `ldap` ldaps://host or ldap://host (extra `ldap`). Needed for the kinds `sql`, "
        "`rest`, `scim` and `ldap`.",
        example="env:HR_DATABASE_URL",
    )
    query: str = _or_blank(
        "The SELECT that gives one row for each person. It runs in a read-only transaction, which SQL Server does not "
        "have (docs/sources/databases.md). Needed for kind `sql`.",
        example="SELECT * FROM employee",
    )
    path: str = _or_blank(
        "The file with the records, or its address: sftp://, s3://, gs://, az:// or https:// (docs/sources/places.md); "
        "env:NAME for an address that lets in whoever has it. Needed for the kinds `csv`, `parquet`, `jsonl`, `excel` "
        "and `ods`.",
        example="hr.csv",
    )
    delimiter: str = _text("What separates cells. For kind `csv`.", ",", example=";")
    encoding: str = _text(
        "The encoding of the file. For the kinds `csv` and `jsonl`; a byte-order mark is understood.",
        "utf-8",
        example="cp1252",
    )
    complete: Literal["unproven", "checksum", "assume"] = _key(
        "What proves that a text file is whole. For the kinds `csv` and `jsonl`.", "unproven", example="checksum"
    )
    null_values: list[str] = _key(
        "Texts that stand for nothing. A cell that holds one of them, and nothing else but white space, is null.",
        [],
        example=["NULL", "#N/A", "-"],
    )
    skip_lines: int = _key(
        "How many lines stand before the header: a title, the date of the export. For kind `csv`.", 0, example=2, ge=0
    )
    columns: list[str] | dict[str, Where] = _key(
        "For kind `csv` the names of the columns of a file that has no header, as many as a line has cells. For the "
        "kinds `rest` and `scim` a table: each column, and where it stands in a record, as a path of members "
        "(`supervisor.id`, `mails[0].value`, `mails[type=work].value`, `?` at the end where no record need have it) or "
        "as a SCIM path; for kind `ldap` a table of columns and attributes, options included (`cn;lang-de`).",
        [],
        example={"id": "id", "manager": "supervisor.id"},
    )


class People(Section):
    """What the source has whose records are the people."""

    name: str = _text(
        "A name for the source in the state, wherever it is read from. Give one where several sources share a state "
        "(decision 29), or where the place changes. Default: made of kind, place, key column and query.",
        example="hr",
    )
    mode: Literal["full", "delta"] = _key(
        "Who is in a delivery: `full` everybody, `delta` only people of whom something changed. Whoever is not in a "
        "delta stays as HR said last (docs/sources/deltas.md). It needs `name`.",
        "full",
        example="delta",
    )
    key: str = _text(
        "The column that identifies a person, for ever. Compared as text; 1001, 1001.0 and a decimal 1001 are one key.",
        ...,
        example="employee_id",
    )
    zone: str = _text(
        "The time zone in which the day of `today()` ends, by its IANA name.", "UTC", example="Europe/Berlin"
    )
    valid_from: str = _text(
        "The first day on which a record holds, as an SQL expression over it; a day that is null never was not. Before "
        "that day nobody joins by it.",
        example="hire_date",
    )
    valid_until: str = _text(
        "The last day on which a record holds, as an SQL expression over it; null for no end. On the day after, its "
        "person left.",
        example="end_date",
    )
    trim: bool = _key(
        "Whether blanks around texts are taken away before the mapping sees them (`CHAR(10)` of a database, say). The "
        "values that are written never have any.",
        False,  # noqa: FBT003 - the default
        example=True,
    )
    where: str = _text(
        "Which records are about people for the directory, as an SQL expression over one record. Whoever has no such "
        "record is out of scope: gets no account, and does not leave by it (`[policy] out_of_scope`).",
        example="country IN ('DE', 'AT')",
    )
    main: str = _text(
        "By what the record of a person is chosen where several hold today, as in ORDER BY: the first counts. Without "
        "it, and where two are equal in it, such a person is held (record.duplicate-key).",
        example="is_primary DESC, hours DESC",
    )
    on_leave: str = _text(
        "Whether a person is on leave, as an SQL expression over one record; `[policy] leave` says what follows.",
        example="status = 'leave'",
    )
    expect: Expect | None = _key(
        "What each reading must be like; one that is not takes nothing from anybody.", None, example={"rows": ">= 900"}
    )


class Access(Section):
    """Who we are to a source behind a network."""

    username: str = _text(
        "The user as whom the source is read, with `password`; env:NAME or file:PATH.", example="env:HR_USER"
    )
    password: str = _like(REFERENCE, "The password of `username`; env:NAME or file:PATH.", example="env:HR_PASSWORD")
    token: str = _like(REFERENCE, "A ready-made bearer token; env:NAME or file:PATH.", example="env:HR_TOKEN")
    header: str = _text("The name of a header that lets us in, with `header_value`.", example="X-API-Key")
    header_value: str = _like(
        REFERENCE, "What stands in `header`, as it is sent; env:NAME or file:PATH.", example="env:HR_API_KEY"
    )
    client_id: str = _text(
        "The id of an OAuth client (client credentials), with `client_secret` and `token_url`; env:NAME or file:PATH.",
        example="env:HR_CLIENT_ID",
    )
    client_secret: str = _like(
        REFERENCE, "The secret of the OAuth client; env:NAME or file:PATH.", example="env:HR_CLIENT_SECRET"
    )
    token_url: str = _text(
        "The whole address at which `client_id` gets its token. https, or http on this machine.",
        example="https://login.example.com/oauth2/token",
    )
    scopes: list[str] = _key("What is asked for with `client_id`.", [], example=["employees.read"])
    audience: str = _text("Whom the token is for (parameter `audience`).", example="https://hr.example.com")
    client_auth: Literal["basic", "post"] | None = _key(
        "How `client_id` and `client_secret` travel: `basic` in the header, `post` in the body. Default: `basic`.",
        None,
        example="post",
    )
    ca_file: str = _text(
        "A file of certificates (PEM) that the server of the source is trusted by, instead of those of this machine.",
        example="hr-ca.pem",
    )


class JoinedSource(Ldap, Asked, Places, Sheets, Access, Records):
    """Another source: each record of the first may have one of it, with columns that the mapping names NAME.column."""

    join: str = _text(
        "What makes a record of it one of a person: `NAME.column = column`, or an expression on each side. Both are "
        "compared as text. Needed where there is no `key`.",
        example="ad.employeeID = hr.employee_id",
    )
    key: str = _text(
        "Instead of `join`: the column of it that holds the key of the person.",
        example="employee_id",
    )


class Source(Ldap, Asked, Places, Sheets, Access, People, Records):
    """Where the HR records are. One record is one person."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, JoinedSource]


def is_joined(name: str | int) -> bool:
    """Whether a name below [source] is none of its keys, so that a table there is a joined source."""
    return name not in Source.model_fields


def with_first(raw: Mapping[str, object]) -> tuple[Mapping[str, object], str]:
    """A file in which each source has a table of its own, with the first one in [source] itself; and its name.

    The first is the one whose records are the people. What is written otherwise is left as it is, and the name is "".
    """
    given = raw.get("source")
    if not isinstance(given, dict) or not given or not all(isinstance(each, dict) for each in given.values()):
        return raw, ""
    first, *others = given
    if first in Source.model_fields:  # [source.expect] alone
        return raw, ""
    joined = {name: given[name] for name in others}
    return {**raw, "source": {"name": first, **given[first], **joined}}, first
