"""What a plan foresaw and what applying it took, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scimsync.model.durations import duration_text
from scimsync.model.outcomes import Run
from scimsync.model.plans import Plan

#: kinds of requests, as people call them
_WORDS = {
    "patch": "PATCH",
    "create": "POST",
    "delete": "DELETE",
    "get": "GET",
    "find": "look-up",
    "group_patch": "group PATCH",
    "group_get": "group GET",
    "person": "Platform GET",
    "platform": "Platform write",
}


def cost_text(plan: Plan) -> str:
    """What applying a plan takes, in half a line."""
    if plan.estimate is None:
        requests, seconds = plan.requests, 60 * plan.requests / plan.rate if plan.rate else 0.0
        told = _number(requests)
    else:
        told, seconds = requests_text(plan.estimate.requests), plan.estimate.seconds
    pace = f", about {duration_text(seconds)} at {plan.rate:,} requests a minute" if plan.rate else ""
    return f"{told}{pace}"


def requests_text(requests: Mapping[str, int]) -> str:
    """How many requests, and of which kinds.

    Examples:
        >>> requests_text({"get": 1, "patch": 1200}), requests_text({"patch": 1}), requests_text({})
        ('1,201 requests (1,200 PATCH, 1 GET)', '1 request (1 PATCH)', '0 requests')
    """
    ordered = sorted(requests.items(), key=lambda one: (-one[1], one[0]))
    kinds = ", ".join(f"{number:,} {_WORDS.get(kind, kind)}" for kind, number in ordered if number)
    return _number(sum(requests.values())) + (f" ({kinds})" if kinds else "")


def _number(requests: int) -> str:
    return f"{requests:,} request{'' if requests == 1 else 's'}"


def reality_lines(plan: Plan, run: Run) -> Iterator[str]:
    """What was foreseen of a run, and what it took; nothing of a run that was not applied, or not counted."""
    requests, seconds = run.took("apply")
    if not requests:
        return
    if plan.estimate is not None:
        foreseen = plan.estimate
        yield f"Foreseen: {requests_text(foreseen.requests)}, about {duration_text(foreseen.seconds)}."
    yield f"In fact:  {requests_text(requests)}, {duration_text(seconds)}."


def reality_document(run: Run) -> dict[str, object]:
    """What planning and applying took, as JSON."""
    return {
        work: {"requests": requests, "seconds": seconds}
        for work in ("plan", "apply")
        for requests, seconds in [run.took(work)]
        if requests
    }


def estimate_document(plan: Plan) -> dict[str, object] | None:
    """What applying a plan takes, as JSON; None where the plan does not say so."""
    found = plan.estimate
    return None if found is None else {"requests": dict(found.requests), "seconds": round(found.seconds, 3)}
