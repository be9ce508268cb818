"""Every exception of the product. An exception ends the run; trouble with one person is a Finding.

    ScimsyncError                 exit code
    ├── ConfigError           2   a file or an argument of yours is wrong; PersonUnknown
    ├── SourceError           3   the HR side cannot be read, or cannot be believed (SourceEmpty: holds nothing)
    ├── PlanError             4   PlanRefused (a rule says no), PlanStale (the world moved), PlanDamaged
    ├── TargetError           5   TargetUnavailable (try later), TargetDenied (nobody will succeed),
    │                             SchemaDrifted (what we write is not what it was)
    ├── IdentityRefused       1   somebody is not let in; ProviderSilent (who says who they are does not answer)
    ├── StoreError            6   StoreLocked (somebody else is at work), StoreDamaged
    └── ProtocolError             InvalidPath, InvalidFilter, PatchRefused, InvalidDialect: a text that is not
                                  SCIM, or no dialect;
                                  callers turn it into one of the above or into a finding

A message is one paragraph that says where, what, and what to do next. No secret and no personal
value stands in it: people are named by their source key or by file and line.
"""


class ScimsyncError(Exception):
    """The root of all errors that scimsync raises on purpose."""

    exit_code = 1


class ConfigError(ScimsyncError):
    """The configuration or the command line is wrong. `faults` lists all of them at once."""

    exit_code = 2

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


class PersonUnknown(ConfigError):
    """A key that was asked for is known neither to the source nor to a link."""

    def __init__(self, *keys: str, said: str = "") -> None:
        self.keys = keys
        super().__init__(said or f"--user {', '.join(keys)}: neither the source nor a link knows this key")


class SourceError(ScimsyncError):
    """The source cannot be read, or what was read cannot be believed."""

    exit_code = 3


class SourceEmpty(SourceError):
    """The source was read to its end and holds nothing."""


class PlanError(ScimsyncError):
    """The plan cannot be applied."""

    exit_code = 4


class PlanRefused(PlanError):
    """A rule says no: a limit was passed, or the plan holds an error."""


class PlanWaits(PlanRefused):
    """The plan needs approvals that nobody has given yet."""


class PlanStale(PlanError):
    """The world moved since the plan was made; make a new one."""


class PlanDamaged(PlanError):
    """The plan file was changed after it was sealed, or is not a plan."""


class TargetError(ScimsyncError):
    """The target refused us or cannot be reached."""

    exit_code = 5


class TargetUnavailable(TargetError):
    """The target cannot be reached now; a later try may succeed."""


class TargetUnanswered(TargetUnavailable):
    """One question was not answered now; others may be."""


class FilterRefused(TargetError):
    """The target takes no filter on an attribute, or answers it with anybody: nothing can be looked up by it."""


class TargetDenied(TargetError):
    """The target refuses these credentials or this client; trying again does not help."""


class SchemaDrifted(TargetError):
    """The target's schema drifted where the mapping writes. `drifts` has one line for each place."""

    def __init__(self, baseline: str, drifts: tuple[str, ...], *, begun: bool = False) -> None:
        self.drifts = drifts
        left = "What was done stays, and no more was begun." if begun else "Nothing more was read, nothing was written."
        super().__init__(
            "\n".join(
                (
                    f"the target's schema is not what it was in {baseline}, where the mapping writes:",
                    *drifts,
                    f"{left} Look at it with: scimsync schema diff. "
                    "Mend [attributes]; then record the schema as it is now: scimsync schema pin",
                )
            )
        )


class IdentityRefused(ScimsyncError):
    """A provider does not say, or does not prove, who somebody is; or who they are may nothing here."""


class ProviderSilent(ScimsyncError):
    """The provider at which people sign in does not answer, or says nothing that can be used."""


class StoreError(ScimsyncError):
    """The state cannot be read or written."""

    exit_code = 6


class StoreLocked(StoreError):
    """Somebody else holds the state."""


class StoreDamaged(StoreError):
    """The state, or an audit chain, is not what we wrote."""


class ProtocolError(ScimsyncError):
    """Something is not SCIM."""

    scim_type = "invalidValue"


class InvalidPath(ProtocolError):
    """A text is not a path of RFC 7644 §3.5.2, or names nothing in the schema."""

    scim_type = "invalidPath"

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason
        super().__init__(f"{text!r} is not a SCIM path: {reason}")


class InvalidFilter(ProtocolError):
    """A text is not a filter of RFC 7644 §3.4.2.2."""

    scim_type = "invalidFilter"

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason
        super().__init__(f"{text!r} is not a SCIM filter: {reason}")


class InvalidDialect(ProtocolError):
    """A name or a file is no dialect. `faults` lists all that is wrong at once."""

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


class PatchRefused(ProtocolError):
    """A PATCH operation cannot be carried out; `scim_type` is the keyword of RFC 7644 §3.12."""

    def __init__(self, scim_type: str, detail: str) -> None:
        self.scim_type = scim_type
        super().__init__(detail)


class UnsignedWebhook(UserWarning):
    """Events are sent unsigned, because a program gave no secret for its webhook."""


class UndeliveredEvents(UserWarning):
    """Events for a webhook are lost, because a program that keeps no state ended before they were delivered."""
