"""One connection to an LDAP directory that only searches: TLS, bind, pages, and the words for what goes wrong.

Here lives the knowledge of python-ldap. Nothing is believed of what stands around it: neither the file ldap.conf nor
the environment says here whom we trust, how much we read or where referrals lead. The result code of every page
is looked at (python-ldap raises each that is not success), every page must carry the control that says whether there
are more, and a name that stands on two pages is refused: what ends well is whole.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import ldap
import ldap.dn
from ldap.controls import SimplePagedResultsControl
from ldap.schema.models import AttributeType
from msgspec import Struct

from scimsync.adapters.source_ldap_faults import reason, refuse
from scimsync.errors import SourceError
from scimsync.values import Secretive

#: description of an attribute, as the server spells it -> its values
Values: TypeAlias = dict[str, list[bytes]]
#: name of an entry, and what it holds
Entry: TypeAlias = tuple[str, Values]

SCOPES = {"base": ldap.SCOPE_BASE, "one": ldap.SCOPE_ONELEVEL, "subtree": ldap.SCOPE_SUBTREE}
#: partitions of Active Directory to which a search from its root always points, and in which nobody lives (documented)
_EMPTY_OF_PEOPLE = ("dc=domaindnszones,", "dc=forestdnszones,", "cn=configuration,")
#: so long at most without looking whether somebody wants to end this
_SLICE = 0.5
_RANGE = re.compile(r";range=(\d+)-(\d+|\*)", re.IGNORECASE)
_PAGED = "1.2.840.113556.1.4.319"
_START_TLS = "1.3.6.1.4.1.1466.20037"
_ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"


class LdapAccess(Secretive, frozen=True, kw_only=True):
    """Where the directory is, who we are to it, and whom we trust."""

    url: str
    username: str = ""
    password: str = ""
    anonymous: bool = False
    #: None: wherever the address leads to another machine
    starttls: bool | None = None
    ca_file: Path | None = None
    #: follow, in words, nothing: whether a part of the tree that is elsewhere may be left out
    leave_referrals: bool = False
    #: seconds for one answer
    patience: float = 150.0

    @property
    def host(self) -> str:
        """The machine, and its port where one is named."""
        return urlsplit(self.url).netloc or self.url

    @property
    def is_here(self) -> bool:
        """Whether the address is this machine."""
        given = urlsplit(self.url)
        return given.scheme == "ldapi" or given.hostname in {"localhost", "127.0.0.1", "::1"}

    @property
    def starts_tls(self) -> bool:
        """Whether a connection that begins in clear goes on under TLS before anything is said."""
        return urlsplit(self.url).scheme == "ldap" and (not self.is_here if self.starttls is None else self.starttls)

    @property
    def is_secret(self) -> bool:
        """Whether nobody on the way reads along."""
        return urlsplit(self.url).scheme == "ldaps" or self.starts_tls


class Server(Struct, frozen=True):
    """What a directory says about itself."""

    vendor: str
    contexts: Sequence[str]
    pages: bool
    offers_tls: bool


class Directory:
    """A connection that has said who it is. Search requests only."""

    def __init__(self, access: LdapAccess) -> None:
        """Connect, and bind.

        Raises:
            SourceError: The server cannot be reached, is not to be trusted, or does not let us in.
        """
        self.access, self.where = access, f"{access.url}"
        self._check()
        self._link = ldap.initialize(access.url)
        try:
            self._prepare()
            self._enter()
        except KeyboardInterrupt:
            self._let_go()
            raise
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Directory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._let_go()
        else:
            self.close()

    def close(self) -> None:
        """Let go of the connection."""
        with suppress(ldap.LDAPError, AttributeError):
            self._link.unbind_ext()

    def _let_go(self) -> None:
        """Let go without a word: a signal inside of the library leaves its lock held, and whoever asks waits for ever.

        The connection is closed with the object.
        """
        with suppress(AttributeError):
            del self._link

    # --- the way in -------------------------------------------------------------------------

    def _check(self) -> None:
        access = self.access
        if not access.is_here and not access.is_secret:
            message = (
                f"{self.where}: the password and the people would travel in clear, and whoever is on the way could"
                " leave people out. Take starttls = false away, or write ldaps:// in url under [source]."
            )
            raise SourceError(message)
        if not access.anonymous and not (access.username and access.password):
            message = (
                f"{self.where}: a user without a password is nobody to a directory, and reads what nobody may read."
                " Set username and password under [source], or say anonymous = true."
            )
            raise SourceError(message)

    def _prepare(self) -> None:
        link, access = self._link, self.access
        link.protocol_version = ldap.VERSION3
        link.timeout = access.patience
        options = {
            ldap.OPT_REFERRALS: ldap.OPT_OFF,
            ldap.OPT_DEREF: ldap.DEREF_NEVER,
            ldap.OPT_SIZELIMIT: 0,
            ldap.OPT_TIMELIMIT: 0,
            ldap.OPT_NETWORK_TIMEOUT: min(10.0, access.patience),
            ldap.OPT_X_KEEPALIVE_IDLE: 30,
            ldap.OPT_X_KEEPALIVE_INTERVAL: 10,
            ldap.OPT_X_KEEPALIVE_PROBES: 3,
        }
        if access.is_secret:
            options[ldap.OPT_X_TLS_REQUIRE_CERT] = ldap.OPT_X_TLS_DEMAND
            options[ldap.OPT_X_TLS_PROTOCOL_MIN] = ldap.OPT_X_TLS_PROTOCOL_TLS1_2
        for option, value in options.items():
            link.set_option(option, value)
        if not access.is_secret:
            return
        trusted = access.ca_file or ssl.get_default_verify_paths().cafile
        try:
            ssl.create_default_context(cafile=trusted)
            if trusted:
                link.set_option(ldap.OPT_X_TLS_CACERTFILE, str(trusted))
            link.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # what was said above counts from here on
        except (ldap.LDAPError, ValueError, OSError):
            message = f"{self.where}: the certificates in {trusted} cannot be read. Set ca_file under [source] to PEM."
            raise SourceError(message) from None

    def _enter(self) -> None:
        access = self.access
        try:
            if access.starts_tls:
                self._link.start_tls_s()
            if not access.anonymous:
                self._link.simple_bind_s(access.username, access.password)
            else:
                self._link.simple_bind_s("", "")
        except (ldap.SERVER_DOWN, ldap.CONNECT_ERROR) as fault:
            if access.is_secret and (why := _distrust(access)):
                message = f"{self.where}: {why}"
                raise SourceError(message) from None
            refuse(self.where, "cannot be reached", fault)
        except ldap.LDAPError as fault:
            refuse(self.where, "does not let us in", fault)

    # --- searching --------------------------------------------------------------------------

    def pages(
        self, base: str, scope: str, filter_: str, attributes: Sequence[str], size: int
    ) -> Iterator[Sequence[Entry]]:
        """All entries below `base` that fit, a page at a time; each page has been looked at.

        Raises:
            SourceError: The reading is not whole: a limit was met, a part is elsewhere, the connection is lost, the
                server does not page, or answers anything but success.
        """
        where, count, cookie = f"{self.where} (base {base!r})", 0, b""
        while True:
            control = SimplePagedResultsControl(True, size=size, cookie=cookie)  # noqa: FBT003 - critical
            try:
                asked = self._link.search_ext(base, SCOPES[scope], filter_, list(attributes), serverctrls=[control])
                found, controls = self._answer(asked)
            except ldap.LDAPError as fault:
                what = f"reading broke off after {count:,} entries, and nothing of them is used" if count else ""
                refuse(where, what or "cannot be read", fault)
            entries = [(name, values) for name, values in found if name is not None]
            self._referred(where, [link for name, links in found if name is None for link in links])
            count += len(entries)
            yield entries
            paged = next((c for c in controls if c.controlType == _PAGED), None)
            if paged is None:
                message = (
                    f"{where}: the server does not say whether there are more people than the {count:,} it gave (no"
                    " paged results control in its answer), so nothing of it is used. Ask its administrator for paged"
                    " results (RFC 2696)."
                )
                raise SourceError(message)
            cookie = paged.cookie
            if not cookie:
                return

    def entry(self, name: str, attributes: Sequence[str]) -> Values:
        """What one entry holds.

        Raises:
            SourceError: It cannot be read.
        """
        try:
            asked = self._link.search_ext(name, ldap.SCOPE_BASE, "(objectClass=*)", list(attributes))
            found, _ = self._answer(asked)
        except ldap.LDAPError as fault:
            refuse(f"{self.where} (base {name!r})", "cannot be read", fault)
        entries = [values for found_name, values in found if found_name is not None]
        if len(entries) != 1:
            message = f"{self.where}: {len(entries)} entries instead of one were given for a name. Run again."
            raise SourceError(message)
        return dict(entries[0])

    def whole(self, name: str, values: Values) -> Values:
        """What an entry holds, with the rest of what the server gives in parts (`member;range=0-1499`).

        Raises:
            SourceError: The rest is not given.
        """
        if not any(";" in description for description in values):
            return values
        made = {description: held for description, held in values.items() if not _RANGE.search(description)}
        for description, held in values.items():
            if found := _RANGE.search(description):
                made[description.replace(found[0], "")] = self._rest(
                    name, description.replace(found[0], ""), found, held
                )
        return made

    def _rest(self, name: str, attribute: str, found: re.Match[str], held: Sequence[bytes]) -> list[bytes]:
        values, part = list(held), found
        while part[2] != "*":
            start = len(values)
            is_next = start == int(part[2]) + 1
            told = self.entry(name, [f"{attribute};range={start}-*"]) if is_next else {}
            parts = [(next_, more) for key, more in told.items() if more and (next_ := _RANGE.search(key))]
            if len(parts) != 1 or int(parts[0][0][1]) != start:
                message = (
                    f"{self.where}: the server gives {attribute} in parts, and of one entry not the part from value"
                    f" {start:,} on, so nothing of it is used. Run again."
                )
                raise SourceError(message)
            part = parts[0][0]
            values += parts[0][1]
        return values

    def _answer(self, asked: int) -> tuple[Sequence[tuple[Any, Any]], Sequence[Any]]:
        """The whole answer to a request; somebody who wants to end this is heard meanwhile."""
        end = time.monotonic() + self.access.patience
        while True:
            try:
                _, found, _, controls = self._link.result3(asked, all=1, timeout=_SLICE)
            except ldap.TIMEOUT:
                if time.monotonic() > end:
                    raise
            else:
                return found, controls

    def _referred(self, where: str, links: Sequence[str]) -> None:
        """Refuse an answer that says that a part of the tree is elsewhere."""
        away = [link for link in links if not _place(link).startswith(_EMPTY_OF_PEOPLE)]
        if not away or self.access.leave_referrals:
            return
        message = (
            f"{where}: a part of the tree is on another server ({away[0]}), so the people there would be missing."
            ' Make that server a source of its own and set base to the part that is here, or set referrals = "leave"'
            " under [source] if none of the people are there."
        )
        raise SourceError(message)

    # --- what it says about itself ----------------------------------------------------------

    def server(self) -> Server:
        """What the directory says about itself.

        Raises:
            SourceError: It does not say.
        """
        told = {name.lower(): values for name, values in self.entry("", ["*", "+"]).items()}

        def words(name: str) -> list[str]:
            return [value.decode("utf-8", "replace") for value in told.get(name.lower(), [])]

        vendor = " ".join([*words("vendorName"), *words("vendorVersion")])
        if _ACTIVE_DIRECTORY in words("supportedCapabilities"):
            vendor = f"Active Directory {' '.join(words('dnsHostName'))}".strip()
        elif not vendor and "OpenLDAProotDSE" in words("objectClass"):
            vendor = "OpenLDAP"
        return Server(
            vendor=vendor or "of a vendor that it does not name",
            contexts=words("namingContexts"),
            pages=_PAGED in words("supportedControl"),
            offers_tls=_START_TLS in words("supportedExtension"),
        )

    def schema(self) -> Mapping[str, AttributeType]:
        """The attributes that the directory knows, by each of their names in lower case; empty where it tells none."""
        try:
            where = self._searched("", ["subschemaSubentry"]).get("subschemasubentry", [])
            told = self._searched(where[0].decode(), ["attributeTypes"]) if where else {}
        except (ldap.NO_SUCH_OBJECT, ldap.INSUFFICIENT_ACCESS, ldap.NO_SUCH_ATTRIBUTE, ldap.OPERATIONS_ERROR):
            return {}
        except ldap.LDAPError as fault:
            refuse(self.where, "its schema cannot be read", fault)
        known: dict[str, AttributeType] = {}
        for text in told.get("attributetypes", []):
            with suppress(ValueError, IndexError, KeyError, AssertionError):
                found = AttributeType(text.decode())
                known |= {name.lower(): found for name in (*found.names, found.oid)}
        return known

    def _searched(self, name: str, attributes: Sequence[str]) -> Values:
        asked = self._link.search_ext(name, ldap.SCOPE_BASE, "(objectClass=*)", list(attributes))
        found, _ = self._answer(asked)
        return {key.lower(): values for entry, held in found if entry is not None for key, values in held.items()}


def described(access: LdapAccess) -> Sequence[str]:
    """What a directory says about itself, a line each.

    Raises:
        SourceError: It cannot be asked.
    """
    with Directory(access) as directory:
        server = directory.server()
    way = "ldaps" if access.url.startswith("ldaps:") else "StartTLS" if access.starts_tls else "no TLS, this machine"
    who = "anonymously" if access.anonymous else f"as {access.username}"
    return (
        f"{server.vendor}; read {who}, {way}"
        + (" (the server offers StartTLS)" if server.offers_tls and "no" in way else ""),
        f"naming contexts: {'; '.join(server.contexts) or 'none that it names'}",
        f"pages (RFC 2696): {'yes' if server.pages else 'not announced'}",
    )


def _place(link: str) -> str:
    """The name in the address of a referral, in small letters."""
    return urlsplit(link).path.lstrip("/").replace("%20", " ").lower()


def _distrust(access: LdapAccess) -> str:
    """Why the certificate of a server is not believed: asked again, because libldap does not say; "" if it is not that.

    Nothing but the greeting of TLS is sent, and in front of it, where that is the way, the wish to begin it.
    """
    given = urlsplit(access.url)
    context = ssl.create_default_context(cafile=str(access.ca_file) if access.ca_file else None)
    context.keylog_filename = None  # type: ignore[assignment]  # SSLKEYLOGFILE would write down what opens our traffic
    address = (given.hostname or "", given.port or (636 if given.scheme == "ldaps" else 389))
    try:
        with socket.create_connection(address, timeout=10) as plain:
            if access.starts_tls:
                wish = _START_TLS.encode()
                plain.sendall(b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + wish)
                plain.recv(4096)
            with context.wrap_socket(plain, server_hostname=given.hostname):
                return ""
    except ssl.SSLCertVerificationError as fault:
        return (
            f"the server is not trusted, and no password was sent to it: {fault.verify_message}. Set ca_file under"
            " [source] to the certificate (PEM) of the authority that signed the server's, and write the host in url as"
            " its certificate names it."
        )
    except ssl.SSLError as fault:
        return f"the server speaks no TLS there ({reason(fault)}). Check scheme and port in url under [source]."
    except OSError:
        return ""
