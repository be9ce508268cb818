"""People from a real OpenLDAP: who comes out of it, and what is refused in words instead of taken for the whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.ldap_speakers import Answer, Search, Speaker, speaking, wire
from tests.slapd import GROUPS, PASSWORD, PEOPLE, READER, SUFFIX, Slapd, group, person

from scimsync.adapters.source_ldap import LdapSource
from scimsync.adapters.source_ldap_groups import LdapPairs
from scimsync.adapters.source_ldap_wire import Directory, LdapAccess
from scimsync.errors import SourceEmpty, SourceError
from scimsync.model.records import Reading

ACCESS = LdapAccess(url="ldap://127.0.0.1", username=READER, password=PASSWORD)


def source(url: str, *attributes: str, **more: Any) -> LdapSource:
    access = replace(ACCESS, url=url, **more.pop("access", {}))
    return LdapSource(access=access, base=PEOPLE, key="uid", attributes={a: a for a in ("uid", *attributes)}, **more)


def rows(reading: Reading) -> list[dict[str, object]]:
    batches = [batch.rows for batch in reading.batches]
    return [dict(zip(reading.columns, row, strict=True)) for row in chain.from_iterable(batches)]


def refusal(asked: LdapSource | LdapPairs) -> str:
    with pytest.raises(SourceError) as caught:
        rows(asked.read())
    said = str(caught.value)
    assert "\n" not in said
    assert PASSWORD not in said
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """1,200 people, of whom all but the first have a manager, each name written in another way."""
    ways = (
        "uid={},ou=people,dc=example,dc=com",
        "UID={} , OU=People,  DC=Example,DC=COM",
        "0.9.2342.19200300.100.1.1={},ou=\\70eople,dc=example,dc=com",
    )
    people = [person("u0", mail="u0@x.org")]
    people += [person(f"u{n}", mail=f"u{n}@x.org", manager=ways[n % 3].format(f"u{n // 2}")) for n in range(1, 1200)]
    with Slapd(tmp_path_factory.mktemp("many"), people) as server:
        yield server


# --- whole ------------------------------------------------------------------------------------------


def test_everybody_comes_in_pages_and_the_reading_is_proven(many: Slapd) -> None:
    reading = source(many.url, "mail", page=100).read()
    assert reading.proven
    assert reading.live
    assert [row["uid"] for row in rows(reading)] == [f"u{n}" for n in range(1200)]


def test_a_manager_is_found_by_name_however_it_is_written_and_before_it_is_read(many: Slapd) -> None:
    found = rows(source(many.url, "manager").read())
    assert [row["manager_key"] for row in found] == [None, *(f"u{n // 2}" for n in range(1, 1200))]


def test_a_manager_who_is_none_of_these_people_is_named_and_not_taken_away(folder: Path) -> None:
    boss = f"uid=boss,ou=board,{SUFFIX}"
    with Slapd(folder, [person("a", manager=boss)]) as server:
        assert rows(source(server.url, "manager").read())[0]["manager_key"] == boss


def test_a_size_limit_is_refused_and_so_is_one_for_all_pages_together(folder: Path) -> None:
    people = [person(f"u{n}") for n in range(150)]
    with Slapd(folder, people, limits=f'limits dn.exact="{READER}" size=100') as server:
        assert "size limit" in refusal(source(server.url))
        server.limit(f'limits dn.exact="{READER}" size.soft=500 size.hard=500 size.prtotal=100')
        said = refusal(source(server.url, page=40))
        assert "reading broke off after 80 entries, and nothing of them is used" in said
        assert "limit)" in said
        server.limit(f'limits dn.exact="{READER}" size=unlimited size.prtotal=disabled')
        assert "administrative limit" in refusal(source(server.url))
        server.limit(f'limits dn.exact="{READER}" size=unlimited size.prtotal=unlimited')
        assert len(rows(source(server.url).read())) == 150


def test_the_settings_of_ldap_on_this_machine_say_nothing_here(
    many: Slapd, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = folder / "ldaprc"
    told.write_text("SIZELIMIT 7\nTIMELIMIT 1\nTLS_REQCERT never\nDEREF always\nREFERRALS on\n", encoding="utf-8")
    monkeypatch.setenv("LDAPCONF", str(told))
    monkeypatch.setenv("LDAPTLS_REQCERT", "never")
    assert len(rows(source(many.url).read())) == 1200
    assert "not trusted" in refusal(source(many.tls_url))


@pytest.mark.parametrize("cut", [100, 5_000, 60_000])
def test_a_wire_that_breaks_half_way_is_refused(many: Slapd, cut: int) -> None:
    with wire(many.port, cut=cut) as url:
        assert "no connection" in refusal(source(url, "mail", "manager", page=100))


def test_a_server_that_dies_between_two_pages_is_refused(folder: Path) -> None:
    people = [person(f"u{n}") for n in range(30)]
    with Slapd(folder, people) as server, Directory(source(server.url).access) as directory:
        pages = directory.pages(PEOPLE, "subtree", "(uid=*)", ["uid"], 10)
        assert len(next(pages)) == 10
        server.stop()
        with pytest.raises(SourceError, match="broke off after 10 entries"):
            next(pages)


# --- the way in -------------------------------------------------------------------------------------


def test_a_wrong_password_is_one_clear_line(many: Slapd) -> None:
    said = refusal(source(many.url, access={"password": "wrong"}))
    assert "user or password is wrong" in said
    assert "Check username" in said


@pytest.mark.parametrize("way", ["ldaps", "starttls"])
def test_tls_with_the_file_of_the_authority_lets_in_and_without_says_that_nobody_is_trusted(
    many: Slapd, way: str
) -> None:
    url = many.tls_url if way == "ldaps" else many.url
    given = {"starttls": way == "starttls"}
    assert len(rows(source(url, access={**given, "ca_file": many.ca_file}).read())) == 1200
    said = refusal(source(url, access=given))
    assert "the server is not trusted, and no password was sent to it" in said
    assert "Set ca_file under [source]" in said


def test_a_certificate_of_another_host_is_not_trusted(many: Slapd, folder: Path) -> None:
    with wire(many.tls_port, cut=1 << 20) as url:
        there = url.replace("ldap://127.0.0.1", "ldaps://[::ffff:127.0.0.1]")
        assert "not trusted" in refusal(source(there, access={"ca_file": many.ca_file}))


def test_a_port_without_tls_is_told_as_such(many: Slapd) -> None:
    said = refusal(source(many.url.replace("ldap:", "ldaps:"), access={"ca_file": many.ca_file}))
    assert "speaks no TLS" in said


def test_a_file_of_certificates_that_is_none_is_named(many: Slapd, folder: Path) -> None:
    (folder / "ca.pem").write_text("no certificate", encoding="utf-8")
    assert "ca.pem" in refusal(source(many.tls_url, access={"ca_file": folder / "ca.pem"}))


def test_nothing_goes_in_clear_to_another_machine_and_nobody_is_meant_by_an_empty_password() -> None:
    assert "in clear" in refusal(source("ldap://ldap.example.com", access={"starttls": False}))
    assert "anonymous = true" in refusal(source("ldap://127.0.0.1:9", access={"password": ""}))


def test_anonymous_reading_is_done_where_it_is_asked_for(folder: Path) -> None:
    with Slapd(folder, [person("a")], anonymous="read") as server:
        assert len(rows(source(server.url, access={"anonymous": True, "username": "", "password": ""}).read())) == 1


def test_a_server_that_is_not_there_is_told_with_what_to_check() -> None:
    assert "no connection to the server" in refusal(source("ldap://127.0.0.1:9"))


def test_the_name_holds_no_secret(many: Slapd) -> None:
    asked = source(many.url)
    assert PASSWORD not in asked.name + repr(asked)


# --- what is asked for ------------------------------------------------------------------------------


def test_a_base_that_is_not_there_is_one_clear_line(many: Slapd) -> None:
    said = refusal(replace(source(many.url), base=f"ou=nobody,{SUFFIX}"))
    assert "there is no such entry, or this user may not see it" in said


def test_a_filter_that_is_none_is_told(many: Slapd) -> None:
    assert "Correct filter" in refusal(replace(source(many.url), filter="(uid=*"))


def test_nobody_is_no_company(many: Slapd) -> None:
    with pytest.raises(SourceEmpty):
        replace(source(many.url), filter="(uid=nobody)").read()


def test_one_level_leaves_out_what_is_deeper(folder: Path) -> None:
    deep = (f"ou=deep,{PEOPLE}", {"objectClass": "organizationalUnit", "ou": "deep"})
    person_ = (f"uid=b,ou=deep,{PEOPLE}", person("b")[1])
    with Slapd(folder, [person("a"), deep, person_]) as server:
        assert [row["uid"] for row in rows(source(server.url, scope="one").read())] == ["a"]
        assert [row["uid"] for row in rows(source(server.url).read())] == ["a", "b"]


def test_an_attribute_that_the_directory_does_not_know_is_refused_with_the_one_that_was_meant(many: Slapd) -> None:
    assert "Did you mean 'employeeNumber'?" in refusal(source(many.url, "emplyeeNumber"))


def test_an_attribute_that_the_server_calls_otherwise_is_refused_and_not_taken_for_empty(many: Slapd) -> None:
    said = refusal(source(many.url, "rfc822Mailbox"))
    assert "answers with 'mail'" in said
    assert "rfc822Mailbox" in said


def test_a_password_is_never_read_even_by_whoever_may(folder: Path) -> None:
    with Slapd(folder, [person("a", userPassword="canary")]) as server:
        assert "never read" in refusal(source(server.url, "userPassword"))
        everything = replace(source(server.url), attributes={})
        assert "userPassword" not in everything.read().columns


def test_without_attributes_every_one_that_anybody_has_is_a_column_but_bytes(folder: Path) -> None:
    with Slapd(folder, [person("a", mail="a@x.org"), person("b", title="T", jpegPhoto=b"\xff\xd8")]) as server:
        reading = replace(source(server.url), attributes={}).read()
        assert reading.columns == ("dn", "uid", "cn", "sn", "mail", "title")
        assert rows(reading)[0]["dn"] == f"uid=a,{PEOPLE}"


def test_columns_have_the_names_that_they_are_given_and_languages_stay_apart(folder: Path) -> None:
    items = [
        person("a", title="Engineer", **{"title;lang-de": "Ingenieurin"}),
        person("b", **{"title;lang-de": "Nur deutsch"}),
    ]
    with Slapd(folder, items) as server:
        asked = replace(
            source(server.url), key="id", attributes={"id": "uid", "job": "title", "beruf": "title;lang-de"}
        )
        assert rows(asked.read()) == [
            {"id": "a", "job": "Engineer", "beruf": "Ingenieurin"},
            {"id": "b", "job": None, "beruf": "Nur deutsch"},
        ]


# --- values -----------------------------------------------------------------------------------------


def test_several_values_are_refused_until_somebody_says_which_counts(folder: Path) -> None:
    with Slapd(folder, [person("a", mail=["z@x.org", "b@x.org"])]) as server:
        said = refusal(source(server.url, "mail"))
        assert 'multi_valued = { mail = "first" }' in said
        assert rows(source(server.url, "mail", several={"mail": "first"}).read())[0]["mail"] == "z@x.org"
        assert rows(source(server.url, "mail", several={"*": "join"}).read())[0]["mail"] == "b@x.org;z@x.org"
        said = refusal(source(server.url, "mail", several={"mail": "join"}, separator="@"))
        assert "entry 1" in said


def test_times_truth_and_numbers_have_types_whether_anybody_has_them_or_not(folder: Path) -> None:
    items = [
        person(
            "a",
            hireTime="20261231235959.5+0100",
            onSite="TRUE",
            userAccountControl="514",
            accountExpires="133485408000000000",
        )
    ]
    items += [
        person("b", userAccountControl="512", accountExpires="9223372036854775807"),
        person("c", accountExpires="0"),
    ]
    with Slapd(folder, items) as server:
        reading = source(server.url, "hireTime", "onSite", "userAccountControl", "accountExpires").read()
        kept = list(reading.batches)
    types = dict(zip(reading.columns, kept[0].types or (), strict=True))
    assert datetime in types["hireTime"]
    assert types["account_expires"] == {datetime, type(None)}
    first, second, third = (dict(zip(reading.columns, row, strict=True)) for row in kept[0].rows)
    assert first["hireTime"] == datetime(2026, 12, 31, 22, 59, 59, 500_000)  # noqa: DTZ001 - UTC without zone
    assert (first["onSite"], first["account_disabled"]) == (True, True)
    assert first["account_expires"] == datetime(2024, 1, 1)  # noqa: DTZ001 - UTC without zone
    assert (second["account_disabled"], second["account_expires"]) == (False, None)
    assert (third["account_disabled"], third["account_expires"]) == (None, None)


def test_a_guid_and_a_sid_are_keys_as_text(folder: Path) -> None:
    guid = bytes.fromhex("33221100554477668899aabbccddeeff")
    sid = bytes.fromhex("010500000000000515000000a065cf7e784b9b5fe77c8770091c0100")
    with Slapd(folder, [person("a", objectGUID=guid, objectSid=sid)]) as server:
        found = rows(source(server.url, "objectGUID", "objectSid").read())[0]
    assert found["objectGUID"] == "00112233-4455-6677-8899-aabbccddeeff"
    assert found["objectSid"] == "S-1-5-21-2127521184-1604012920-1887927527-72713"


def test_bytes_are_refused_by_the_number_of_the_entry(folder: Path) -> None:
    with Slapd(folder, [person("a"), person("b", jpegPhoto=b"\xff\xd8\xff")]) as server:
        said = refusal(source(server.url, "jpegPhoto"))
        assert "jpegPhoto" in said


# --- groups -----------------------------------------------------------------------------------------


@contextmanager
def company(folder: Path) -> Iterator[Slapd]:
    a, b, outside = f"uid=a,{PEOPLE}", "UID=B , ou=people,dc=example,dc=com", f"uid=x,ou=else,{SUFFIX}"
    inner = f"cn=inner,{GROUPS}"
    items = [person("a"), person("b"), group("outer", a, inner, outside), group("inner", b)]
    items += [
        (f"cn=unix,{GROUPS}", {"objectClass": "posixGroup", "cn": "unix", "gidNumber": "7", "memberUid": ["A", "zz"]})
    ]
    with Slapd(folder, items) as server:
        yield server


def pairs(server: Slapd, **more: Any) -> LdapPairs:
    return LdapPairs(people=source(server.url), base=GROUPS, **{"filter": "(objectClass=groupOfNames)", **more})


def test_members_are_people_by_their_key_and_groups_in_groups_are_nestings(folder: Path) -> None:
    with company(folder) as server:
        found = chain.from_iterable(batch.rows for batch in pairs(server).read().batches)
        assert sorted(map(tuple, found)) == [("a", "outer"), ("b", "inner")]
        nested = chain.from_iterable(batch.rows for batch in pairs(server, of="groups").read().batches)
        assert list(map(tuple, nested)) == [("outer", "inner")]
        unix = pairs(server, member="memberUid", filter="(objectClass=posixGroup)").read()
        assert [tuple(row) for batch in unix.batches for row in batch.rows] == [("a", "unix")]


def test_no_group_at_all_takes_nobody_out_of_any(folder: Path) -> None:
    with company(folder) as server:
        said = refusal(pairs(server, filter="(cn=nothing)"))
        assert "there is no group" in said
        hidden = replace(pairs(server), people=replace(source(server.url), filter="(uid=nobody)"))
        assert "nobody has a uid" in refusal(hidden)
        for asked in (pairs(server, filter="(cn=nothing)"), hidden):
            with pytest.raises(SourceError) as caught:
                asked.read()
            assert not isinstance(caught.value, SourceEmpty)


def test_two_groups_of_one_name_are_refused(folder: Path) -> None:
    a = f"uid=a,{PEOPLE}"
    twin = (f"cn=Team,ou=other,{GROUPS}", {"objectClass": "groupOfNames", "cn": "Team", "member": a})
    unit = (f"ou=other,{GROUPS}", {"objectClass": "organizationalUnit", "ou": "other"})
    with Slapd(folder, [person("a"), group("team", a), unit, twin]) as server:
        assert "two groups are called" in refusal(pairs(server))


def test_the_groups_of_a_person_can_be_joined_in_a_column(folder: Path) -> None:
    with Slapd(folder, [person("a")]) as server:
        server.add(group("y", f"uid=a,{PEOPLE}"), group("x", f"uid=a,{PEOPLE}"))
        found = rows(source(server.url, "memberOf", several={"memberOf": "join"}).read())
        assert found[0]["memberOf"] == f"cn=x,{GROUPS};cn=y,{GROUPS}"


# --- doctor -----------------------------------------------------------------------------------------


def test_a_directory_says_what_it_is(many: Slapd) -> None:
    told = source(many.tls_url, access={"ca_file": many.ca_file}).describe()
    assert told[0].startswith("OpenLDAP; read as cn=reader")
    assert "ldaps" in told[0]
    assert told[1:] == ("naming contexts: dc=example,dc=com", "pages (RFC 2696): yes")


# --- habits of other servers ------------------------------------------------------------------------

BASE = "OU=People,DC=acme,DC=com"


def acme(url: str, *attributes: str, **more: Any) -> LdapSource:
    return replace(source(url, *attributes, **more), base=BASE)


def someone(n: int) -> tuple[str, dict[str, list[str]]]:
    return f"CN=p{n},{BASE}", {"uid": [f"u{n}"]}


class Paging(Speaker):
    """Gives pages of one person, and says what a test says on the last."""

    def __init__(self, *pages: Answer) -> None:
        super().__init__()
        self.pages = pages

    def answer(self, search: Search) -> Answer:
        assert search.cookie is not None, "a search for people without pages"
        return self.pages[int(search.cookie or b"0")]


FIRST = Answer([someone(0)], cookie=b"1")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (Answer([someone(1)], cookie=None), "does not say whether there are more"),
        (Answer([someone(0)]), "one entry twice"),
        (Answer([someone(1)], code=3), "time limit"),
        (Answer([someone(1)], code=4), "size limit"),
        (Answer([someone(1)], code=11), "administrative limit"),
        (Answer([someone(1)], code=10), "another server"),
        (Answer([someone(1)], code=12), "no pages"),
        (Answer([someone(1)], code=51), "busy"),
        (Answer([someone(1)], code=80, text="odd"), "something else than success (Other (e.g., implementation specific) error: odd)"),
        (Answer([someone(1)], cuts=True), "no connection"),
        (Answer([someone(1)], references=["ldap://emea.acme.com/DC=emea,DC=acme,DC=com"]), "emea.acme.com"),
    ],
)  # fmt: skip
def test_whatever_comes_instead_of_a_good_last_page_is_refused(last: Answer, said: str) -> None:
    with speaking(Paging(FIRST, last)) as url:
        told = refusal(acme(url))
    assert said in told
    assert "u0" not in told


def test_a_silent_server_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Speaker):
        def said(self, message: int, data: Any) -> Iterator[bytes | None]:
            return iter(()) if data[1][0] == 0x63 else super().said(message, data)

    with speaking(Silent()) as url:
        assert "does not answer" in refusal(acme(url, access={"patience": 0.2}))


def test_a_signal_inside_of_the_library_does_not_make_the_end_wait_for_its_lock() -> None:
    ended = threading.Event()

    def interrupted(url: str) -> None:
        with suppress(KeyboardInterrupt), Directory(LdapAccess(url=url, anonymous=True)) as directory:
            directory._link._ldap_object_lock.acquire()  # where the signal comes before the library can let go again
            raise KeyboardInterrupt
        ended.set()

    with speaking(Paging(Answer([someone(0)]))) as url:
        threading.Thread(target=interrupted, args=(url,), daemon=True).start()
        assert ended.wait(60)


def test_a_part_that_is_elsewhere_is_left_out_only_where_somebody_says_so() -> None:
    away = Answer([someone(1)], references=["ldap://emea.acme.com/DC=emea,DC=acme,DC=com"])
    with speaking(Paging(FIRST, away)) as url:
        assert len(rows(acme(url, access={"leave_referrals": True}).read())) == 2


def test_partitions_of_active_directory_where_nobody_lives_are_no_missing_part() -> None:
    """Documented: a search from the root of a domain points to its application partitions and its configuration."""
    links = [
        f"ldap://acme.com/{part},DC=acme,DC=com"
        for part in ("DC=DomainDnsZones", "DC=ForestDnsZones", "CN=Configuration")
    ]
    with speaking(Paging(Answer([someone(0)], references=links))) as url:
        assert len(rows(acme(url).read())) == 1


@pytest.mark.parametrize(("code", "said"), [("52e", "password is wrong"), ("533", "disabled"), ("532", "expired")])
def test_active_directory_says_by_a_number_why_nobody_is_let_in(code: str, said: str) -> None:
    """Documented: the number behind `data` is that of the error of Windows."""
    speaker = Speaker(
        bind=(49, f"80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {code}, v2580")
    )
    with speaking(speaker) as url:
        assert said in refusal(acme(url))


class Ranges(Speaker):
    """Documented (MS-ADTS 3.1.1.3.1.3.3): no more than so many values at once, the rest by `;range=`."""

    size, total, drops = 3, 8, -1

    def answer(self, search: Search) -> Answer:
        if search.base == BASE and search.scope:
            return Answer([someone(n) for n in range(self.total)])
        asked = next((a for a in search.attributes if a.startswith("member")), "")
        start = int(asked.partition("range=")[2].partition("-")[0] or 0)
        end = min(start + self.size, self.total)
        said = f"member;range={start}-{'*' if end == self.total else end - 1}"
        values = [f"cn=P{n}, ou=people,dc=ACME,dc=com" for n in range(start, end)]
        held = {} if start == self.drops else {"member": [], said: values}
        return Answer([("CN=big,OU=Groups,DC=acme,DC=com", {**held, "cn": ["big"]} if search.scope else held)])


def in_groups(url: str) -> LdapPairs:
    return LdapPairs(people=acme(url), base="OU=Groups,DC=acme,DC=com", filter="(objectClass=group)")


def test_members_that_come_in_parts_are_all_there() -> None:
    speaker = Ranges()
    with speaking(speaker) as url:
        found = [tuple(row) for batch in in_groups(url).read().batches for row in batch.rows]
    assert sorted(found) == [(f"u{n}", "big") for n in range(8)]
    assert [s.attributes for s in speaker.searches if "range" in str(s.attributes)] == [
        ["member;range=3-*"],
        ["member;range=6-*"],
    ]


def test_a_part_that_does_not_come_is_refused() -> None:
    speaker = Ranges()
    speaker.drops = 6
    with speaking(speaker) as url:
        assert "from value 6 on" in refusal(in_groups(url))


def test_only_searches_are_asked() -> None:
    asked: list[int] = []

    class Listening(Paging):
        def said(self, message: int, data: Any) -> Iterator[bytes | None]:
            asked.append(data[1][0])
            return super().said(message, data)

    with speaking(Listening(FIRST, Answer([someone(1)]))) as url:
        assert len(rows(acme(url).read())) == 2
    assert set(asked) <= {0x60, 0x63, 0x42}  # bind, search, unbind
