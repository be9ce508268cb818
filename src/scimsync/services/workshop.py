"""Try a change of the mapping before it stands in the configuration: on records, and offline on everybody."""

from __future__ import annotations

from msgspec.structs import replace

from scimsync.bootstrap_sources import make_source
from scimsync.config import Settings
from scimsync.engine import offline, trying
from scimsync.engine.ports import Observer, Store
from scimsync.engine.trying import Sample, Trial
from scimsync.engine.unwritten import unwritten
from scimsync.errors import ConfigError
from scimsync.model.policy import Mapped
from scimsync.services import comparing
from scimsync.services.comparing import Comparison, Two
from scimsync.services.observing import Telemetry
from scimsync.services.offline import room
from scimsync.services.planning import Choices, ports_of, request_of

__all__ = ["Comparison", "Sample", "Trial", "compare", "lines", "try_expression"]


def attribute(settings: Settings, path: str) -> Mapped:
    """A mapped attribute by its path.

    Raises:
        ConfigError: The mapping does not manage it.
    """
    found = settings.policy.by_path.get(path)
    if found is None:
        raise ConfigError(f"the mapping does not manage {path!r}.")
    return found


def try_expression(
    settings: Settings, store: Store, observer: Observer, path: str, expression: str, size: int = 20
) -> Trial:
    """Evaluate an expression on the records of the source, beside today's. Nothing is written anywhere.

    Raises:
        ConfigError: The attribute is not mapped, or the expression does not fit; with every fault of it.
        SourceError: The source cannot be read.
    """
    today = attribute(settings, path)
    target = offline.unasked(settings.target.address, store)
    with room(settings, store) as bench:
        ports = ports_of(settings, unwritten(store), Telemetry(observer), make_source(settings), target)
        request = request_of(settings, Choices())
        return trying.try_expression(bench, replace(ports, phones_kept=False), request, today, expression, size)


async def compare(settings: Settings, store: Store, observer: Observer, path: str, expression: str) -> Comparison:
    """What another expression would change for everybody, from the last whole reading of the directory.

    Raises:
        ConfigError: The attribute is not mapped, or the expression does not fit.
        PlanStale: The state remembers no whole reading.
        SourceError: The source cannot be read.
    """
    was = attribute(settings, path)
    mapped = Mapped(place=was.place, expression=expression, authority=was.authority)
    attributes = tuple(mapped if one.path == path else one for one in settings.policy.attributes)
    after = replace(settings, policy=replace(settings.policy, attributes=attributes))
    two = Two(settings, after, ("the configuration", "this expression"))
    return await comparing.compare(two, store, observer, Choices())


def lines(settings: Settings, path: str, expression: str) -> str:
    """What to write into the configuration, which is the truth: the line of `[attributes]`."""
    was = attribute(settings, path)
    name = path if path.replace("_", "").isalnum() else (f"'{path}'" if "'" not in path else f'"{path}"')
    text = '"' + "".join(_ESCAPES.get(c, c) for c in expression.strip()) + '"'
    if all(one.authority is was.authority for one in settings.policy.attributes):
        return f"[attributes]\n{name} = {text}\n"
    return f'[attributes]\n{name} = {{ value = {text}, authority = "{was.authority.value}" }}\n'


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
