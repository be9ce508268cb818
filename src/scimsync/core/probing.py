"""What answers mean: from what a provider said to reading, and to what was made, to the entries of its dialect. Pure.

The experiments themselves, and their order, are `engine.probing`. Evidence names requests and what came, never a
value of somebody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scimsync.core.probing_bodies import trials
from scimsync.model.probing import Found, Heard
from scimsync.scim.forms import truth
from scimsync.scim.generic import GENERIC
from scimsync.scim.grammar import lookup
from scimsync.scim.published import schemas_from_json

#: the documents in which a provider describes itself
DOCUMENTS = ("ServiceProviderConfig", "Schemas", "ResourceTypes")
#: paths on which a filter is tried, each an attribute by itself
FILTERED = ("userName", "externalId", "emails.value", "displayName", "enterprise:employeeNumber")
#: statuses that mean: this is not served
UNSERVED = frozenset({404, 405, 501})
#: resources that one page is asked for, largest first
PAGES = (1000, 500, 200, 100, 50, 25, 10)


def served(answers: Mapping[str, Heard]) -> Found:
    """Which documents about itself the provider serves."""
    there = [name for name in DOCUMENTS if answers[name].ok and answers[name].body is not None]
    told = ", ".join(f"{name} {answers[name].outcome}" for name in DOCUMENTS)
    return Found(entry="discovery.served", value=sorted(there), evidence=f"GET of each -> {told}")


def listed(schemas: Heard, accounts: Heard) -> set[str]:
    """The paths that a mapping usually has, as far as schemas list them as writable, or an account shows a value.

    And `externalId`, which no schema need list (RFC 7643 §3.1).
    """
    published = {schema.id.lower(): schema for schema in schemas_from_json(schemas.resource)}
    found = {"externalId"}
    for path in (trial.path for trial in trials("")):
        place = GENERIC.users.resolve(path)
        schema = published.get((place.urn or GENERIC.users.core.id).lower())
        attribute = schema.attribute(place.attribute.name) if schema else None
        leaf = attribute and (attribute.sub(place.leaf.name) if place.leaf is not place.attribute else attribute)
        writable = attribute and leaf and "readOnly" not in {attribute.mutability, leaf.mutability}
        if writable or any(place.read(one) is not None for one in accounts.listed):
            found.add(path)
    return found


def largest_page(asked: Sequence[tuple[int, Heard]]) -> Found | str:
    """The largest page, from pages that were asked for, largest first; or why it cannot be told."""
    refused = [count for count, heard in asked if not heard.ok]
    last, heard = asked[-1]
    if not heard.ok:
        return f"no page could be read: {heard.evidence}"
    shown = len(heard.listed)
    after = f"; {refused[-1]} a page was refused with {asked[len(refused) - 1][1].outcome}" if refused else ""
    if shown < min(last, heard.total):
        return _page(shown, f"{heard.question.shown} -> {shown} of {heard.total}{after}")
    if shown == last:
        return _page(shown, f"{heard.question.shown} -> {shown}{after}")
    if refused:
        return _page(last, f"{heard.question.shown} -> {shown}, all there are{after}")
    return f"all {shown} that there are fit on one page"


def _page(count: int, evidence: str) -> Found:
    return Found(entry="paging.largest", value=max(count, 1), evidence=evidence)


def first_index(pair: Heard, zero: Heard, one: Heard) -> Found | str:
    """The number of the first resource, from the first two, and from pages of one from 0 and from 1."""
    head = pair.ids[:2]
    if len(head) < 2:
        return "fewer than two accounts are listed"
    if one.ids[:1] == head[:1]:
        return Found(entry="paging.first_index", value=1, evidence=f"{one.question.shown} -> the first account")
    if one.ids[:1] == head[1:] and zero.ids[:1] == head[:1]:
        told = f"{one.question.shown} -> the second account, and startIndex=0 the first"
        return Found(entry="paging.first_index", value=0, evidence=told)
    return "pages of one account showed neither the first nor the second account of a page of two"


def is_paged(first: Heard, second: Heard) -> bool:
    """Whether a later page shows others than the first."""
    return not (first.ids and first.ids == second.ids)


def stable(readings: Sequence[Sequence[str]]) -> Found | str:
    """Whether readings of the same accounts list them in one order."""
    whole = [list(reading) for reading in readings]
    if len(whole[0]) < 2:
        return "fewer than two accounts are listed"
    if any(sorted(reading) != sorted(whole[0]) for reading in whole):
        told = "the same pages showed other accounts: somebody changed them meanwhile, or there is no order at all"
        if all(len(set(reading)) == len(reading) for reading in whole):
            return told
        return Found(entry="paging.stable", value=False, evidence="two pages of one listing -> an account on both")
    alike = all(reading == whole[0] for reading in whole)
    told = f"GET /Users {len(whole)} times -> {'one order' if alike else 'another order'} of {len(whole[0])}"
    return Found(entry="paging.stable", value=alike, evidence=told)


def takes_attributes(full: Heard, asked: Sequence[str], answer: Heard) -> Found | str:
    """Whether the parameter `attributes` may be sent: it is not refused, and shows what was asked for."""
    if not full.listed:
        return "no account is listed"
    if not answer.ok:
        return Found(entry="reading.attributes", value=False, evidence=answer.evidence)
    whole = {str(one.get("id")): one for one in full.listed}
    met = next((one for one in answer.listed if str(one.get("id")) in whole), {})
    held = {name for name in asked if met and _holds(whole[str(met.get("id"))], name)}
    shown = {name for name in asked if _holds(met, name)}
    if held - shown:
        told = f"{answer.question.shown} -> without {', '.join(sorted(held - shown))}"
        return Found(entry="reading.attributes", value=False, evidence=told)
    return Found(entry="reading.attributes", value=True, evidence=answer.evidence)


def _holds(resource: Mapping[str, object], name: str) -> bool:
    urn, _, attribute = name.rpartition(":")
    holder = lookup(resource, urn) if urn else resource
    return isinstance(holder, Mapping) and lookup(holder, attribute) not in (None, "", [])


def filter_heeded(nobody: Heard, somebody: Heard | None, identity: str) -> bool | None:
    """Whether a filter is heeded: nobody is found by a value that nobody has, and one by theirs.

    None where it cannot be told: it hides everybody, and there was nobody to look for.
    """
    if nobody.status == 404 and somebody is not None:
        return somebody.ids == [identity]
    if not nobody.ok or nobody.listed or nobody.total > 0:
        return False
    if somebody is None:
        return None
    return somebody.ok and identity in somebody.ids


def filters(heeded: Mapping[str, bool | None], told: Mapping[str, str]) -> Found | None:
    """The attributes that a filter is heeded on; the value is None where it was on all that could be tried."""
    known = {path: answer for path, answer in heeded.items() if answer is not None}
    if not known:
        return None
    good = sorted(path for path, answer in known.items() if answer)
    evidence = "; ".join(told[path] for path in known)
    return Found(entry="filters.attributes", value=good if len(good) < len(known) else None, evidence=evidence)


def filter_case(other: Heard, identity: str) -> Found | None:
    """Whether a filter on `userName` tells capitals apart, from one with the capitals exchanged."""
    if not (other.ok or other.status == 404):
        return None
    exact = identity not in other.ids
    told = f"{other.question.shown}, its capitals exchanged -> {'nobody' if exact else 'the account'}"
    return Found(entry="filters.case_exact", value=exact, evidence=told)


def versions_shown(heard: Heard) -> Found:
    """Where the version of a resource is shown."""
    meta = heard.resource.get("meta")
    within = isinstance(meta, Mapping) and meta.get("version") not in (None, "")
    word = {(True, True): "both", (True, False): "header", (False, True): "meta"}
    value = word.get((bool(heard.etag), within), "none")
    told = {"both": "ETag and meta.version", "header": "ETag", "meta": "meta.version", "none": "neither"}[value]
    return Found(entry="versions.shown", value=value, evidence=f"{heard.question.shown} -> {told}")


def booleans(heard: Heard) -> Found | None:
    """Whether booleans travel as text, from `active`."""
    found = next((lookup(one, "active") for one in [heard.resource, *heard.listed] if "active" in one), None)
    if found is None or truth(found) is None:
        return None
    value = "json" if isinstance(found, bool) else "text"
    told = f"{heard.question.shown} -> active as {type(found).__name__.replace('str', 'text')}"
    return Found(entry="accounts.booleans", value=value, evidence=told)


def totals(pages: Iterable[Heard]) -> str:
    """What is odd about the totals that pages of one listing told; "" for nothing."""
    told = {page.total for page in pages if page.ok}
    if -1 in told:
        return "a page does not say how many accounts there are (totalResults)"
    short = next((page for page in pages if page.ok and page.total < len(page.listed)), None)
    if short is not None:
        return f"totalResults is smaller than the page it stands on ({short.total} and {len(short.listed)})"
    return ""


# --- what was made --------------------------------------------------------------------------------


def answers_creation(made: Heard) -> Found:
    """What a creation is answered with."""
    whole = bool(made.resource.get("id")) and lookup(made.resource, "userName") is not None
    told = "the account" if whole else "no account in the answer"
    return Found(entry="create.answers", value="resource" if whole else "nothing", evidence=f"{made.evidence}, {told}")


def required(paths: Iterable[str], made: Heard, refused: Sequence[Heard]) -> Found:
    """What an account is not made without, from the smallest body that was taken."""
    listed = sorted({"userName", *paths})
    before = f", and {refused[0].outcome} with less" if refused else ""
    told = f"{made.question.shown} with {', '.join(listed)} -> {made.outcome}{before}"
    return Found(entry="create.required", value=listed, evidence=told)


def unique_logins(second: Heard, *, doubled: bool) -> Found | str:
    """Whether a second account of one login is refused."""
    told = f"{second.question.shown} of a login that is there -> {second.outcome}"
    if doubled:
        return Found(entry="create.unique_logins", value=False, evidence=f"{told}, a second account")
    if second.status >= 400 and second.status != 429:  # of the body that made the first one
        return Found(entry="create.unique_logins", value=True, evidence=told)
    if second.ok:
        return Found(entry="create.unique_logins", value=False, evidence=f"{told}, the account that was there")
    return told


def guarded(*, shown: str, stale: Sequence[Heard], own: Sequence[Heard]) -> Found:
    """What guards a write: whether a version that is out of date was refused, and the right one taken.

    Args:
        shown: Where versions are shown.
        stale: Writes under a version that is out of date, in each form.
        own: Writes under the right one, as far as they were tried.
    """
    entry = "versions.concurrency"
    if shown == "none":
        return Found(entry=entry, value="compare", evidence="an account is shown without a version")
    passed = next((heard for heard in stale if heard.ok), None)
    if passed is not None:
        told = f"{passed.question.shown} of a version out of date -> {passed.outcome}: written all the same"
        return Found(entry=entry, value="compare", evidence=told)
    taken = next((heard for heard in own if heard.ok), None)
    outcomes = ", ".join(dict.fromkeys(heard.outcome for heard in stale))
    if taken is None:
        told = f"{stale[0].question.shown} -> {outcomes}, of the right version too"
        return Found(entry=entry, value="compare", evidence=told)
    told = f"{stale[0].question.shown} of a version out of date -> {outcomes}; of the right one {taken.outcome}"
    return Found(entry=entry, value="version", evidence=told)


def disabled(after: Heard, *, asked: Heard, listed: bool | None) -> Found | str:
    """What becomes of an account that was made inactive."""
    told = f"{asked.question.shown} active=false -> {asked.outcome}; {after.question.shown} -> {after.outcome}"
    if after.status in {404, 410}:
        return Found(entry="accounts.disabled", value="gone", evidence=told)
    if not after.ok or truth(lookup(after.resource, "active")) is True:
        return f"it did not become inactive: {told}"
    if listed is None:
        return f"whether it is listed could not be seen: {told}"
    value = "shown" if listed else "hidden"
    return Found(entry="accounts.disabled", value=value, evidence=f"{told}; {'' if listed else 'not '}listed")


def deleted(asked: Heard, after: Heard | None) -> Found | str:
    """What becomes of an account that was deleted."""
    told = asked.evidence
    if not asked.ok:
        if asked.status in {404, 410} and after is not None and after.status in {404, 410}:
            return Found(entry="accounts.deleted", value="gone", evidence=told)
        if 400 <= asked.status < 500 or asked.status == 501:
            return Found(entry="accounts.deleted", value="refused", evidence=told)
        return told
    if after is None or (not after.ok and after.status not in {404, 410}):
        return told
    value = "kept" if after.ok else "gone"
    return Found(entry="accounts.deleted", value=value, evidence=f"{told}; {after.evidence}")
