"""What a key of the file looks like: its form, its text, its example. The models of `document` are made of these."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

REFERENCE = r"^(env|file|credential|exec):"
#: a former secret may be empty, for configurations that are filled in by a tool
FORMER_REFERENCE = r"^((env|file|credential|exec):|$)"
SIGNING_KEY = r"^(file|keyring):."
SHARE = r"^[ \t]*[0-9]+(\.[0-9]+)?[ \t]*%[ \t]*$"
AFTER = r"^[ \t]*[1-9][0-9]{0,4}[ \t]*[dh][ \t]*$"
WINDOW = r"^[ \t]*([0-9]{1,5}[ \t]*[dh][ \t]*|0)$"
OUTAGE = r"^[ \t]*(stop|wait[ \t]+[1-9][0-9]{0,3}[ \t]*[mh])[ \t]*$"
BOUNDS = r"^[ \t]*((>=|<=)[ \t]*[0-9]+|[0-9]+[ \t]+to[ \t]+[0-9]+)[ \t]*$"
RULE_NAME = r"^[a-z0-9][a-z0-9-]*$"
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
MEMORY = r"^[0-9]+(\.[0-9]+)?[ \t]*[KMGTkmgt][Ii]?[Bb]$"
TEXTFILE = r"\.prom$"

#: the ways to authenticate, and their keys under [target]; what a way cannot do without comes first
WAYS: Mapping[str, tuple[str, ...]] = {
    "token": ("token",),
    "client": ("client_id", "client_secret", "token_url", "scopes", "audience", "client_auth"),
    "basic": ("username", "password"),
    "header": ("header", "header_value"),
}
#: what `token_url` stands instead of
INSTEAD = ("login_url", "region")
#: what says, beside `api_url`, how or where we get in; `client_id` does not say where
PLACED = ("login_url", "token_url", "token", *WAYS["basic"], *WAYS["header"])

Share = Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=SHARE)]
Window = Annotated[int, Field(ge=0, le=0)] | Annotated[str, Field(pattern=WINDOW)]
AuthorityWord = Literal["local_wins", "cloud_wins", "merge", "ask"]


def key(text: str, default: object = ..., *, example: object, **more: Any) -> Any:  # noqa: ANN401 - as pydantic's Field
    """A key: what it is, what holds where it is missing, and an example; without a default it is needed."""
    return Field(default, description=text, examples=[example], **more)


def text(text: str, default: object = "", *, example: str) -> Any:  # noqa: ANN401 - as pydantic's Field
    """A key that takes a text which is not empty; as a default, "" stands for nothing."""
    return Field(default, description=text, examples=[example], min_length=1)


def or_blank(text: str, *, example: str) -> Any:  # noqa: ANN401 - as pydantic's Field
    """A key that may be blank: which of several is needed, another key says."""
    return Field("", description=text, examples=[example])


def like(pattern: str, text: str, default: object = "", *, example: str) -> Any:  # noqa: ANN401 - as pydantic's Field
    """A key that takes a text of this form; as a default, "" stands for nothing."""
    return Field(default, description=text, examples=[example], pattern=pattern)


def section() -> Any:  # noqa: ANN401 - as pydantic's Field
    """A section that may be missing, which is read as an empty one."""
    return Field({}, validate_default=True)


class Section(BaseModel):
    """What all sections share: no other keys, and no value is taken for one of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)
