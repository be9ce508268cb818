"""What asyncio, a log or a debugger takes for the text of a plan."""

from tests.factories import make_change, make_plan

from scimsync.model.reports import Report


def test_the_text_of_a_plan_names_it_and_none_of_its_people() -> None:
    """asyncio.run takes the text of what it gives back: of a plan of a million people that takes seconds."""
    said = repr(make_plan(changes=(make_change(key="E1"),)))
    assert said.endswith(": 1 changes>")
    assert "E1" not in said


def test_the_text_of_a_report_names_its_run_and_none_of_its_people() -> None:
    assert repr(Report(run="r1", outcomes={"E1": ()}, left=())) == "<Report of r1: 1 people>"
