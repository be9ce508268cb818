"""What a provider says about itself (RFC 7644 §4): it informs, and is no gate. What it does not say is left out.

Met: no such endpoint, 403, a web page, a bare array (as in RFC 7643 §8.7.1), schemas in pages, and a
ServiceProviderConfig wrapped into a list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

import msgspec

from scimsync.adapters.target_http import Client, Clock, date_of, is_troubled
from scimsync.adapters.target_wire import Answer, Ask
from scimsync.model.outcomes import Description, Document
from scimsync.scim.drift import CONFIG, RESOURCE_TYPES, SCHEMAS
from scimsync.scim.spelling import document

#: pages of one document that are read
MOST_PAGES = 20


def describe_ask(base: str, what: str, known: Mapping[str, Document], kind: str = "describe", start: int = 0) -> Ask:
    """What asks for one document, or for its part from a resource on."""
    tag = known[what].tag if what in known else ""
    part = f"?startIndex={start}" if start else ""
    return Ask(kind=kind, method="GET", url=f"{base}/{what}{part}", unless=tag, decode=_decoded, unreadables=2)


async def read_description(
    client: Client, base: str, known: Mapping[str, Document], clock: Clock, served: Collection[str]
) -> Description:
    """The documents, as far as the target shows them to us, and what its clock shows.

    A document that we know is asked for with its ETag; 304 is documented for ServiceProviderConfig alone, and the two
    others may carry none. Those two are asked for where the dialect says that they are `served`.

    Raises:
        TargetError: The target is down, refuses our credentials, or sends us elsewhere.
    """
    documents: dict[str, Document] = {}
    untold: dict[str, str] = {}

    async def keep(name: str, answer: Answer) -> None:
        if answer.status == 304 and name in known:
            documents[name] = known[name]
        elif isinstance(answer.value, dict):
            body = _config(answer.value) if name == CONFIG else await _whole(client, base, name, answer.value)
            documents[name] = Document(body, answer.headers.get("etag", ""))
        elif answer.status in {0, 401, 429} or answer.redirected or is_troubled(answer.status):
            raise client.failure(answer)
        else:
            untold[name] = answer.why()

    first = await client.call(describe_ask(base, CONFIG, known))
    await keep(CONFIG, first)  # raises before more is asked of a target that is down
    others = [name for name in (SCHEMAS, RESOURCE_TYPES) if name in served]
    untold |= dict.fromkeys({SCHEMAS, RESOURCE_TYPES} - {*others}, "the dialect says that it is not served")
    answers = await asyncio.gather(*(client.call(describe_ask(base, name, known)) for name in others))
    for name, answer in zip(others, answers, strict=True):
        await keep(name, answer)
    date = date_of(first.headers)
    return Description(
        documents=documents,
        untold=untold,
        server_date=date,
        skew_s=(date - clock.now()).total_seconds() if date else None,
        correlation_id=first.correlation,
    )


async def _whole(client: Client, base: str, name: str, first: dict[str, object]) -> dict[str, object]:
    """A document with what stands on its further pages; as far as pages bring something new."""
    listed = first.get("Resources")
    total = first.get("totalResults")
    if not isinstance(listed, list) or not listed or not isinstance(total, int):
        return first
    found = list(listed)
    for _ in range(MOST_PAGES):
        if len(found) >= total:
            break
        answer = await client.call(describe_ask(base, name, {}, start=len(found) + 1))
        more = answer.value.get("Resources") if isinstance(answer.value, dict) else None
        fresh = [one for one in more if one not in found] if isinstance(more, list) else []
        if not fresh:
            break
        found += fresh
    return {**first, "Resources": found}


def _config(body: dict[str, object]) -> dict[str, object]:
    """The ServiceProviderConfig itself, where it comes as the one resource of a list."""
    listed = body.get("Resources")
    return listed[0] if isinstance(listed, list) and len(listed) == 1 and isinstance(listed[0], dict) else body


def _decoded(content: bytes) -> object:
    """A document, with its words spelled as RFC 7643 does."""
    return document(msgspec.json.decode(content))
