"""The commands `scimsync audit ...`: parse, call, exit code; what they do stands in `auditing`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scimsync.cli.options import FILE, Group, with_config


@click.group(cls=Group, short_help="Prove, read and export the audit chain.")
def audit() -> None:
    """Prove, read and export what was written, decided and by whom."""


@audit.command("verify", short_help="Prove the chain, or name the first broken record.")
@with_config
@click.argument("file", required=False, type=FILE)
@click.option("--against", type=FILE, help="Checkpoints that were kept elsewhere.")
@click.option(
    "--public-key",
    default="",
    metavar="TEXT",
    help="Public key of the signer: the text or a file. Default: the key of this state.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def audit_verify(config: Path, file: Path | None, against: Path | None, public_key: str, as_json: bool) -> None:  # noqa: FBT001
    """Verify FILE (an export), or the state: no record was changed, removed, reordered or added.

    Example: scimsync audit verify --against /mnt/elsewhere/checkpoints
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.verify(config, file, against, public_key, as_json=as_json))


@audit.command("show", short_help="Show the latest records.")
@with_config
@click.option("--user", default="", metavar="KEY", help="Only those about this person, by source key.")
@click.option("--run", default="", help="Only those of this run.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many, the latest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def audit_show(config: Path, user: str, run: str, limit: int, as_json: bool) -> None:  # noqa: FBT001
    """Show the latest records of the audit chain.

    Example: scimsync audit show --user E00011
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.show_records(config, user, run, limit, as_json=as_json))


@audit.command("export", short_help="Write records as JSON lines or OCSF events.")
@with_config
@click.option("--format", "form", type=click.Choice(["jsonl", "ocsf"]), default="jsonl", show_default=True, help="How.")
@click.option("--out", type=FILE, help="To this file (mode 0600), not stdout.")
@click.option("--run", default="", help="Only this run.")
@click.option("--since", type=click.DateTime(), help="Only from this moment (UTC) on.")
@click.option("--no-values", is_flag=True, help="Without the personal part.")
def audit_export(config: Path, no_values: bool, **given: object) -> None:  # noqa: FBT001
    """Write records as JSON lines that `audit verify FILE` can prove, or as OCSF events.

    Example: scimsync audit export --format ocsf --since 2026-11-01 --out november.ndjson
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.export(config, auditing.Options(values=not no_values, **given)))  # type: ignore[arg-type]


@audit.command("prove", short_help="Write a proof for one record that can be checked without this state.")
@with_config
@click.argument("seq", type=click.IntRange(1))
@click.option("--out", type=FILE, help="To this file (mode 0600), not stdout.")
def audit_prove(config: Path, seq: int, out: Path | None) -> None:
    """Write the proof that record SEQ is in the chain; examples/check_proof.py checks it.

    Example: scimsync audit prove 17 --out proof.json
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.prove(config, seq, out))


@audit.command("erase", short_help="Make the values of one person unreadable forever.")
@with_config
@click.argument("person")
@click.option("--reason", required=True, help="Why; kept in the chain.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def audit_erase(config: Path, person: str, reason: str, yes: bool) -> None:  # noqa: FBT001
    """Destroy the key under which the values of PERSON (a source key) are encrypted. It cannot be taken back.

    Example: scimsync audit erase E00011 --reason "request 4711 of 2 March"
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.erase(config, person, reason, yes=yes))


@audit.command("checkpoint", short_help="Sign the chain as it is now.")
@with_config
def audit_checkpoint(config: Path) -> None:
    """Sign the chain as it is now, keep the checkpoint, and print it.

    Example: scimsync audit checkpoint
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.checkpoint(config))


@audit.command("key", short_help="Make the key that signs checkpoints; print the public key.")
@with_config
def audit_key(config: Path) -> None:
    """Make the key that signs checkpoints where there is none, and print the public key.

    Example: scimsync audit key
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.key(config))
