"""The mapping workshop: an expression on real records beside today's, and what it would change. It writes no file."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.responses import Response

from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Right
from scimsync.errors import ConfigError, PlanStale
from scimsync.services import workshop
from scimsync.services.observing import Silent
from scimsync.services.workshop import Comparison, Trial

#: letters that an expression may have here
LONGEST = 4000


def _mapping(asked: Asked) -> Response:
    return asked.page("mapping.html.j2", attributes=asked.settings.policy.attributes)


def _attribute(asked: Asked) -> Response:
    mapped = workshop.attribute(asked.settings, asked.query.get("path", ""))
    return _shown(asked, mapped.path, mapped.expression)


def _try(asked: Asked) -> Response:
    path, expression = _given(asked)
    try:
        trial = workshop.try_expression(asked.settings, asked.store, Silent(), path, expression)
    except ConfigError as error:
        return _shown(asked, path, expression, faults=error.faults or (str(error),))
    return _shown(asked, path, expression, trial=trial)


def _compare(asked: Asked) -> Response:
    path, expression = _given(asked)
    try:
        work = workshop.compare(asked.settings, asked.store, Silent(), path, expression)
        found = asyncio.run(work)
    except (ConfigError, PlanStale) as error:
        return _shown(asked, path, expression, faults=tuple(str(error).splitlines()))
    return _shown(asked, path, expression, comparison=found)


def _given(asked: Asked) -> tuple[str, str]:
    expression = asked.form.get("expression", "")
    if not expression.strip() or len(expression) > LONGEST:
        raise ConfigError(f"Write an expression, of {LONGEST:,} letters at most.")
    return asked.form.get("path", ""), expression


def _shown(
    asked: Asked,
    path: str,
    expression: str,
    *,
    faults: Sequence[str] = (),
    trial: Trial | None = None,
    comparison: Comparison | None = None,
) -> Response:
    mapped = workshop.attribute(asked.settings, path)
    return asked.page(
        "attribute.html.j2",
        mapped=mapped,
        expression=expression,
        faults=faults,
        trial=trial,
        comparison=comparison,
        lines=workshop.lines(asked.settings, path, expression) if (trial or comparison) and not faults else "",
    )


PAGES = (
    Page(path="/mapping", handler=_mapping, right=Right.VALUES),
    Page(path="/mapping/attribute", handler=_attribute, right=Right.VALUES),
    Page(path="/mapping/try", handler=_try, right=Right.VALUES, method="POST"),
    Page(path="/mapping/compare", handler=_compare, right=Right.VALUES, method="POST"),
)
