"""Sign plans with the key that signs the audit chain, and look at such signatures (Ed25519)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

from scimsync import files
from scimsync.core.sealing import Closing, Opened, Signer, closing_of, encode
from scimsync.engine.checkpoints import public_of, public_text, read_public
from scimsync.errors import PlanDamaged
from scimsync.model.plans import Plan


def signer_of(seed: bytes) -> Signer:
    """Who signs with a key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - 20 ms

    return Signer(public_text(public_of(seed)), Ed25519PrivateKey.from_private_bytes(seed).sign)


def write(path: Path, plan: Plan, seed: bytes | None) -> str:
    """Write a plan to its file, signed where there is a key; give the digest that closes it.

    Raises:
        OSError: It cannot be written there.
    """
    last = b""

    def lines() -> Iterator[bytes]:
        nonlocal last
        for line in encode(plan, None if seed is None else signer_of(seed)):
            last = line
            yield line

    files.write(path, lines())
    return closing_of(last).sha256


def is_signed(closing: Closing, public: bytes) -> bool:
    """Whether a plan file was closed with the key of this public one."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(closing.signature), closing.message)
    except (ValueError, InvalidSignature):
        return False
    return True


def is_whole(opened: Opened) -> bool:
    """Whether the signature fits the key that the file itself names; whose that is, says somebody else."""
    try:
        return is_signed(opened.closing, read_public(opened.signer))
    except ValueError:
        return False


def check(opened: Opened, public: bytes, where: str) -> None:
    """Whether a plan was signed with the key of this public one, where it was signed.

    A plan that a version before signatures made has none: what proves it is its digest, and the run that knows it.

    Raises:
        PlanDamaged: It was signed with another, or its signature was changed.
    """
    if opened.signer and not is_signed(opened.closing, public):
        what = (
            f"it was signed with another key than that in {where}"
            if is_whole(opened)
            else "the file was changed after it was signed"
        )
        raise PlanDamaged(f"plan {opened.plan.id}: {what}. Make a new plan.")
