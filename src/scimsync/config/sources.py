"""The source as it is written in the file: what all kinds share, and the keys of each family of kinds.

A family is a mixin with flat keys below `[source]`; of the bases of `Source` the last comes first in the documentation.
`FITS` says which kinds take a key; what an earlier version passed over in silence (the keys of databases and files) is
passed over still.
"""

from collections.abc import Mapping
from typing import Literal

from scimsync.config.contracts import Expect
from scimsync.config.keys import REFERENCE, Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import or_blank as _or_blank
from scimsync.config.keys import text as _text
from scimsync.config.source_ldap import LDAP_ACCESS, LDAP_KEYS, Ldap

#: key -> the kinds of source that take it; a key that is not here fits all
FITS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        (
            "username", "password", "token", "header", "header_value", "client_id", "client_secret", "token_url",
            "scopes", "audience", "client_auth", "ca_file",
        ),
        frozenset[str](),
    ),
    **dict.fromkeys((*LDAP_ACCESS, *LDAP_KEYS), frozenset({"ldap"})),
}  # fmt: skip
#: kind -> the keys that it cannot do without, besides `kind` and `key`
NEEDS: Mapping[str, tuple[str, ...]] = {
    "sql": ("url", "query"),
    "csv": ("path",),
    "parquet": ("path",),
    "jsonl": ("path",),
    "ldap": ("url", "base"),
}


class Records(Section):
    """What all kinds of source share, and the keys of databases and files."""

    kind: Literal["sql", "csv", "parquet", "jsonl", "ldap"] = _key("What the source is.", example="csv")
    name: str = _text(
        "A name for the source in the state, wherever it is read from. Give one where several sources share a state "
        "(decision 29), or where the place changes. Default: made of kind, place, key column and query.",
        example="hr",
    )
    key: str = _text(
        "The column that identifies a person, for ever. Compared as text; 1001, 1001.0 and a decimal 1001 are one key.",
        ...,
        example="employee_id",
    )
    url: str = _or_blank(
        "Where the source is, or env:NAME. For kind `sql` any SQLAlchemy URL (PostgreSQL takes the extra `postgres`), "
        "for kind `ldap` ldaps://host or ldap://host (the extra `ldap`). Needed for both.",
        example="env:HR_DATABASE_URL",
    )
    query: str = _or_blank(
        "The SELECT that gives one row for each person. It runs in a read-only transaction. Needed for kind `sql`.",
        example="SELECT * FROM employee",
    )
    path: str = _or_blank(
        "The file with the records. Needed for the kinds `csv`, `parquet` and `jsonl`.", example="hr.csv"
    )
    delimiter: str = _text("What separates cells. For kind `csv`.", ",", example=";")
    zone: str = _text(
        "The time zone in which the day of `today()` ends, by its IANA name.", "UTC", example="Europe/Berlin"
    )
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


class Source(Ldap, Access, Records):
    """Where the HR records are. One record is one person."""
