"""A Genesys Cloud organisation as a program names it, without a configuration file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from scimsync.config import (
    AuditSettings,
    Settings,
    SourceSettings,
    StateSettings,
    TargetSettings,
    WebhookSettings,
)
from scimsync.config.addresses import hosts_of, is_local, region_fault, target_fault, webhook_fault
from scimsync.core.drifting import Baseline
from scimsync.core.signing import key_of
from scimsync.errors import ConfigError, UnsignedWebhook
from scimsync.model.policy import BadValue, Limits, Policy
from scimsync.scim.drift import PLAIN, plain_baseline
from scimsync.scim.genesys import GENESYS

#: each call names one person and what they shall become, so it counts alone
_ALONE = Limits(window=timedelta(), leavers_window=timedelta())


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
    faults = [
        f"{name} {fault}"
        for name, url in (("api_url", api_url), ("login_url", login_url))
        if (fault := target_fault(url))
    ]
    if faults:
        raise ConfigError(*faults)
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


def _hosts(organisation: object) -> tuple[str, str]:
    if not isinstance(organisation, str) or not organisation.strip():
        raise ConfigError(
            "give org_domain, a region (us-east-1) or a domain (mypurecloud.com), or api_url and login_url"
        )
    hosts = hosts_of(organisation, GENESYS)
    if not hosts:
        raise ConfigError(f"org_domain = {region_fault(organisation, GENESYS)}. Or give api_url and login_url.")
    return hosts


def _webhooks(url: str, secret: str) -> tuple[WebhookSettings, ...]:
    if not url:
        return ()
    if fault := webhook_fault(url, private=is_local(url)):
        raise ConfigError(f"webhook_url {fault}")
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
    return (WebhookSettings(number=1, url=url, keys=keys, allow_private=is_local(url)),)
