"""The description that the simulator serves of itself: complete, and nothing that follows it breaks the service."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from tests.soak import WHOLE, examples

from scimsync.simulator import control
from scimsync.simulator.messages import KINDS
from scimsync.simulator.openapi import FAMILIES, describe, routes
from scimsync.simulator.routes import DISCOVERY, NAMES, PLATFORM
from scimsync.simulator.server import Running, Settings, running

#: examples of each operation
EXAMPLES = examples(whole=12, few=1)
DESCRIPTION = schemathesis.openapi.from_dict(describe("http://127.0.0.1", control.ROUTES))
DESCRIPTION.config.phases.coverage.enabled = WHOLE  # every edge of every schema


@pytest.fixture
def simulator() -> Iterator[Running]:
    with running(Settings(users=20, options={"rate_limit": 0, "login_limit": 0})) as found:
        yield found


@pytest.fixture
def token(simulator: Running) -> str:
    with httpx2.Client(trust_env=False) as http:
        answer = http.post(
            f"{simulator.login_url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(simulator.client_id, simulator.client_secret),
        )
    return str(answer.json()["access_token"])


def test_the_description_is_served(simulator: Running) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{simulator.api_url}/_simulator/openapi.json", timeout=10) as answer:
        served = json.load(answer)
    assert served == json.loads(json.dumps(describe(simulator.api_url, control.ROUTES)))
    assert served["openapi"] == "3.1.0"


def test_every_route_of_the_application_is_described_and_nothing_else() -> None:
    ids = {"users": "{}", "groups": "{}"}
    served = {("POST", "/oauth/token")} | {(method, f"/_simulator/{path}") for method, path in control.ROUTES}
    for family in FAMILIES:
        for endpoint, one, method in KINDS:
            served.add((method, f"{family}/{endpoint}{'/' + ids[endpoint] if one else ''}"))
        for endpoint in DISCOVERY:
            served.add(("GET", f"{family}/{endpoint}"))
            if endpoint != "serviceproviderconfig":
                served.add(("GET", f"{family}/{endpoint}/{{}}"))
    served |= {("GET", path) for path in NAMES}
    for path, methods in PLATFORM.items():
        served |= {(method, re.sub(r"\{\w+\}", "{}", path.lower())) for method in methods}
    described = {
        (method, re.sub(r"\{\w+\}", "{}", path.lower() if path.startswith("/api") else path))
        for method, path in routes(describe("", control.ROUTES))
    }
    assert described == served


@DESCRIPTION.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_nothing_that_follows_the_description_breaks_the_service(case: Any, simulator: Running, token: str) -> None:
    headers = {} if case.path == "/oauth/token" else {"Authorization": f"Bearer {token}"}
    case.call_and_validate(base_url=simulator.api_url, headers=headers, checks=[not_a_server_error])
