"""A target without a configuration: an address and a token."""

from __future__ import annotations

from pathlib import Path

from scimsync.config.addresses import is_local, target_fault
from scimsync.config.references import References
from scimsync.config.settings import TargetSettings
from scimsync.errors import ConfigError
from scimsync.scim.generic import GENERIC


def bare_target(url: str, token: str) -> TargetSettings:
    """The target behind an address, of which nothing is known yet.

    Args:
        url: The SCIM base, or a host below which it is.
        token: A reference to a token: env:NAME or file:PATH, from the working directory.

    Raises:
        ConfigError: The address is none, or the reference leads nowhere; all faults at once.
    """
    faults = [f"{url} {fault}"] if (fault := target_fault(url)) else []
    if fault and "//" not in url and not target_fault(f"https://{url}"):
        faults = [f"{url} is not an address: write for instance https://{url}"]
    held = ""
    if not token:
        faults.append(
            "--token is needed: export SCIM_TOKEN=..., then --token env:SCIM_TOKEN. Where the provider lets nobody in "
            "by a token, write [target] of a configuration, and: scimsync probe --config FILE"
        )
    elif not token.startswith(("env:", "file:")):
        faults.append(
            "--token takes a reference and no secret: env:NAME or file:PATH. export SCIM_TOKEN=..., then "
            "--token env:SCIM_TOKEN"
        )
    else:
        held = References(Path.cwd() / "scimsync.toml", faults).resolve("--token", token)
    if faults:
        raise ConfigError(*faults)
    return TargetSettings(
        dialect=GENERIC,
        api_url=url.rstrip("/"),
        login_url="",
        client_id="",
        client_secret="",
        token=held,
        requests_per_minute=0 if is_local(url) else None,  # on this machine nobody has to be spared
    )
