"""The formulas give what was counted by hand, and nothing to count is no figure."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import kpi
from sopwith_controller.domain.deviation import Deviation, DeviationState
from sopwith_controller.domain.entities import ComputerState, Readiness
from sopwith_controller.domain.incident_entities import Notification
from sopwith_controller.domain.kpi import FORMULAS, Kpi, Objective, Period
from sopwith_formats.vocabulary import AssignmentState
from tests.builders import NOON, assignment, computer, incident, rollout
from tests.controller.domain.builders import a_policy

HOUR = timedelta(hours=1)
EMPTY = Period(
    until=NOON,
    rollouts=(),
    assignments=(),
    policies={},
    severities={},
    outcomes={},
    acts=0,
    incidents=(),
    notifications={},
    deviations=(),
    computers=(),
    covered=(0, 0),
    trained=(0, 0),
    overdue_reviews=0,
)


def share_of(number: int, outcome: str = "SUCCEEDED", **changes):
    ended = {} if not outcome else {"state": AssignmentState.ENDED, "ended_time": NOON + HOUR}
    usual = {
        "id": f"a-{number}",
        "rollout_id": "r-1",
        "computer_id": f"c-{number}",
        "computer": f"pc{number}",
        "outcome": outcome,
        "attempts": 1,
        "install_started_time": NOON,
        **ended,
    }
    return assignment(**{**usual, **changes})


def deviation(rollout_id: str = "", gate: str = "window") -> Deviation:
    return Deviation(
        "d-1", gate, DeviationState.APPROVED, "why", "instead", "olga", "SU-SOP-001", NOON, NOON + HOUR,
        rollout_id=rollout_id, approver="mia", approved_time=NOON,
    )  # fmt: skip


def a_period() -> Period:
    """Four computers of one rollout (one per end, one still waits), and an emergency rollout of nobody."""
    started = rollout(id="r-1", started_time=NOON, deadline_time=NOON + 2 * HOUR, release="hello@1")
    urgent = rollout(id="r-2", started_time=NOON, emergency=True)
    shares = (
        share_of(1),
        share_of(2, attempts=2, ended_time=NOON + 3 * HOUR),
        share_of(3, "ROLLED_BACK"),
        share_of(4, "", state=AssignmentState.PENDING, install_started_time=None),
        share_of(5, "SKIPPED", install_started_time=None),
    )
    grave = incident(id="i-1", detected_time=NOON, acknowledged_time=NOON + HOUR, resolved_time=NOON + 3 * HOUR)
    untold = incident(id="i-2", detected_time=NOON, acknowledged_time=None, resolved_time=None)
    sent = [
        Notification("n-1", "i-1", "smtp", "m", "s", "b", NOON, NOON + timedelta(seconds=7)),
        Notification("n-2", "i-1", "file", "m", "s", "b", NOON, NOON + timedelta(seconds=4)),
        Notification("n-3", "i-1", "file", "m", "s", "b", NOON),
    ]
    return replace(
        EMPTY,
        until=NOON + 4 * HOUR,
        rollouts=(started, urgent),
        assignments=shares,
        outcomes={"r-1 pc1": 1, "r-1 pc2": 1, "r-1 pc3": 2, "r-1 pc5": 1},
        acts=6,
        incidents=(grave, untold),
        notifications={"i-1": sent},
        deviations=(deviation("r-1"), deviation(), deviation()),
        computers=(
            computer("1", readiness=Readiness("READY")),
            computer("2", readiness=Readiness("NOT_READY")),
            computer("3"),
            computer("9", state=ComputerState.RETIRED, readiness=Readiness("READY")),
        ),
        covered=(9, 10),
        trained=(1, 2),
        overdue_reviews=1,
    )


@pytest.mark.clause("6 Monitor and evaluate", "kpi")
def test_every_figure_is_what_was_counted_by_hand():
    found = {one.id: one for one in kpi.measure(a_period())}

    assert list(found) == list(FORMULAS)
    assert {name: (one.value, one.numerator, one.denominator) for name, one in found.items()} == {
        "patch_compliance": (40.0, 2, 5),
        "current_state": (75.0, 3, 4),
        "time_to_patch": (3600.0, 2, 2),
        "first_time_success": (33.33, 1, 3),
        "rollback_rate": (33.33, 1, 3),
        "change_failure_rate": (50.0, 1, 2),
        "readiness_rate": (50.0, 1, 2),
        "notification_latency": (4.0, 1, 2),
        "mtta": (3600.0, 1, 2),
        "mttr": (10800.0, 1, 2),
        "sop_adherence": (0.0, 0, 2),
        "record_completeness": (75.0, 3, 4),
        "coverage": (90.0, 9, 10),
        "training_currency": (50.0, 1, 2),
        "overdue_reviews": (1, 1, 0),
        "emergency_ratio": (50.0, 1, 2),
        "deviation_hotspots": (1, 1, 0),
        "user_impact": (18000.0, 3, 5),
        "operator_actions_per_100_computers": (120.0, 6, 5),
    }
    assert found["patch_compliance"].others == {"excepted": 3}
    assert found["time_to_patch"].others == {"oldest_open": 14400.0, "mean": 7200.0, "p95": 10800.0}
    assert found["deviation_hotspots"].others == {"window": 3.0}
    assert (found["mtta"].unit, found["coverage"].unit) == ("s", "%")


@pytest.mark.clause("V.E Report at once", "latency")
def test_latency_is_the_longest_time_to_a_first_message():
    found = {one.id: one for one in kpi.measure(a_period())}["notification_latency"]

    assert (found.value, found.others) == (4.0, {"p95": 4.0})


def test_nothing_to_count_is_no_figure():
    found = {one.id: one.value for one in kpi.measure(EMPTY)}

    assert {name for name, value in found.items() if value is not None} == {
        "overdue_reviews",
        "deviation_hotspots",
        "user_impact",
    }


def test_what_is_not_due_yet_counts_neither_way():
    period = a_period()
    waiting = replace(period, until=NOON + HOUR, assignments=(period.assignments[3],))

    assert {one.id: one for one in kpi.measure(waiting)}["patch_compliance"].denominator == 0


def test_a_due_time_is_what_the_sop_binds_to_else_the_rollouts_deadline():
    policy = replace(a_policy(), deadlines={"critical": {"high": 60}})
    started = rollout(started_time=NOON, deadline_time=NOON + HOUR)

    assert kpi.due_time(started, policy, "critical", "high") == NOON + timedelta(seconds=60)
    assert kpi.due_time(started, policy, "critical", "low") == NOON + HOUR
    assert kpi.due_time(started, None, "critical", "high") == NOON + HOUR
    assert kpi.due_time(rollout(started_time=None), policy, "critical", "high") is None


@pytest.mark.clause("1 Objectives", "targets")
@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (">= 95 %", 95.0, True),
        (">= 95 %", 94.9, False),
        ("<= 60 s", 61.0, False),
        ("<= 1m", 60.0, True),
        ("> 1", 1.0, False),
        ("< 2 h", 7199.0, True),
        ("= 100 %", 100.0, True),
        ("= 100 %", None, None),
        ("about 5", 5.0, None),
    ],
)
def test_an_objective_is_met_missed_or_has_nothing_to_count(target, value, met):
    objective = Objective("O1", "aim", "coverage", target)

    assert kpi.met(objective, [Kpi("mtta", 1.0), Kpi("coverage", value)]) is met
