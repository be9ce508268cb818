"""The description of the console's JSON API, against a console that is served: whatever follows it, or nearly, is
answered as it says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from tests.consoles import Shown, shown
from tests.runs import house
from tests.soak import WHOLE, examples

from scimsync.console.app import PAGES
from scimsync.console.openapi import ROOT, document
from scimsync.console.roles import Right
from scimsync.services import visiting
from scimsync.services.acting import Actor
from scimsync.services.working import on_behalf_of

#: examples of each operation
EXAMPLES = examples(whole=60, few=3)
DESCRIPTION = schemathesis.openapi.from_dict(document(PAGES))
DESCRIPTION.config.phases.coverage.enabled = WHOLE  # every edge of every schema
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


class Known:
    """What is there, so that not all that is made up leads nowhere."""

    turn: ClassVar[int] = 0
    given: ClassVar[dict[str, str]] = {}

    @classmethod
    def or_made_up(cls, name: str, made_up: Any) -> Any:
        """Something that is there, three times of four."""
        cls.turn += 1
        return cls.given[name] if name in cls.given and cls.turn % 4 else made_up


@DESCRIPTION.hook
def map_path_parameters(_: object, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    return parameters and {name: Known.or_made_up(name, value) for name, value in parameters.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with house(tmp_path_factory.mktemp("api"), users=20) as home:
        home.configure(authority="ask")
        home.settle()
        home.configure(authority="ask", more='[[approval]]\nname = "every"\nevery = true\n')
        mover, edited, bad = home.active(3)
        home.set(mover, job_title="Lead")
        home.set(edited, job_title="Trainer")
        home.edit(edited, "title", "Chief of Everything")
        home.set(bad, email="no address")
        made = home.plan()
        with shown(home) as found:
            Known.given = {"run": made.id, "seq": "3"}
            yield found


@pytest.fixture(scope="module")
def token(place: Shown) -> str:
    scopes = [right.value for right in Right if right is not Right.ADMIN]
    visiting.save_user(place.home.settings(), place.store, "ada", "admin", "a long enough password", ["admin"])
    with on_behalf_of(Actor("ada", "password")):
        return visiting.make_token(place.home.settings(), place.store, "conformance", scopes, timedelta(days=1))[1]


def test_every_address_for_machines_is_described_with_the_scope_that_it_needs(place: Shown) -> None:
    with httpx2.Client(trust_env=False) as http:
        served = http.get(f"{place.address}/api/openapi.json").json()
    assert served == document(PAGES)
    described = {
        (ROOT + path, method.upper(), told["description"])
        for path, methods in served["paths"].items()
        for method, told in methods.items()
    }
    assert described == {
        (page.path, page.method, f"Needs the scope `{page.scope}`.")
        for page in PAGES
        if page.machine and page.right is not None
    }


@DESCRIPTION.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_asked_is_answered_as_the_description_says(case: Any, place: Shown, token: str) -> None:
    case.call_and_validate(
        base_url=place.address + ROOT, headers={"Authorization": f"Bearer {token}"}, checks=CHECKS, timeout=60
    )
