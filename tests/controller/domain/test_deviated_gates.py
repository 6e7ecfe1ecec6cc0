"""What a deviation opens for a running rollout: a freeze, a window, and nothing where approvals are missing."""

from dataclasses import replace

import pytest

from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.openings import opening
from sopwith_controller.domain.planner import plan_tick
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.standing import of_rollout
from sopwith_controller.domain.tick import OfferAssignment, RolloutView
from sopwith_formats.sop_policy import Window
from tests.controller.domain.builders import HOUR, MINUTE, NOW, World, a_plan, a_rollout
from tests.controller.domain.test_deviation import APPROVED

PLAN = a_plan(1, window=Window("FREQ=YEARLY", "03:00", 3600))
ROLLOUT = a_rollout(PLAN, state=RolloutState.RUNNING)
FREEZES = (Freeze("f-1", "year end", "olga", NOW),)


@pytest.mark.gate("deviates", "freeze")
def test_deviation_lets_a_rollout_go_on_in_a_freeze_and_is_named():
    held = RolloutView(ROLLOUT, PLAN, (), {}, FREEZES)
    free = RolloutView(ROLLOUT, PLAN, (), {}, FREEZES, deviations={"freeze": APPROVED, "window": APPROVED})

    assert of_rollout(held) is not None
    assert of_rollout(free) is None
    assert held.overridden == ()
    assert [(one.gate, one.deviation) for one in free.overridden] == [("freeze", "d-1"), ("window", "d-1")]


def test_lease_in_a_freeze_that_is_deviated_from_ends_with_the_deviation():
    world = World(a_plan(1))
    ends = world.now + MINUTE
    view = replace(world.view(), freezes=FREEZES, deviations={"freeze": replace(APPROVED, expires_time=ends)})

    offers = [action for action in plan_tick(view, world.now).actions if isinstance(action, OfferAssignment)]

    assert [one.start_until for one in offers] == [ends]


@pytest.mark.gate("deviates", "window")
def test_deviation_opens_a_closed_window_until_it_expires():
    closed = opening(PLAN, "", "", NOW)
    deviated = opening(PLAN, "", "", NOW, deviated_until=NOW + HOUR)

    assert not closed.open
    assert (deviated.open, deviated.last_start) == (True, NOW + HOUR)


def test_rollout_without_its_approvals_offers_nothing():
    wait = of_rollout(RolloutView(ROLLOUT, PLAN, (), {}, approved=False))

    assert wait is not None
    assert wait.waits_for == "approval"
