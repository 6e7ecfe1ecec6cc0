"""A rollout over a thousand computers ends with the counts that were put into it: nobody hangs, nobody is forgotten."""

import random
from dataclasses import fields

import pytest
import structlog

from sopwith_formats.rollout_spec import ErrorThresholdSpec, RolloutSpec
from sopwith_formats.sop_policy import WaveRule
from tests.simulation import world as worlds
from tests.simulation.faults import Faults, Rates
from tests.simulation.world import World

COMPUTERS = 1000
SILENT, ROLLED_BACK, FAILED = 50, 15, 15
SPEC = RolloutSpec(
    rollout="hello-2-bad",
    release="hello@2-bad",
    sop="SU-SOP-001",
    waves=(WaveRule("canary", 1, 0), WaveRule("early", "10%", 300), WaveRule("rest", "100%")),
    success_threshold="0%",
    error_threshold=ErrorThresholdSpec("100%", COMPUTERS, COMPUTERS),
    max_concurrency="100%",
    deadline_seconds=2 * 3600,
    attempts_max=1,
)


def _drop(*_):
    raise structlog.DropEvent


@pytest.fixture
def _quiet():
    structlog.configure(processors=[_drop])
    yield
    structlog.reset_defaults()


def no_faults() -> Rates:
    """Return rates at which nothing happens by chance."""
    return Rates(**{rate.name: 0.0 for rate in fields(Rates)})


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_quiet")
def test_a_rollout_over_a_thousand_computers_ends_as_the_truth_that_was_put_into_it(monkeypatch):
    monkeypatch.setattr(worlds, "specs_for", lambda _: [SPEC])
    world = World(1, COMPUTERS)
    world.faults.rates, world.people.busy = no_faults(), 0.0
    struck = random.Random(1).sample(world.computers, SILENT + ROLLED_BACK + FAILED)  # noqa: S311  the same every time
    for computer in world.computers:
        computer._absent = computer._unhealthy_under_bad = computer._reboots = False
    for computer in struck[:SILENT]:
        monkeypatch.setattr(computer, "begin", lambda: None)
    for computer in struck[SILENT : SILENT + ROLLED_BACK]:
        computer._unhealthy_under_bad = True
    for computer in struck[SILENT + ROLLED_BACK :]:
        computer.faults = Faults(1, 1)
        computer.faults.rates = no_faults()
        computer.faults.rates.install_failed = 1.0

    result = world.run()

    assert result.broken == ()
    assert result.rollouts == ("hello-2-bad COMPLETED",)
    assert result.outcomes == {
        "FAILED": FAILED,
        "ROLLED_BACK": ROLLED_BACK,
        "SUCCEEDED": COMPUTERS - SILENT - ROLLED_BACK - FAILED,
        "UNREACHABLE": SILENT,
    }
    ended: dict[str, set[str]] = {}
    for one in world.tables["assignments"].values():
        ended.setdefault(one.outcome, set()).add(one.computer)
    assert ended["UNREACHABLE"] == {computer.name for computer in struck[:SILENT]}
    assert ended["ROLLED_BACK"] == {computer.name for computer in struck[SILENT : SILENT + ROLLED_BACK]}
    assert ended["FAILED"] == {computer.name for computer in struck[SILENT + ROLLED_BACK :]}
    assert all(one.state == "ENDED" for one in world.tables["assignments"].values())
