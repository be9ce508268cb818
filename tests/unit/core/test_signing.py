"""Signatures against the reference library of Standard Webhooks, and against everything that is none."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from scimsync.core.signing import TOLERANCE_S, key_of, sign, verify

NOW = datetime(2026, 11, 25, 9, 30, 0, 250_000, tzinfo=UTC)
BODY = '{"type": "person.changed", "key": "Zoë"}'.encode()
KEY = bytes(range(32))
OLD = bytes(range(32, 64))
SECRET = "whsec_" + base64.b64encode(KEY).decode()

keys = st.binary(min_size=1, max_size=64)
ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
bodies = st.one_of(st.binary(max_size=200), st.dictionaries(st.text(), st.text()).map(lambda d: json.dumps(d).encode()))
moments = st.integers(315_532_800, 3_786_912_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
headers = st.fixed_dictionaries(
    {},
    optional={name: st.text() for name in ("webhook-id", "webhook-timestamp", "webhook-signature")},
)


def genuine(*, at: datetime = NOW, message: str = "msg_1", body: bytes = BODY, key: bytes = KEY) -> dict[str, str]:
    return sign([key], message, at, body)


def test_the_vector_of_the_specification_is_met() -> None:
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(1614265330, UTC), b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(keys, ids, st.text(st.characters(codec="utf-8")), moments)
def test_what_we_sign_is_what_the_reference_library_signs(key: bytes, message: str, body: str, at: datetime) -> None:
    whole = at.replace(microsecond=0)
    assert sign([key], message, whole, body.encode())["webhook-signature"] == Webhook(key).sign(message, whole, body)


@given(ids, bodies.filter(lambda body: body.isascii()))
def test_the_reference_library_takes_what_we_sign_and_we_take_what_it_signs(message: str, body: bytes) -> None:
    now = datetime.now(UTC)
    Webhook(SECRET).verify(body, sign([KEY], message, now, body), json_parse=False)
    theirs = {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(message, now, body.decode()),
    }
    assert verify([KEY], theirs, body, now) == message


@given(keys, ids, bodies, moments)
def test_what_was_signed_verifies_and_one_other_byte_does_not(
    key: bytes, message: str, body: bytes, at: datetime
) -> None:
    made = sign([key], message, at, body)
    assert verify([key], made, body, at) == message
    assert verify([key], made, body + b" ", at) is None
    assert verify([key + b"x"], made, body, at) is None
    assert verify([], made, body, at) is None


@given(headers, bodies, moments)
def test_verify_never_raises_and_takes_nothing_that_was_not_signed(
    given_headers: dict[str, str], body: bytes, now: datetime
) -> None:
    assert verify([KEY, OLD], given_headers, body, now) is None


@given(st.text(), st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]))
def test_one_member_put_in_place_of_a_genuine_one_is_never_taken(text: str, name: str) -> None:
    made = genuine()
    if text != made[name]:
        assert verify([KEY], {**made, name: text}, BODY, NOW) in {None} | (
            {"msg_1"} if name == "webhook-signature" and made[name] in text.split(" ") else set()
        )


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-signature": "v1," + "," + genuine()["webhook-signature"]},
        {"webhook-signature": "v1"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1a," + genuine()["webhook-signature"].partition(",")[2]},
        {"webhook-signature": genuine()["webhook-signature"].rstrip("=")},
        {"webhook-signature": "\udcff"},
        {"webhook-timestamp": "٣" * 10},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": genuine()["webhook-timestamp"] + ".0"},
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-id": "x" * 5000},
        {"webhook-id": "msg\n1"},
    ],
    ids=repr,
)
def test_each_malformed_form_gets_the_one_answer(changed: dict[str, str]) -> None:
    assert verify([KEY], {**genuine(), **changed}, BODY, NOW) is None


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_no_proof(missing: str) -> None:
    made = genuine()
    del made[missing]
    assert verify([KEY], made, BODY, NOW) is None


@pytest.mark.parametrize(
    ("seconds", "good"),
    [(0, True), (TOLERANCE_S - 1, True), (-TOLERANCE_S + 1, True), (360, False), (-360, False)],
)
def test_a_message_is_good_for_five_minutes_either_way(seconds: int, good: bool) -> None:
    at = NOW.replace(microsecond=0)
    assert (verify([KEY], genuine(at=at), BODY, at + timedelta(seconds=seconds)) is not None) is good


def test_while_a_secret_changes_both_sides_may_be_first() -> None:
    now = datetime.now(UTC)  # the reference library looks at the clock
    both = sign([KEY, OLD], "msg_1", now, BODY)
    assert len(both["webhook-signature"].split(" ")) == 2
    assert verify([KEY], both, BODY, now) == "msg_1"
    assert verify([OLD], both, BODY, now) == "msg_1"
    assert verify([KEY, OLD], genuine(key=OLD), BODY, NOW) == "msg_1"
    assert verify([KEY], genuine(key=OLD), BODY, NOW) is None  # after its end the old one is worth nothing
    Webhook(SECRET).verify(BODY, both)


def test_more_signatures_than_anybody_needs_are_not_looked_at() -> None:
    made = genuine()
    crowd = " ".join(["v1,x"] * 20 + [made["webhook-signature"]])
    assert verify([KEY], {**made, "webhook-signature": crowd}, BODY, NOW) is None


def test_a_binary_body_is_no_trouble_though_the_reference_library_breaks_on_it() -> None:
    body = b"\xff\xfe\x00"
    assert verify([KEY], genuine(body=body), body, NOW) == "msg_1"
    with pytest.raises((UnicodeDecodeError, WebhookVerificationError)):
        Webhook(SECRET).verify(body, genuine(body=body))


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        (SECRET, KEY),
        (SECRET.rstrip("="), KEY),
        ("a plain text", b"a plain text"),
        ("whsec", b"whsec"),
    ],
)
def test_a_secret_is_base64_behind_its_prefix_and_else_the_text_itself(secret: str, key: bytes) -> None:
    assert key_of(secret) == key


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!!", "whsec_ä", "whsec_abcde"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match=r"base64|empty"):
        key_of(secret)
