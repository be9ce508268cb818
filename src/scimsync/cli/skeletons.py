"""What `init --source KIND` writes below `[source]`, and what of the sample mapping fits such a source."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct, field

_KEY = '= "employee_id"                       # the column that identifies a person, for ever\n'
_QUERY = 'query = "SELECT * FROM employee"               # one row for each person\n'
_UNPROVEN = 'complete = "unproven"                          # a text file proves nothing by absence; see the docs\n'


class Skeleton(Struct, frozen=True, kw_only=True):
    """One kind of source."""

    text: str
    #: the sample that is written beside it; "" for none
    sample: str = ""
    #: environment variables that it refers to
    variables: tuple[str, ...] = ()
    #: columns of the sample mapping that such a source does not have by itself
    lacks: frozenset[str] = frozenset()
    #: SCIM path -> expression, where the sample's does not fit
    instead: Mapping[str, str] = field(default_factory=dict)

    def mapping(self, attributes: str) -> str:
        """The sample mapping, without what is made of columns that are not there."""
        lines = []
        for line in attributes.splitlines(keepends=True):
            path, sign, rest = line.partition(" = ")
            expression = self.instead.get(path.strip(" '\""))
            if sign and expression is not None:
                bare = re.sub('"[^"]*"', f'"{expression}"', rest.partition("  #")[0].rstrip(), count=1)
                lines.append(f"{path} = {bare}\n")
            elif not any(re.search(rf"\b{column}\b", line.partition("=")[2]) for column in self.lacks):
                lines.append(line)
        return "".join(lines)


def _database(driver: str, example: str) -> Skeleton:
    """A database behind a network; `driver` is the extra that it takes."""
    return Skeleton(
        text=f"""\
kind  = "sql"                                  # pip install 'scimsync[{driver}]'; see docs/sources/databases.md
url   = "env:HR_DATABASE_URL"                  # for instance {example}
{_QUERY}key   {_KEY}""",
        variables=("HR_DATABASE_URL",),
    )


def _file(kind: str, name: str, more: str = "") -> Skeleton:
    """A file of this machine."""
    path = f'"{name}"'
    return Skeleton(
        text=f"""\
kind     = "{kind}"
path     = {path:<36}# or an address: sftp://, s3://, gs://, az://, https:// (docs/sources/places.md)
key      {_KEY}{more}"""
    )


def _placed(path: str, more: str, *variables: str) -> Skeleton:
    """A CSV file that lies elsewhere."""
    return Skeleton(
        text=f"""\
kind     = "csv"                               # or jsonl, parquet, excel, ods; see docs/sources/places.md
path     = {path}
{more}key      {_KEY}{_UNPROVEN}""",
        variables=variables,
    )


_REST = """\
kind                = "rest"                   # any API that lists people as JSON; see docs/sources/rest.md for recipes
url                 = "https://hr.example.com/api/people"
token               = "env:HR_TOKEN"           # or username and password, header and header_value, or OAuth
records             = "data.employees"         # where the list stands in an answer; left out: the answer is the list
paging              = "page"                   # none, page, offset, cursor, link or next
page_size_parameter = "limit"
page_size           = 100
total               = "meta.total"             # or header:NAME; proves that all came, else nobody leaves by absence
key                 = "employee_id"            # the column that identifies a person, for ever

[source.columns]                               # column = where it stands in a record; ? where nobody need have it
employee_id = "id"
first_name  = "firstName"
last_name   = "lastName"
email       = "work.mail"
job_title   = "job.title?"
department  = "job.department?"
division    = "job.division?"
phone       = "work.phone?"
mobile      = "work.mobile?"
country     = "country?"
skill_list  = "skills?"                        # as name:level;name:level
manager_id  = "supervisor.id?"
hire_date   = "hireDate?"
status      = "status"
"""
_SCIM = """\
kind    = "scim"                               # another SCIM directory; see docs/sources/scim.md
url     = "https://hr.example.com/scim/v2"     # what stands before /Users
dialect = "generic"                            # how it departs from the RFC, as at [target]
token   = "env:HR_TOKEN"                       # or username and password, header and header_value, or OAuth
key     = "employee_id"                        # the column that identifies a person, for ever

[source.columns]                               # column = SCIM path
employee_id = "externalId"
first_name  = "name.givenName"
last_name   = "name.familyName"
email       = 'emails[type eq "work"].value'
job_title   = "title"
department  = "enterprise:department"
division    = "enterprise:division"
phone       = 'phoneNumbers[type eq "work"].value'
mobile      = 'phoneNumbers[type eq "mobile"].value'
status      = "active"
"""
_LDAP = """\
kind     = "ldap"                              # pip install 'scimsync[ldap]'; see docs/sources/ldap.md
url      = "ldaps://ldap.example.com"          # ca_file where no authority of this machine signed its certificate
base     = "ou=people,dc=example,dc=com"       # where the people are
filter   = "(objectClass=inetOrgPerson)"
username = "cn=scimsync,ou=services,dc=example,dc=com"
password = "env:LDAP_PASSWORD"
key      = "employee_id"                       # the column that identifies a person, for ever

[source.columns]                               # column = attribute
employee_id = "employeeNumber"
first_name  = "givenName"
last_name   = "sn"
email       = "mail"
job_title   = "title"
department  = "departmentNumber"
phone       = "telephoneNumber"
mobile      = "mobile"
country     = "c"
manager     = "manager"                        # beside it comes manager_key: the key of who has that name

[source.multi_valued]                          # what becomes of several values: refuse (default), first or join
mail = "first"
"""
_AD = """\
kind     = "ldap"                              # pip install 'scimsync[ldap]'; see docs/sources/ldap.md
url      = "ldaps://dc1.example.com"           # ca_file where no authority of this machine signed its certificate
base     = "ou=Staff,dc=example,dc=com"        # where the people are
filter   = "(&(objectCategory=person)(objectClass=user))"
username = "scimsync@example.com"
password = "env:LDAP_PASSWORD"
key      = "employee_id"                       # the column that identifies a person, for ever

[source.columns]                               # column = attribute
employee_id = "employeeID"
first_name  = "givenName"
last_name   = "sn"
email       = "mail"
job_title   = "title"
department  = "department"
division    = "division"
phone       = "telephoneNumber"
mobile      = "mobile"
country     = "c"
manager     = "manager"                        # beside it comes manager_key: the key of who has that name
uac         = "userAccountControl"             # beside it comes account_disabled
"""
_BY_MANAGER = {"enterprise:manager": "ref(manager_key)"}

#: what --source takes
SKELETONS: Mapping[str, Skeleton] = {
    "csv": Skeleton(
        text=f"""\
kind     = "csv"                               # what else there is: scimsync init --help
path     = "hr.csv"                            # the sample; for a database: kind = "sql", url, query
key      {_KEY}{_UNPROVEN}""",
        sample="hr.csv",
    ),
    "sql": Skeleton(
        text=f"""\
kind  = "sql"                                  # what else there is: scimsync init --help
url   = "sqlite:///hr.db"                      # the sample; any SQLAlchemy URL, best as env:NAME
{_QUERY}key   {_KEY}""",
        sample="hr.db",
    ),
    "postgres": _database("postgres", "postgresql+psycopg://reader:...@host/hr"),
    "mysql": _database("mysql", "mysql://reader:...@host/hr, or mariadb://"),
    "mssql": _database("mssql", "mssql://reader:...@host/hr; the user must be db_datareader and nothing else"),
    "oracle": _database("oracle", "oracle://reader:...@host/?service_name=HR"),
    "jsonl": _file("jsonl", "hr.jsonl", _UNPROVEN),
    "parquet": _file("parquet", "hr.parquet"),
    "excel": _file(
        "excel", "hr.xlsx", "header_row = 1                                 # pip install 'scimsync[excel]'\n"
    ),
    "ods": _file("ods", "hr.ods", "header_row = 1                                 # pip install 'scimsync[excel]'\n"),
    "sftp": _placed(
        "\"sftp://reader@files.example.com/out/hr.csv\"   # pip install 'scimsync[sftp]'",
        """\
host_key = "SHA256:..."                        # of the server, as its administrator tells it: ssh-keygen -lf
password = "env:SFTP_PASSWORD"                 # or key_file
ready    = "stable"                            # or done, sha256: what says that the file is whole
""",
        "SFTP_PASSWORD",
    ),
    "s3": _placed(
        "\"s3://bucket/out/hr.csv\"            # pip install 'scimsync[objects]'; gs:// and az:// too",
        """\
username = "env:AWS_ACCESS_KEY_ID"             # left out: whoever this machine is to the cloud
password = "env:AWS_SECRET_ACCESS_KEY"
storage_region = "eu-central-1"
""",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ),
    "https": _placed(
        '"https://hr.example.com/export/hr.csv"   # or env:NAME for a signed address',
        'token    = "env:HR_TOKEN"                      # or username and password, or header and header_value\n',
        "HR_TOKEN",
    ),
    "rest": Skeleton(text=_REST, variables=("HR_TOKEN",)),
    "scim": Skeleton(
        text=_SCIM,
        variables=("HR_TOKEN",),
        lacks=frozenset({"manager_id", "hire_date", "skill_list"}),
        instead={
            "active": "status",
            'phoneNumbers[type eq "work"].value': "phone",
            'phoneNumbers[type eq "mobile"].value': "mobile",
        },
    ),
    "ldap": Skeleton(
        text=_LDAP,
        variables=("LDAP_PASSWORD",),
        lacks=frozenset({"division", "hire_date", "skill_list"}),
        instead={**_BY_MANAGER, "active": "true"},
    ),
    "ad": Skeleton(
        text=_AD,
        variables=("LDAP_PASSWORD",),
        lacks=frozenset({"hire_date", "skill_list"}),
        instead={**_BY_MANAGER, "active": "not coalesce(account_disabled, false)"},
    ),
}
