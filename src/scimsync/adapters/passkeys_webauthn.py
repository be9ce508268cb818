"""Passkeys through py_webauthn (W3C Web Authentication): bound to our address, proven by the person at the device."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import webauthn
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from scimsync.errors import IdentityRefused


class WebauthnPasskeys:
    """Fits the Passkeys port of the console."""

    def register(self, host: str, user: str, held: Sequence[str]) -> tuple[str, bytes]:
        """What a browser is asked in order to make a passkey, and the challenge that must come back.

        Args:
            host: The name under which we are reached.
            user: Whose it will be.
            held: The ids of those that the user has: a device makes no second one.
        """
        options = webauthn.generate_registration_options(
            rp_id=host,
            rp_name="scimsync",
            user_name=user,
            user_id=hashlib.sha256(user.encode()).digest(),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=webauthn.base64url_to_bytes(one)) for one in held],
        )
        return webauthn.options_to_json(options), options.challenge

    def registered(self, host: str, origin: str, said: str, challenge: bytes) -> tuple[str, bytes, int]:
        """Id, public key and count of a passkey that was made.

        Raises:
            IdentityRefused: What came back is no answer to what was asked.
        """
        try:
            found = webauthn.verify_registration_response(
                credential=said,
                expected_challenge=challenge,
                expected_rp_id=host,
                expected_origin=origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise IdentityRefused(f"This passkey was not made for this page ({type(error).__name__}).") from None
        return bytes_to_base64url(found.credential_id), found.credential_public_key, found.sign_count

    def ask(self, host: str) -> tuple[str, bytes]:
        """What a browser is asked of whoever has a passkey, and the challenge that must come back."""
        options = webauthn.generate_authentication_options(
            rp_id=host, user_verification=UserVerificationRequirement.REQUIRED
        )
        return webauthn.options_to_json(options), options.challenge

    def named(self, said: str) -> str:
        """The id of the passkey that an answer is by; "" where it names none."""
        try:
            found = json.loads(said)
        except ValueError:
            return ""
        return str(found.get("id", "")) if isinstance(found, dict) else ""

    def proven(self, host: str, origin: str, said: str, challenge: bytes, key: bytes, count: int) -> int:
        """How often the device says that the passkey was used, where it proves to have it.

        Raises:
            IdentityRefused: It does not.
        """
        try:
            found = webauthn.verify_authentication_response(
                credential=said,
                expected_challenge=challenge,
                expected_rp_id=host,
                expected_origin=origin,
                credential_public_key=key,
                credential_current_sign_count=count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise IdentityRefused(f"This passkey proves nothing here ({type(error).__name__}).") from None
        return found.new_sign_count
