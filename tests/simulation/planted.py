"""Mistakes to plant in the house: for each promise one that breaks it, as small as a slip of the pen.

Decides nothing about the house; a test plants each in turn and demands that the simulation names the promise.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sopwith_agent.domain.assignment import TABLE, Event
from sopwith_agent.steps.orders import Orders
from sopwith_controller.domain import (
    approvals,
    assignment,
    deviation,
    endings,
    offers,
    planner,
    standing,
    survey,
    tick_state,
    wave_progress,
)
from sopwith_controller.domain import rollout as machine
from sopwith_controller.domain.deviation import DeviationState
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.survey import Survey
from sopwith_controller.services import progress, receipts
from sopwith_controller.services.clock_guard import ClockGuard
from sopwith_controller.services.views import Views
from sopwith_formats.log_entry import FIRST_PREVIOUS, row_of
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.fakes.repositories import FakeFreezes
from tests.simulation.promises import Promise
from tests.simulation.streams import Streams

Patch = Any
Plant = Callable[[Patch], None]


@dataclass(frozen=True)
class Mistake:
    """One mistake, and the promises that it breaks as well and that are not looked at."""

    plant: Plant
    beside: frozenset[Promise] = frozenset()
    computers: int = 8
    seed: int = 1
    """The first seed to try; the rare ones are known."""


def _end_without_an_entry(patch: Patch) -> None:
    async def nothing(*_: Any) -> None:
        return None

    patch.setattr(receipts.Receipts, "_log_end", nothing)


def _complete_to_another_state(patch: Patch) -> None:
    def abort(rollout: Any, **_: Any) -> Any:
        return replace(rollout, state=RolloutState.ABORTED)

    patch.setattr(machine, "complete", abort)


def _nothing_holds_a_rollout(patch: Patch) -> None:
    patch.setattr(tick_state, "of_rollout", lambda *_: None)


def _start_without_a_lease(patch: Patch) -> None:
    patch.setattr(Orders, "_hindrance", lambda *_: "")


def _everybody_has_a_place(patch: Patch) -> None:
    patch.setattr(offers, "take_place", lambda *_, **__: None)


def _everybody_is_a_group(patch: Patch) -> None:
    patch.setattr(offers, "group_of", lambda _, computer: (computer.id,))
    patch.setattr(survey, "group_of", lambda _, computer: (computer.id,))


def _no_look_at_other_rollouts(patch: Patch) -> None:
    patch.setattr(offers, "of_other_rollout", lambda *_: None)


def _install_again_after_the_commit_point(patch: Patch) -> None:
    patch.setitem(TABLE, (AssignmentState.INSTALLING, Event.APPLIED), AssignmentState.INSTALLING)


def _old_readiness_will_do(patch: Patch) -> None:
    patch.setattr(offers, "needs_measuring", lambda *_: False)
    patch.setattr(standing, "_of_readiness", lambda *_: None)


def _no_threshold_is_crossed(patch: Patch) -> None:
    patch.setattr(wave_progress, "crossed_error_threshold", lambda *_, **__: None)


def _waves_pass_at_once(patch: Patch) -> None:
    patch.setattr(wave_progress, "missed_success_threshold", lambda *_: None)
    patch.setattr(wave_progress, "_later", lambda *_: False)


def _lie(patch: Patch, truth: Outcome, said: Outcome) -> None:
    end = assignment.end

    def lies(before: Any, outcome: Outcome, **told: Any) -> Any:
        return end(before, said if outcome is truth else outcome, **told)

    patch.setattr(assignment, "end", lies)


def _call_a_rollback_a_success(patch: Patch) -> None:
    _lie(patch, Outcome.ROLLED_BACK, Outcome.SUCCEEDED)


def _call_a_rollback_a_failure(patch: Patch) -> None:
    _lie(patch, Outcome.ROLLED_BACK, Outcome.FAILED)


def _forget_what_came(patch: Patch) -> None:
    save = progress._Batch.save

    async def forgetful(self: Any) -> None:
        self._rows.clear()
        await save(self)

    patch.setattr(progress._Batch, "save", forgetful)


def _nothing_ends_at_the_deadline(patch: Patch) -> None:
    patch.setattr(survey, "conclude", lambda *_, **__: endings.GOES_ON)


def _stumble(patch: Patch) -> None:
    load = Views.load

    async def stumbles(self: Any, unit: Any, rollout: Any, now: Any) -> Any:
        view = await load(self, unit, rollout, now)
        if any(one.attempts > 1 for one in view.assignments):
            raise ValueError("a slip")
        return view

    patch.setattr(Views, "load", stumbles)


def _nobody_is_unended(patch: Patch) -> None:
    patch.setattr(Survey, "unended", property(lambda _: 0))
    patch.setattr(planner, "_summary", lambda _: "all is well")


def _nothing_new_is_installed(patch: Patch) -> None:
    patch.setattr(receipts, "_installed", lambda installed, _: installed)


def _break_the_chain(patch: Patch) -> None:
    patch.setattr("tests.fakes.update_log.row_of", lambda entry, _: row_of(entry, FIRST_PREVIOUS))


def _never_acknowledge(patch: Patch) -> None:
    patch.setattr(Streams, "acknowledge", lambda *_: None)


def _believe_the_clock(patch: Patch) -> None:
    patch.setattr(ClockGuard, "agrees", lambda _: True)


def _nobody_needs_approval(patch: Patch) -> None:
    patch.setattr(approvals, "approvers_needed", lambda *_: 0)


def _asking_is_enough(patch: Patch) -> None:
    in_force = deviation.in_force

    def asked_for(one: Any, now: Any) -> bool:
        return in_force(replace(one, state=DeviationState.APPROVED, approver="anna"), now)

    patch.setattr(deviation, "in_force", asked_for)


def _no_look_ahead(patch: Patch) -> None:
    async def nothing(*_: Any) -> None:
        return None

    patch.setattr(FakeFreezes, "next_start", nothing)


def _nobody_stalls(patch: Patch) -> None:
    patch.setattr(survey, "stalls_at", lambda *_: None)


MISTAKES = {
    Promise.ONE_OUTCOME: Mistake(_end_without_an_entry),
    Promise.STEPS: Mistake(_complete_to_another_state),
    Promise.LEASE: Mistake(_nothing_holds_a_rollout, seed=18),
    Promise.START: Mistake(_start_without_a_lease, seed=5),
    Promise.STOP: Mistake(_start_without_a_lease, frozenset(Promise) - {Promise.STOP}, computers=12, seed=14),
    Promise.CONCURRENCY: Mistake(_everybody_has_a_place),
    Promise.BUDGET: Mistake(_everybody_is_a_group, computers=24, seed=2),
    Promise.ALONE: Mistake(_no_look_at_other_rollouts),
    Promise.ONE_COMMIT: Mistake(_install_again_after_the_commit_point),
    Promise.READY: Mistake(_old_readiness_will_do),
    Promise.THRESHOLDS: Mistake(_no_threshold_is_crossed),
    Promise.BAD_RELEASE: Mistake(_no_threshold_is_crossed, frozenset({Promise.THRESHOLDS})),
    Promise.WAVES: Mistake(_waves_pass_at_once),
    Promise.SUCCESS: Mistake(_call_a_rollback_a_success),
    Promise.RECEIPTS: Mistake(_forget_what_came),
    Promise.DEADLINE: Mistake(_nothing_ends_at_the_deadline, seed=3),
    Promise.CALM: Mistake(_stumble, seed=5),
    Promise.TERMINAL: Mistake(_nobody_is_unended),
    Promise.COUNTS: Mistake(_call_a_rollback_a_failure),
    Promise.INSTALLED: Mistake(_nothing_new_is_installed),
    Promise.LOG: Mistake(_break_the_chain),
    Promise.TOLD: Mistake(_never_acknowledge),
    Promise.CLOCK: Mistake(_believe_the_clock, seed=2),
    Promise.APPROVAL: Mistake(_nobody_needs_approval),
    Promise.DEVIATION: Mistake(_asking_is_enough, seed=18),
    Promise.CALENDAR: Mistake(_no_look_ahead, seed=2),
    Promise.STALLED: Mistake(_nobody_stalls, seed=2),
}
