"""The section `[target]`: the directory that is kept equal to HR."""

from typing import Literal

from scimsync.config.keys import REFERENCE, Section, Window
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import text as _text


class Target(Section):
    """The directory that is kept equal to HR."""

    dialect: str = _text(
        "The kind of directory: `genesys`, `generic` for a provider that keeps to the RFC, another shipped one, or "
        "file: and the name of a dialect file as `scimsync probe` writes it (docs/dialects.md).",
        "genesys",
        example="file:acme.toml",
    )
    region: str = _text(
        "A Genesys Cloud region, or its domain as in the address bar (`mypurecloud.de`, `apps.mypurecloud.de`). It "
        "gives both addresses.",
        example="eu-central-1",
    )
    api_url: str = _text(
        "Where the API is, instead of `region` and with `login_url` or another way to authenticate. https, or http on "
        "this machine.",
        example="https://api.mypurecloud.de",
    )
    login_url: str = _text(
        "Where tokens are given, instead of `region` and with `api_url`: the host, below which /oauth/token is asked. "
        "Not needed with another way to authenticate.",
        example="https://login.mypurecloud.de",
    )
    client_id: str = _text(
        "The id of the OAuth client (client credentials); env:NAME or file:PATH. Needed without another way to "
        "authenticate.",
        example="env:GENESYS_CLIENT_ID",
    )
    client_secret: str = _like(
        REFERENCE,
        "The secret of the OAuth client; env:NAME or file:PATH. Needed without another way to authenticate.",
        example="file:client_secret",
    )
    token_url: str = _text(
        "The whole address at which `client_id` gets its token, instead of `login_url`. https, or http on this "
        "machine.",
        example="https://login.example.com/oauth2/token",
    )
    scopes: list[str] = _key(
        "What is asked for with `client_id`, where the provider wants it named.", [], example=["scim"]
    )
    audience: str = _text(
        "Whom the token is for, where the provider wants it named (parameter `audience`).",
        example="https://scim.example.com",
    )
    client_auth: Literal["basic", "post"] | None = _key(
        "How `client_id` and `client_secret` travel: `basic` in the header, `post` in the body; some providers take "
        "one only. Default: `basic`.",
        None,
        example="post",
    )
    token: str = _like(
        REFERENCE,
        "A ready-made bearer token instead of client id and secret; env:NAME or file:PATH.",
        example="env:SCIM_TOKEN",
    )
    username: str = _text("The user of HTTP Basic, with `password`; env:NAME or file:PATH.", example="scim")
    password: str = _like(
        REFERENCE, "The password of HTTP Basic, with `username`; env:NAME or file:PATH.", example="env:SCIM_PASSWORD"
    )
    header: str = _text(
        "The name of a header that lets us in, with `header_value`.",
        example="X-API-Key",
    )
    header_value: str = _like(
        REFERENCE, "What stands in `header`, as it is sent; env:NAME or file:PATH.", example="env:API_KEY"
    )
    requests_per_minute: int | None = _key(
        "How many requests a minute at most; 0 for no pacing. Default: what the target announces.",
        None,
        example=180,
        ge=0,
    )
    recall: Window = _key(
        "How old a value may be, in days (`d`) or hours (`h`), that costs the target a second look-up (Genesys Cloud: "
        "externalId, roles, skills, languages) and is taken from an earlier plan because the version of the account "
        'did not move. `"0"` reads everything each time.',
        "28d",
        example="7d",
    )
    depth: Literal["full", "versions", "source"] = _key(
        "How deep a plan looks at the directory. `full` lists everybody with all that is mapped; `versions` lists "
        "login, status and version, and reads whoever moved; `source` lists nobody: only what HR changed is written, "
        "and a write finds out who moved. The plan says what it did not look at.",
        "full",
        example="versions",
    )
    versions_every: Window = _key(
        'With `depth = "source"`: a plan lists versions where the last listing is as old as this, in days (`d`) or '
        'hours (`h`). `"0"` for never.',
        "1d",
        example="12h",
    )
    full_every: Window = _key(
        "With another depth than `full`: a plan looks at everything where the last one that did is as old as this, in "
        'days (`d`) or hours (`h`): what moves no version, groups. `"0"` for never.',
        "7d",
        example="3d",
    )
    workers: int = _key("How many requests run at a time.", 8, example=4, ge=1)
    ca_file: str = _text("One more certificate authority to trust, PEM.", example="company-ca.pem")
    concurrency: Literal["version", "compare", "auto"] | None = _key(
        "What keeps a write from undoing somebody else's: `version` (If-Match; where the target gives no version, "
        "nothing is written), `compare` (read, compare with what the plan saw, write, read back; what somebody else "
        "writes in between is not seen), or `auto`: `version` where the target shows one and does not say that it "
        "ignores it, else `compare`. Default: that of the dialect, `generic` `auto`, `genesys` always `version`.",
        None,
        example="compare",
    )
    operations_per_patch: int | None = _key(
        "How many operations one PATCH may hold; 0 for no limit. A larger change is sent as several, each under the "
        "version that the one before left. Default: that of the dialect, `generic` 50, `genesys` 0.",
        None,
        example=20,
        ge=0,
    )
    characters: int | None = _key(
        "How many characters a text may have; 0 for no limit. Who has a longer one is left out (record.too-long). "
        "Default: that of the dialect, `generic` 255, `genesys` 0.",
        None,
        example=400,
        ge=0,
    )
    request_bytes: int | None = _key(
        "How large the body of a request may be, in bytes; 0 for no limit. A larger PATCH is sent as several. "
        "Default: that of the dialect, `generic` 0, `genesys` 512000.",
        None,
        example=100_000,
        ge=0,
    )
    default_roles: list[str] | None = _key(
        "Roles and entitlements that the provider gives every new account by itself. Others that a new account shows "
        "tell that a deleted one came back (account.restored). Default: that of the dialect, `generic` none, "
        '`genesys` `["employee"]`.',
        None,
        example=["user"],
    )
