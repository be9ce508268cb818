"""The composition root: the one place that knows ports and adapters. Heavy libraries load in here, when needed."""

from __future__ import annotations

import getpass
import os
import random
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from pkgutil import get_data
from typing import Protocol, TypeVar

from msgspec.structs import replace

from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.keys_local import FileKey, RingKey
from scimsync.config import Settings, TargetSettings
from scimsync.engine.ports import Clock, Metrics, Observer, Store, Target
from scimsync.errors import ConfigError
from scimsync.model.decisions import Actor
from scimsync.model.phones import PhoneReader, Unread
from scimsync.model.visitors import Asking

_T = TypeVar("_T")


@contextmanager
def open_store(settings: Settings, *, writes: bool = True) -> Iterator[Store]:
    """The state that the configuration names, closed at the end.

    Args:
        settings: Where it is.
        writes: Whether it may be written to; else nothing is made or brought up to date, as evidence wants it.
    """
    from scimsync.adapters.store_sql import SqlStore  # noqa: PLC0415 - loads SQLAlchemy

    store = SqlStore(settings.state.url, settings.state.artifacts, SystemClock(), writes=writes)
    try:
        yield store
    finally:
        store.close()


def glance(url: str, asked: str, beginning: str = "") -> Sequence[str]:
    """Names out of a state that begin with a text: `runs`, `keys`, or its `revision`; none where it cannot be read."""
    from scimsync.adapters.store_glance import glance as look  # noqa: PLC0415 - only who completes or tells versions

    return look(url, asked, beginning)


def newest_revision() -> str:
    """The revision that a state of this version has."""
    from scimsync.adapters.store_sql import REVISIONS  # noqa: PLC0415 - loads SQLAlchemy

    return REVISIONS[-1]


class Log(Observer, Metrics, Protocol):
    """What the log is: both."""


class Counter(Metrics, Protocol):
    """Counts, and says what was counted."""

    def exposition(self, earlier: bytes = b"") -> bytes:
        """The metrics as Prometheus text, with the totals of an earlier exposition added."""


def make_counter() -> Counter:
    """What counts the metrics of this process."""
    from scimsync.adapters.metrics_prometheus import PrometheusMetrics  # noqa: PLC0415 - loads prometheus-client

    return PrometheusMetrics(SystemClock())


def exposed(gauges: Mapping[str, tuple[str, float]]) -> bytes:
    """What holds at this moment, as Prometheus text: name -> what it tells, and its value."""
    from scimsync.adapters.metrics_prometheus import gauged  # noqa: PLC0415 - loads prometheus-client

    return gauged(gauges)


def read_exposition(text: bytes) -> dict[str, object]:
    """Metrics as JSON, with the age of the last success."""
    from scimsync.adapters.metrics_prometheus import document  # noqa: PLC0415 - loads prometheus-client

    return document(text, now())


def make_phones() -> PhoneReader:
    """What reads phone numbers as people write them: (number, region) -> E.164."""

    def read(number: str, region: str) -> str | Unread | None:
        from scimsync.adapters.phones_library import read_phone  # noqa: PLC0415 - loads phonenumbers, once one is read

        return read_phone(number, region)

    return read


def phones_version() -> str:
    """Which way of reading numbers `make_phones` is: changes with the library, and with how we read with it.

    "" where that cannot be told, so that nothing is remembered.
    """
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - once a mapping reads numbers

    try:
        library, ours = version("phonenumberslite"), get_data("scimsync.adapters", "phones_library.py")
    except (PackageNotFoundError, OSError):
        return ""
    return sha256(library.encode() + (ours or b"")).hexdigest()[:12] if ours else ""


def make_log(settings: Settings, run: str) -> Log | None:
    """The log that the configuration asks for; None where it wants none."""
    if settings.log.format == "off":
        return None
    from scimsync.adapters import log_structlog  # noqa: PLC0415 - loads structlog

    return log_structlog.Log(sys.stderr, form=settings.log.format, level=settings.log.level, run=run)


def make_traces(work: str) -> list[Metrics]:
    """The traces of a piece of work, where OpenTelemetry's environment asks for them."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return []
    try:
        from scimsync.adapters.traces_otel import Traces  # noqa: PLC0415 - loads OpenTelemetry
    except ModuleNotFoundError as error:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set and OpenTelemetry is not installed: pip install 'scimsync[otel]', "
            "or unset it"
        ) from error
    return [Traces(work)]


def make_target(
    settings: Settings, notice: Callable[[str], None], metrics: Metrics | None = None, *, remembers: bool = False
) -> Target:
    """The target that the configuration names; must be made and closed inside one event loop.

    Args:
        settings: Which it is.
        notice: Told of what a person should know meanwhile.
        metrics: Told of each exchange.
        remembers: Whether how large a page may be is kept among the artifacts.
    """
    from scimsync.adapters.store_allowance import Allowances  # noqa: PLC0415 - loads SQLAlchemy
    from scimsync.adapters.target_ledger import shared  # noqa: PLC0415
    from scimsync.adapters.target_pages import PAGE_SIZES  # noqa: PLC0415
    from scimsync.adapters.target_platform import PlatformTarget  # noqa: PLC0415 - loads httpx2
    from scimsync.adapters.target_scim import ScimTarget  # noqa: PLC0415 - loads httpx2
    from scimsync.adapters.target_wire import TargetSettings as Wired  # noqa: PLC0415 - loads httpx2

    given = settings.target
    users = given.dialect.users
    kind = ScimTarget if users == users.published else PlatformTarget
    clock = SystemClock()
    known = replace(
        wired(Wired, given, settings.state.artifacts / PAGE_SIZES if remembers else None),
        patience_s=settings.policy.outage.total_seconds(),
    )
    target = kind(
        known,
        clock=clock,
        rng=random.Random(secrets.randbits(64)),  # noqa: S311 - jitter, not secrets
        notice=notice,
        watch=metrics,
        ledgers=shared(known, Allowances(settings.state.url, clock), clock),
    )
    target.manage(mapped.place for mapped in settings.policy.attributes)
    return target


def wired(kind: Callable[..., _T], given: TargetSettings, page_sizes: Path | None = None) -> _T:
    """A target as adapters know it: `kind` is their `TargetSettings`."""
    return kind(
        api_url=given.api_url,
        login_url=given.login_url,
        dialect=given.dialect,
        client_id=given.client_id,
        client_secret=given.client_secret,
        token_url=given.token_url,
        scopes=given.scopes,
        audience=given.audience,
        client_auth=given.client_auth,
        token=given.token,
        username=given.username,
        password=given.password,
        header=given.header,
        header_value=given.header_value,
        requests_per_minute=given.requests_per_minute,
        workers=given.workers,
        ca_file=given.ca_file,
        page_sizes=page_sizes,
    )


def now() -> datetime:
    """The wall clock, aware, UTC."""
    return SystemClock().now()


def warm_up() -> None:
    """Load what a run needs, so that the first one need not."""
    for name in ("phones_library", "source_file", "source_sql", "target_scim"):
        import_module(f"scimsync.adapters.{name}")


def make_clock() -> Clock:
    """The clock of this machine."""
    return SystemClock()


def owner() -> str:
    """Who holds the lease: for messages to whoever comes second."""
    return f"scimsync, process {os.getpid()} on {socket.gethostname()}"


#: who asked for the work at hand, where that is not who started the process
_ASKED: ContextVar[Actor | None] = ContextVar("asked", default=None)


@contextmanager
def on_behalf_of(who: Actor) -> Iterator[None]:
    """Work in somebody's name: a service does what people ask of it, and the audit chain says who did."""
    token = _ASKED.set(who)
    try:
        yield
    finally:
        _ASKED.reset(token)


def actor() -> str:
    """On whose behalf this process works, for the audit chain: who asked, SCIMSYNC_ACTOR, or user@host."""
    if asked := _ASKED.get():
        return asked.name
    given = os.environ.get("SCIMSYNC_ACTOR", "").strip()
    if given:
        return given
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number without a name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"


def person() -> Actor:
    """Who asked for the work at hand; else who sits at this command line, as far as the operating system proves it.

    That is who logged in, also behind `sudo` and `su`; where nobody did, the user of the process.
    """
    if asked := _ASKED.get():
        return asked
    if not hasattr(os, "getuid"):
        return Actor(f"{getpass.getuser()}@{socket.gethostname()}", "os")
    import pwd  # noqa: PLC0415 - there is none on Windows

    number = _login()
    try:
        user = pwd.getpwuid(number).pw_name
    except KeyError:  # a container may run under a number without a name
        user = f"uid-{number}"
    return Actor(f"{user}@{socket.gethostname()}", "os")


#: where Linux says who logged in, and what it says where nobody did
_LOGIN, _NOBODY = Path("/proc/self/loginuid"), 2**32 - 1


def _login() -> int:
    """The number of the user who logged in; else that of the process, and for root of whom sudo names."""
    try:
        login = int(_LOGIN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        login = _NOBODY
    if login != _NOBODY:
        return login
    sudo = os.environ.get("SUDO_UID", "")
    return int(sudo) if os.getuid() == 0 and sudo.isdecimal() else os.getuid()


class Passwords(Protocol):
    """Hashes passwords and proves them."""

    def hashed(self, password: str) -> str:
        """What is kept of a password."""
        ...

    def proves(self, secret: str, password: str) -> bool:
        """Whether it is the password; "" as secret is nobody's, and takes as long."""
        ...


class Passkeys(Protocol):
    """What makes and proves passkeys."""

    def register(self, host: str, user: str, held: Sequence[str]) -> tuple[str, bytes]:
        """What a browser is asked in order to make one, and the challenge that must come back."""
        ...

    def registered(self, host: str, origin: str, said: str, challenge: bytes) -> tuple[str, bytes, int]:
        """Id, public key and count of one that was made."""
        ...

    def ask(self, host: str) -> tuple[str, bytes]:
        """What a browser is asked of whoever has one, and the challenge that must come back."""
        ...

    def named(self, said: str) -> str:
        """The id of the passkey that an answer is by."""
        ...

    def proven(self, host: str, origin: str, said: str, challenge: bytes, key: bytes, count: int) -> int:
        """How often it was used, where the answer proves it."""
        ...


def make_passkeys() -> Passkeys:
    """What makes and proves passkeys.

    Raises:
        ConfigError: The library is not installed.
    """
    try:
        from scimsync.adapters.passkeys_webauthn import WebauthnPasskeys  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigError("passkeys need py_webauthn: pip install 'scimsync[console]'") from error
    return WebauthnPasskeys()


_PASSWORDS: list[Passwords] = []


def make_passwords() -> Passwords:
    """What keeps passwords; made once, for that takes as long as proving one.

    Raises:
        ConfigError: The library is not installed.
    """
    if not _PASSWORDS:
        try:
            from scimsync.adapters.passwords_argon2 import Argon2Passwords  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise ConfigError("passwords need argon2-cffi: pip install 'scimsync[console]'") from error
        _PASSWORDS.append(Argon2Passwords())
    return _PASSWORDS[0]


class Provider(Protocol):
    """Who says who people are: a provider of OpenID Connect."""

    @property
    def host(self) -> str:
        """How people are told of it."""
        ...

    def begin(self, callback: str) -> tuple[str, Asking]:
        """Where to send a browser, and what must come back with it."""
        ...

    def finish(self, asking: Asking, answer: Mapping[str, str], callback: str) -> Mapping[str, object]:
        """What the provider says of who comes back."""
        ...

    def leave(self, to: str) -> str:
        """Where to send a browser that shall be signed out there, too; "" where there is no such place."""
        ...


def make_provider(settings: Settings) -> Provider | None:
    """Who says who people are; None where the configuration names nobody. Nothing is asked yet.

    Raises:
        ConfigError: The library is not installed.
    """
    given = settings.console.oidc
    if given is None:
        return None
    try:
        from scimsync.adapters.identity_authlib import AuthlibProvider  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigError("[console.oidc] needs Authlib: pip install 'scimsync[console]'") from error
    clock = SystemClock()
    return AuthlibProvider(
        issuer=given.issuer,
        client_id=given.client_id,
        client_secret=given.client_secret,
        client_auth=given.client_auth,
        scopes=given.scopes,
        ca_file=given.ca_file,
        monotonic=clock.monotonic,
        now=lambda: clock.now().timestamp(),
    )


def make_key(settings: Settings) -> FileKey | RingKey:
    """Where the key lies that signs checkpoints."""
    given = settings.audit
    return RingKey(given.keyring) if given.key_file is None else FileKey(given.key_file)
