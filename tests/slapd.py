"""A throw-away OpenLDAP server for tests: Debian's slapd, real, on a free loopback port, gone afterwards.

    with Slapd(tmp_path, [*entries]) as server:
        server.url, server.tls_url, server.ca_file

Entries are pairs of name and attributes; they are loaded before it starts (slapadd), so it begins full.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import ldap
from tests.postgres import free_port

from scimsync.simulator.tls import make_certificates

SUFFIX = "dc=example,dc=com"
READER, PASSWORD = f"cn=reader,{SUFFIX}", "not-a-secret"
ADMIN = f"cn=admin,{SUFFIX}"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"

Value = str | bytes | Sequence[str | bytes]
Item = tuple[str, Mapping[str, Value | None]]

_PATIENCE = 20.0
_CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile {folder}/pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
attributetype ( 1.3.6.1.4.1.99999.1 NAME 'hireTime' SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.2 NAME 'onSite' SYNTAX 1.3.6.1.4.1.1466.115.121.1.7 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.159 NAME 'accountExpires' SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.146 NAME 'objectSid' SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
sizelimit {limit}
{more}
database mdb
directory {folder}/data
maxsize 268435456
dbnosync
suffix "{suffix}"
rootdn "{admin}"
rootpw {password}
index objectClass eq
{limits}
access to attrs=userPassword by anonymous auth by dn.exact="{reader}" read by * none
access to * by dn.exact="{reader}" read by anonymous {anonymous} by * none
overlay memberof
"""


class Slapd:
    """One server. What a test may want otherwise is an argument."""

    def __init__(
        self,
        folder: Path,
        items: Iterable[Item] = (),
        *,
        limits: str = "",
        limit: str = "500",
        anonymous: str = "none",
        more: str = "",
    ) -> None:
        """Write the configuration and load the entries.

        Args:
            folder: Where it lives.
            items: The entries besides the suffix, the reader and the two units.
            limits: The line `limits` of the database; by default the reader has none.
            limit: How many entries anybody else is given.
            anonymous: What nobody may do.
            more: Lines before the database.
        """
        self.folder = folder / f"slapd-{len([*folder.glob('slapd-*')])}"
        (self.folder / "data").mkdir(parents=True)
        self._limits = limits or f'limits dn.exact="{READER}" size=unlimited time=unlimited'
        self._limit, self._anonymous, self._more = limit, anonymous, more
        self.ca_file = make_certificates(self.folder)[0]
        self.port, self.tls_port = free_port(), free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._write()
        self._load([*_ground(), *items])

    @property
    def url(self) -> str:
        """The address in clear, which also offers StartTLS."""
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """The address under TLS."""
        return f"ldaps://127.0.0.1:{self.tls_port}"

    def __enter__(self) -> Slapd:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _write(self) -> None:
        text = _CONF.format(
            folder=self.folder, limit=self._limit, limits=self._limits, suffix=SUFFIX, admin=ADMIN,
            password=PASSWORD, reader=READER, anonymous=self._anonymous, more=self._more,
        )  # fmt: skip
        (self.folder / "slapd.conf").write_text(text)

    def _load(self, items: Iterable[Item]) -> None:
        command = [_binary("slapadd"), "-q", "-f", str(self.folder / "slapd.conf")]
        ldif = "\n".join(_ldif(name, values) for name, values in items)
        made = subprocess.run(command, input=ldif.encode(), capture_output=True, check=False)
        if made.returncode:
            message = f"slapadd failed: {made.stderr.decode()[-2000:]}"
            raise RuntimeError(message)

    def start(self) -> None:
        """Start it."""
        for _ in range(3):  # somebody may take a port between our look and the start
            command = [
                _binary("slapd"),
                "-d",
                "0",
                "-f",
                str(self.folder / "slapd.conf"),
                "-h",
                f"{self.url} {self.tls_url}",
            ]
            with (self.folder / "log").open("ab") as log:
                self._server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
            if self._answers():
                return
            self.stop()
            self.port, self.tls_port = free_port(), free_port()
        message = f"slapd does not start: {(self.folder / 'log').read_text()[-2000:]}"
        raise RuntimeError(message)

    def _answers(self) -> bool:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and self._server and self._server.poll() is None:
            try:
                self.admin().unbind_s()
            except ldap.LDAPError:
                time.sleep(0.05)
            else:
                return True
        return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it, as an administrator does or (SIGKILL) as power does."""
        if self._server is None:
            return
        if self._server.poll() is None:
            self._server.send_signal(number)
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server = None

    def limit(self, limits: str) -> None:
        """Set the limits of the database, and start again."""
        self.stop()
        self._limits = limits
        self._write()
        self.start()

    def admin(self) -> ldap.ldapobject.SimpleLDAPObject:
        """A connection that may do everything."""
        link = ldap.initialize(self.url)
        link.set_option(ldap.OPT_NETWORK_TIMEOUT, 5)
        link.simple_bind_s(ADMIN, PASSWORD)
        return link

    def change(self, name: str, **values: Value | None) -> None:
        """Set attributes of an entry; None takes one away."""
        link = self.admin()
        link.modify_s(name, [(ldap.MOD_REPLACE, key, _values(value) or None) for key, value in values.items()])
        link.unbind_s()

    def add(self, *items: Item) -> None:
        """Add entries."""
        link = self.admin()
        for name, values in items:
            link.add_s(name, [(key, _values(value)) for key, value in values.items() if _values(value)])
        link.unbind_s()

    def delete(self, name: str) -> None:
        """Take an entry away."""
        link = self.admin()
        link.delete_s(name)
        link.unbind_s()


def person(uid: str, **values: Value | None) -> Item:
    """A person below `PEOPLE`."""
    kinds = ["inetOrgPerson", "extensibleObject"]
    return f"uid={uid},{PEOPLE}", {"objectClass": kinds, "uid": uid, "cn": uid, "sn": uid, **values}


def group(name: str, *members: str) -> Item:
    """A group below `GROUPS`, with the names of its members."""
    return f"cn={name},{GROUPS}", {"objectClass": "groupOfNames", "cn": name, "member": [*members]}


def _ground() -> list[Item]:
    reader = {"objectClass": ["organizationalRole", "simpleSecurityObject"], "cn": "reader", "userPassword": PASSWORD}
    return [
        (SUFFIX, {"objectClass": ["dcObject", "organization"], "dc": "example", "o": "Example"}),
        (READER, reader),
        (PEOPLE, {"objectClass": "organizationalUnit", "ou": "people"}),
        (GROUPS, {"objectClass": "organizationalUnit", "ou": "groups"}),
    ]


def _values(value: Value | None) -> list[bytes]:
    if value is None:
        return []
    several = [value] if isinstance(value, str | bytes) else value
    return [one.encode() if isinstance(one, str) else one for one in several]


def _ldif(name: str, values: Mapping[str, Value | None]) -> str:
    lines = [f"dn:: {base64.b64encode(name.encode()).decode()}"]
    for key, value in values.items():
        lines += [f"{key}:: {base64.b64encode(one).decode()}" for one in _values(value)]
    return "\n".join(lines) + "\n"


def _binary(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path=f"/usr/sbin{os.pathsep}/usr/local/sbin")
    if path is None:
        message = f"tests need OpenLDAP ({name}); run tools/system-packages"
        raise RuntimeError(message)
    return path
