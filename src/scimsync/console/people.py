"""People: find somebody, see why everything about them is as it is and what happened to them, synchronise them now."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from starlette.responses import Response

from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Right
from scimsync.errors import ConfigError
from scimsync.services import evidence, explaining
from scimsync.services.explaining import Question
from scimsync.services.observing import Silent
from scimsync.services.planning import Choices

#: people that a search shows, and records of somebody's timeline
FOUND, TIMELINE = 50, 100


def _people(asked: Asked) -> Response:
    words = asked.query.get("q", "").strip()[:200]
    found, number = asked.console.reviews.people(asked.store, words, FOUND)
    values = {"words": words, "found": found, "number": number, "most": FOUND}
    return asked.page("found.html.j2" if asked.is_partial else "people.html.j2", values)


def _person(asked: Asked) -> Response:
    key = asked.query.get("key", "")
    if not key:
        return asked.go("/people")
    try:
        timeline = list(reversed(evidence.latest(asked.store, key, "", TIMELINE)))
    except ConfigError:  # nothing was ever written about them
        timeline = []
    return asked.page("person.html.j2", key=key, timeline=timeline, more=urlencode({"key": key}))


def _story(asked: Asked) -> Response:
    """Everything about one person, from a look at their account."""
    question = Question(who=asked.query.get("key", ""), path=asked.query.get("path", ""))
    offline = asked.query.get("offline", "") == "1"
    story = asyncio.run(explaining.explain(asked.settings, asked.store, Silent(), question, offline=offline))
    return asked.page("story_part.html.j2" if asked.is_partial else "story.html.j2", story=story)


def _plan(asked: Asked) -> Response:
    """Synchronise somebody now begins with a plan for them, which a person reads."""
    key = asked.form.get("key", "")
    if not key:
        raise ConfigError("Say whom: give a key.")
    return asked.go(f"/works/{asked.console.works.plan(asked.visitor.person, Choices(only=(key,))).id}")


PAGES = (
    Page(path="/people", handler=_people, right=Right.VALUES),
    Page(path="/person", handler=_person, right=Right.VALUES),
    Page(path="/person/story", handler=_story, right=Right.VALUES),
    Page(path="/person/plan", handler=_plan, right=Right.WRITE, method="POST"),
)
