"""The keys of an LDAP directory below `[source]`; what is judged of them together stands in `directories`."""

from typing import Annotated, Literal

from pydantic import Field

from scimsync.config.keys import Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import or_blank as _or_blank
from scimsync.config.keys import text as _text

#: the keys of this family, and of those of others the ones that fit it
LDAP_KEYS = (
    "base", "filter", "scope", "attributes", "multi_valued", "separator", "references", "referrals",
    "starttls", "anonymous",
)  # fmt: skip
LDAP = frozenset({"ldap"})
LDAP_ACCESS = ("username", "password", "ca_file")

Rule = Literal["refuse", "first", "join"]
_Name = Annotated[str, Field(min_length=1)]


class Ldap(Section):
    """How people are found in an LDAP directory."""

    base: str = _or_blank(
        "The entry below which the people are. Needed for kind `ldap`.", example="ou=people,dc=example,dc=com"
    )
    filter: str = _text(
        "Which entries are people. For kind `ldap`.",
        "(objectClass=person)",
        example="(&(objectCategory=person)(objectClass=user)(employeeID=*))",
    )
    scope: Literal["subtree", "one"] = _key(
        "How deep below `base` people are looked for: everywhere (`subtree`), or directly below it (`one`).",
        "subtree",
        example="one",
    )
    attributes: list[_Name] = _key(
        "The attributes that are read, each a column of its name; `columns` gives columns other names. `dn` is the "
        "name of the entry. Default: every attribute that anybody has, but bytes and secrets.",
        [],
        example=["uid", "mail", "manager"],
    )
    multi_valued: dict[str, Annotated[Rule, _key("What becomes of several of its values.", example="join")]] = _key(
        "What becomes of several values of one attribute, by attribute; `*` for all others. `refuse` the reading, take "
        "the `first` as the server gives them, or `join` them in alphabetical order.",
        {},
        example={"mail": "first", "memberOf": "join"},
    )
    separator: str = _text("What stands between values that are joined.", ";", example="|")
    references: list[str] = _key(
        "Attributes that hold the distinguished name of somebody. Beside each stands a column with `_key` behind its "
        "name: the key of that person, found by RFC 4514.",
        ["manager"],
        example=["manager", "secretary"],
    )
    referrals: Literal["refuse", "leave"] = _key(
        "What becomes of a reading where a part of the tree is on another server: `refuse` it, or `leave` that part "
        "out because none of the people are there.",
        "refuse",
        example="leave",
    )
    starttls: bool | None = _key(
        "Whether a connection to `ldap://` goes on under TLS before anything is said. Default: yes, but for this "
        "machine.",
        None,
        example=True,
    )
    anonymous: bool = _key(
        "Whether the directory is read without `username` and `password`.", default=False, example=True
    )
