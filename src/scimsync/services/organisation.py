"""A Genesys Cloud organisation as a program names it, without a configuration file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from scimsync.config import (
    AuditSettings,
    Settings,
    SourceSettings,
    StateSettings,
    TargetSettings,
    WebhookSettings,
)
from scimsync.core.drifting import Baseline
from scimsync.core.signing import key_of
from scimsync.errors import ConfigError, UnsignedWebhook
from scimsync.model.policy import BadValue, Limits, Policy
from scimsync.scim.dialect import GENESYS, region_of
from scimsync.scim.drift import PLAIN, plain_baseline

#: each call names one person and what they shall become, so it counts alone
_ALONE = Limits(window=timedelta())
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


def settings_of(  # noqa: PLR0913 - the contract of the library
    client_id: str,
    client_secret: str,
    organisation: str,
    *,
    webhook: tuple[str, str],
    api_url: str,
    login_url: str,
    state: Path | str | None,
    requests_per_minute: int | None,
) -> Settings:
    """The settings of an organisation; the mapping is that of each call.

    Args:
        client_id: Of the OAuth client.
        client_secret: Its secret.
        organisation: A region or a domain; not needed where both addresses are given.
        webhook: Where events are sent, and what they are signed with; "" for neither.
        api_url: Where the API is.
        login_url: Where tokens are given.
        state: The folder of the state; None where there is none.
        requests_per_minute: Upper bound; 0 for none; None for what the target announces.

    Raises:
        ConfigError: The organisation is not known, or the secret of the webhook is none.
    """
    if bool(api_url) is not bool(login_url):
        raise ConfigError("api_url and login_url belong together: give both, or neither and org_domain")
    if not api_url:
        api_url, login_url = _hosts(organisation)
    for name, url in (("api_url", api_url), ("login_url", login_url)):
        _check(name, url)
    if requests_per_minute is not None and (type(requests_per_minute) is not int or requests_per_minute < 0):
        raise ConfigError(f"requests_per_minute must be a whole number from 0, not {requests_per_minute!r}")
    folder = Path() if state is None else Path(state).absolute()
    return Settings(
        file=folder / "scimsync.toml",
        source=SourceSettings(kind="list", key="id"),
        target=TargetSettings(
            dialect=GENESYS,
            api_url=api_url.rstrip("/"),
            login_url=login_url.rstrip("/"),
            client_id=client_id,
            client_secret=client_secret,
            requests_per_minute=requests_per_minute,
        ),
        policy=Policy(attributes=(), match=(), limits=_ALONE, on_bad_value=BadValue.PERSON),
        state=StateSettings(url=f"sqlite:///{folder / 'state.db'}", artifacts=folder / "artifacts"),
        webhooks=_webhooks(*webhook),
        audit=AuditSettings(key_file=folder / "artifacts" / "audit-key", makes=True),
        digest="library",
    )


def baseline_of(schema: Mapping[str, str] | None) -> Baseline | None:
    """A baseline of path and type, checked.

    Raises:
        ConfigError: It names what there is not; all faults at once.
    """
    if schema is None:
        return None
    plain_baseline(schema, GENESYS.users)
    return Baseline(name="baseline_schema", documents={PLAIN: dict(schema)})


def _hosts(organisation: str) -> tuple[str, str]:
    regions = GENESYS.regions
    domain = regions.get(region_of(organisation, regions), "")
    if not domain:
        raise ConfigError(
            f"org_domain {organisation!r} is neither a region nor a domain of Genesys Cloud. "
            f"Regions: {', '.join(regions)}. Or give api_url and login_url."
        )
    return f"https://api.{domain}", f"https://login.{domain}"


def _check(name: str, url: str) -> None:
    """Refuse an address to which no secret and no event should go."""
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in {"https", "http"} or "@" in parts.netloc:
        raise ConfigError(f"{name} must look like https://host or https://host/path")
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise ConfigError(f"{name} must be https; http goes to this machine only")


def _webhooks(url: str, secret: str) -> tuple[WebhookSettings, ...]:
    if not url:
        return ()
    _check("webhook_url", url)
    try:
        keys = (key_of(secret),) if secret else ()
    except ValueError as error:
        raise ConfigError(f"webhook_secret: {error}") from error
    if not keys:
        warnings.warn(
            "webhook_url without webhook_secret: events are sent unsigned, so a receiver cannot tell who sent them. "
            "Give webhook_secret to sign them.",
            UnsignedWebhook,
            stacklevel=4,
        )
    return (WebhookSettings(number=1, url=url, keys=keys, allow_private=urlsplit(url).hostname in _LOCAL),)
