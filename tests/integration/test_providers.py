"""Whole runs against other people's servers, each of which departs from the RFC in one place."""

from __future__ import annotations

from pathlib import Path

from tests.servers import Provider, account, firm


def test_a_provider_that_behaves_is_brought_to_what_hr_says_and_then_left_alone(tmp_path: Path) -> None:
    provider = Provider(account(1, title="Old"), account(2))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"}, {"id": 2, "status": "left"}, {"id": 3})
        _, report = it.sync()
        assert report.clean
        assert provider.named("p1@x.org")[0]["title"] == "New"
        assert provider.named("p2@x.org")[0]["active"] is False
        assert len(provider.named("p3@x.org")) == 1
        it.quiet()
