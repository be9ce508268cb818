"""The composition root of sources: which adapter reads what the configuration names. Each is loaded when needed."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from msgspec.structs import replace

from scimsync.adapters.clock_system import SystemClock
from scimsync.config import RestSettings, Settings, SourceSettings
from scimsync.config.settings import SINCE, GroupSettings, LdapSettings
from scimsync.engine.membership import Pairs
from scimsync.engine.ports import Source
from scimsync.errors import ConfigError, SourceError
from scimsync.model.records import Joined


def make_source(settings: Settings, since: datetime | None = None) -> Source:
    """The source that the configuration names, with those that are joined to it.

    Args:
        settings: Which it is.
        since: From when on the changes are that a delivery of changes asks for; two days ago where None.
    """
    given = asked_since(settings.source, since or SystemClock().now() - timedelta(days=2))
    first = _make_source(given)
    if not given.joined:
        return first
    from scimsync.adapters.source_joined import JoinedSource  # noqa: PLC0415

    return JoinedSource(first, given.name, [_join(one) for one in given.joined])


def asked_since(given: SourceSettings, moment: datetime) -> SourceSettings:
    """A delivery of changes that asks for those since a moment: `{since}`, in UTC as each kind writes it."""
    if not given.is_delta:
        return given
    at = moment.astimezone(UTC)
    if given.ldap is not None:
        return replace(given, ldap=replace(given.ldap, filter=given.ldap.filter.replace(SINCE, f"{at:%Y%m%d%H%M%SZ}")))
    if given.rest is not None:
        told = f"{at:%Y-%m-%dT%H:%M:%SZ}"
        asked = {name: text.replace(SINCE, told) for name, text in given.rest.parameters.items()}
        return replace(given, rest=replace(given.rest, parameters=asked))
    return replace(given, query=given.query.replace(SINCE, f"{at:%Y-%m-%d %H:%M:%S}"))


def _join(given: SourceSettings) -> Joined:
    """A source that is joined to the first; it is made when it is read, so that one that cannot be is told of."""
    theirs, ours = given.join
    return Joined(
        name=given.name,
        shown=f"[source.{given.name}]",
        read=lambda: _make_source(given).read(),
        theirs=theirs,
        ours=ours,
        null_values=given.null_values,
    )


def make_pairs(settings: Settings) -> Pairs:
    """The sources of memberships and nestings that the configuration names: of the kind of the records."""
    groups = settings.groups
    if groups is None:
        return Pairs()
    if settings.source.ldap and groups.base:
        return _members(settings.source, settings.source.ldap, groups)
    bare = replace(settings.source, key="")
    return Pairs(
        pairs=_make_source(replace(bare, query=groups.query, path=groups.path))
        if groups.query or groups.path
        else None,
        nesting=_make_source(replace(bare, query=groups.nesting, path=groups.nesting_path))
        if groups.nesting or groups.nesting_path
        else None,
    )


def _make_source(given: SourceSettings) -> Source:
    if given.rest is not None:
        return _asked(given, given.rest)
    if given.kind == "sql":
        from scimsync.adapters.source_sql import SqlSource  # noqa: PLC0415 - loads SQLAlchemy

        return SqlSource(given.url, given.query, given.key)
    if given.ldap:
        return _directory(given, given.ldap)
    if isinstance(given.path, str):
        return _make_placed(given, given.path)
    return _make_file(given, given.path or Path())


def _make_file(given: SourceSettings, path: Path) -> Source:
    """The source of a file of this machine."""
    if given.sheet is not None:
        from scimsync.adapters.source_sheet import SheetSource  # noqa: PLC0415 - few need it

        sheet = given.sheet
        return SheetSource(
            path,
            given.key,
            sheet=sheet.name,
            header_row=sheet.header_row,
            skip_last=sheet.skip_last,
            null_values=given.null_values,
        )
    from scimsync.adapters import source_file  # noqa: PLC0415

    if given.kind == "parquet":
        return source_file.ParquetSource(path, given.key)
    complete: Literal["unproven", "checksum", "assume"] = given.complete
    encoding = "utf-8-sig" if given.encoding.lower() in {"utf-8", "utf8"} else given.encoding
    if given.kind == "jsonl":
        return source_file.JsonlSource(path, given.key, encoding=encoding, complete=complete)
    return source_file.CsvSource(
        path,
        given.key,
        delimiter=given.delimiter,
        encoding=encoding,
        complete=complete,
        skip_lines=given.skip_lines,
        columns=given.columns,
    )


def _make_placed(given: SourceSettings, url: str) -> Source:
    """The source of a file at an address."""
    from scimsync.adapters.source_place import PlacedSource  # noqa: PLC0415 - few need it
    from scimsync.bootstrap_places import entrance  # noqa: PLC0415

    place, is_text = given.place, given.kind in {"csv", "jsonl"}
    return PlacedSource(
        url,
        entrance(given, url),
        lambda path: _make_file(given, path),
        ready=place.ready,
        settle=place.settle,
        most=place.most_megabytes * 1_000_000,
        complete=given.complete if is_text else "unproven",
    )


def _asked(given: SourceSettings, rest: RestSettings) -> Source:
    """A source that is asked over HTTP."""
    from scimsync.adapters.source_asking import Access  # noqa: PLC0415 - loads httpx2
    from scimsync.adapters.source_pages import Paging, Question  # noqa: PLC0415
    from scimsync.adapters.source_rest import RestSource  # noqa: PLC0415
    from scimsync.adapters.source_scim import ScimSource  # noqa: PLC0415

    who = given.access
    access = Access(
        username=who.username,
        password=who.password,
        token=who.token,
        header=who.header,
        header_value=who.header_value,
        parameters=rest.secret_parameters,
        client_id=who.client_id,
        client_secret=who.client_secret,
        token_url=who.token_url,
        scopes=who.scopes,
        audience=who.audience,
        client_auth=who.client_auth,
        ca_file=who.ca_file,
    )
    clock, rng = SystemClock(), random.Random(secrets.randbits(64))  # noqa: S311 - jitter, not secrets
    bounds = (rest.requests_per_minute, float(rest.answer_seconds), rest.answer_megabytes << 20)
    if rest.dialect is not None:
        return ScimSource(
            url=rest.url,
            dialect=rest.dialect,
            key=given.key,
            columns=rest.columns,
            access=access,
            requests_per_minute=bounds[0],
            exchange_s=bounds[1],
            reply_bytes=bounds[2],
            clock=clock,
            rng=rng,
        )
    return RestSource(
        question=Question(url=rest.url, parameters=rest.parameters, method=rest.method, body=rest.body or None),
        key=given.key,
        columns=rest.columns,
        records=rest.records,
        paging=Paging(
            kind=rest.paging,
            parameter=rest.page_parameter,
            first=rest.first_page,
            size_parameter=rest.page_size_parameter,
            size=rest.page_size,
            next=rest.next,
            in_body=rest.page_in_body,
        ),
        total=rest.total,
        assume=given.complete == "assume",
        access=access,
        headers=rest.headers,
        requests_per_minute=bounds[0],
        exchange_s=bounds[1],
        reply_bytes=bounds[2],
        clock=clock,
        rng=rng,
    )


class _Described(Source, Protocol):
    """A source that says something about itself."""

    def describe(self) -> Sequence[str]:
        """A line each."""


def describe_sources(settings: Settings) -> Sequence[str]:
    """What directories that are read say about themselves, a line each; nothing of other kinds.

    Of one that is joined and cannot be asked nothing is said: reading it says why.

    Raises:
        SourceError: The first source cannot be asked.
    """
    said: list[str] = []
    for given in (settings.source, *settings.source.joined):
        if given.ldap:
            try:
                said += _directory(given, given.ldap).describe()
            except SourceError:
                if given is settings.source:
                    raise
    return said


def guarded_sources(settings: Settings) -> Sequence[tuple[str, bool]]:
    """What keeps our queries from writing into each database that is read, in words; whether the database itself does.

    Raises:
        SourceError: An address cannot be understood.
    """
    found: list[tuple[str, bool]] = []
    for given in (settings.source, *settings.source.joined):
        if given.kind == "sql":
            from scimsync.adapters.source_sql import SqlSource  # noqa: PLC0415 - loads SQLAlchemy

            words, is_guarded = SqlSource(given.url, given.query, "").guard
            found.append((f"[source.{given.name}]: {words}" if any(given.join) else words, is_guarded))
    return found


def _directory(given: SourceSettings, ldap: LdapSettings) -> _Described:
    """People of a directory."""
    with _python_ldap():
        from scimsync.adapters.source_ldap import LdapSource  # noqa: PLC0415 - loads python-ldap, an extra
        from scimsync.adapters.source_ldap_wire import LdapAccess  # noqa: PLC0415
    access = LdapAccess(
        url=given.url,
        username=given.access.username,
        password=given.access.password,
        anonymous=ldap.anonymous,
        starttls=ldap.starttls,
        ca_file=given.access.ca_file,
        leave_referrals=ldap.leave_referrals,
    )
    return LdapSource(
        access=access,
        base=ldap.base,
        key=given.key,
        filter=ldap.filter,
        scope=ldap.scope,
        attributes=ldap.attributes,
        several=ldap.several,
        separator=ldap.separator,
        references=ldap.references,
        page=ldap.page_size,
    )


def _members(given: SourceSettings, ldap: LdapSettings, groups: GroupSettings) -> Pairs:
    """Who is in which group of a directory."""
    with _python_ldap():
        from scimsync.adapters.source_ldap import LdapSource  # noqa: PLC0415 - loads python-ldap, an extra
        from scimsync.adapters.source_ldap_groups import LdapPairs  # noqa: PLC0415
    people = _directory(given, ldap)
    assert isinstance(people, LdapSource)  # noqa: S101 - what _directory makes
    pairs = LdapPairs(people=people, base=groups.base, filter=groups.filter, naming=groups.naming, member=groups.member)
    return Pairs(pairs=pairs, nesting=replace(pairs, of="groups"))


@contextmanager
def _python_ldap() -> Iterator[None]:
    """Say what to install where python-ldap is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            "[source] kind = 'ldap' needs python-ldap: pip install 'scimsync[ldap]'. It is built on the way, and "
            "wants a compiler and headers: apt-get install gcc python3-dev libldap2-dev libsasl2-dev (Debian, "
            "Ubuntu) or dnf install gcc python3-devel openldap-devel cyrus-sasl-devel (Fedora, RHEL)"
        ) from error
