"""Names compared by RFC 4514, and times as LDAP writes them."""

from __future__ import annotations

from datetime import datetime

import pytest

from scimsync.adapters.source_ldap_values import expires, same_name, time_of

NAME = "cn=Doe\\, Jane,ou=People,dc=acme,dc=com"


@pytest.mark.parametrize(
    "other",
    [
        "CN=doe\\, jane,OU=people,DC=ACME,DC=COM",
        "cn=Doe\\2C Jane , ou = People ,dc=acme,dc=com",
        'cn="Doe, Jane",ou=People,dc=acme,dc=com',
        "cn=Doe\\,  Jane,ou=People;dc=acme;dc=com",
        "commonName=Doe\\, Jane,organizationalUnitName=People,dc=acme,dc=com",
        "2.5.4.3=Doe\\, Jane,2.5.4.11=People,0.9.2342.19200300.100.1.25=acme,dc=com",
        "cn=#0409446f652c204a616e65,ou=People,dc=acme,dc=com",
        "cn=\\44oe\\, Jane,ou=People,dc=acme,dc=com",
    ],
)
def test_two_spellings_of_one_name_are_the_same(other: str) -> None:
    assert same_name(other) == same_name(NAME)


@pytest.mark.parametrize(
    "other",
    ["cn=Doe,cn=Jane,ou=People,dc=acme,dc=com", "cn=Doe\\, Jane,dc=acme,dc=com", "cn=Doe Jane,ou=People,dc=acme,dc=com",
     "ou=People,cn=Doe\\, Jane,dc=acme,dc=com", "uid=Doe\\, Jane,ou=People,dc=acme,dc=com", "cn=Doe\\, J\u00e4ne,ou=People,dc=acme,dc=com"],
)  # fmt: skip
def test_names_of_others_are_not(other: str) -> None:
    assert same_name(other) != same_name(NAME)


def test_letters_beyond_ascii_are_the_same_however_they_are_escaped_or_composed() -> None:
    assert same_name("cn=Zo\\C3\\AB,dc=x") == same_name("CN=ZOË,dc=x") == same_name("cn=Zoe\u0308,dc=x")


def test_the_order_within_a_part_of_several_values_does_not_count() -> None:
    assert same_name("cn=a+uid=7,dc=x") == same_name("UID=7 + CN=A,dc=x") != same_name("cn=a,uid=7,dc=x")


@pytest.mark.parametrize("text", ["no name", "cn", "=x", "cn=a,,dc=x"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="distinguished"):
        same_name(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("20260131123456Z", (2026, 1, 31, 12, 34, 56)),
        ("20260131123456.0Z", (2026, 1, 31, 12, 34, 56)),
        ("202601311234Z", (2026, 1, 31, 12, 34)),
        ("2026013112Z", (2026, 1, 31, 12)),
        ("2026013112.5Z", (2026, 1, 31, 12, 30)),
        ("20260131003000+0100", (2026, 1, 30, 23, 30)),
        ("20260131003000-05", (2026, 1, 31, 5, 30)),
        ("20261231235960Z", (2027, 1, 1)),
    ],
)
def test_a_generalized_time_is_a_time_in_utc(text: str, meant: tuple[int, ...]) -> None:
    assert time_of(text.encode()) == datetime(*meant)  # type: ignore[arg-type]  # noqa: DTZ001


@pytest.mark.parametrize("text", ["20260131123456", "20261331000000Z", "2026", "", "20260131T123456Z"])
def test_what_is_no_generalized_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        time_of(text.encode())


@pytest.mark.parametrize(
    ("ticks", "meant"),
    [(0, None), (2**63 - 1, None), (133485408000000000, (2024, 1, 1)), (2650467744000000000, None)],
)
def test_an_account_expires_when_windows_says_so_or_never(ticks: int, meant: tuple[int, int, int] | None) -> None:
    assert expires(ticks) == (datetime(*meant) if meant else None)  # noqa: DTZ001


def test_an_account_does_not_expire_before_all_times() -> None:
    with pytest.raises(ValueError, match="before"):
        expires(-1)
