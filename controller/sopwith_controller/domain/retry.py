"""A retry: which computers begin anew with a rollout, as a new generation, and in which waves.

Decides whom a retry takes and why it leaves others out; that the rollout may be retried at all is `rollout`'s table,
what happens then the planner's. Rules:

- It takes whoever ended and did not succeed: FAILED, SKIPPED, NOT_READY, NOT_STARTED, UNREACHABLE, CANCELLED. Who
  rolled the release back is taken only after a second person permitted it (`release permit`).
- Somebody who was named and cannot be taken is refused with the reason; otherwise such computers are left out.
- The plan and its approvals hold: nobody is added, order and thresholds stay. A member of a wave that has not passed
  goes back into its wave, which is judged again; the others follow in the tail, each when it is ready.
- Each try of a computer is an assignment of its own: it has one outcome and one entry in the log, and only the newest
  generation counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sopwith_controller.domain.errors import NotFoundError, Refusal, RefusedError, TransitionNotAllowedError
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.plan_inputs import Exclusion
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_formats.vocabulary import Outcome


@dataclass(frozen=True)
class Choice:
    """Whom a retry takes."""

    chosen: tuple[Assignment, ...]
    """As they ended, in plan order."""
    exclusions: tuple[Exclusion, ...] = ()


def choose(
    rollout: Rollout, assignments: Sequence[Assignment], hindrances: Mapping[str, Exclusion], names: Sequence[str]
) -> Choice:
    """Return whom a retry takes; `hindrances`: computer id to why it may not be updated; `names`: empty for all."""
    unknown = sorted(set(names) - {assignment.computer for assignment in assignments})
    if unknown:
        raise NotFoundError(
            f"{', '.join(unknown)} is no computer of {rollout.name}",
            remedy=f"sopwith rollout show {rollout.id} --computers",
        )
    chosen: list[Assignment] = []
    exclusions: list[Exclusion] = []
    for assignment in assignments:
        if names and assignment.computer not in names:
            continue
        hindrance = _of_assignment(rollout, assignment) or hindrances.get(assignment.computer_id)
        if hindrance is None:
            chosen.append(assignment)
        elif names:
            _refuse(hindrance)
        elif assignment.ended and assignment.outcome != Outcome.SUCCEEDED:
            exclusions.append(hindrance)
    if not chosen:
        left_out = f"; {exclusions[0].computer} {exclusions[0].reason}" if exclusions else ""
        raise TransitionNotAllowedError(
            f"there is nobody in {rollout.name} who could try again{left_out}",
            remedy=(exclusions[0].remedy if exclusions else "") or f"sopwith rollout show {rollout.id} --computers",
        )
    return Choice(tuple(chosen), tuple(exclusions))


def _of_assignment(rollout: Rollout, assignment: Assignment) -> Exclusion | None:
    name = assignment.computer
    if not assignment.ended:
        return Exclusion(name, "has not ended yet", f"sopwith rollout explain {rollout.id} --computer {name}")
    if assignment.outcome == Outcome.SUCCEEDED:
        return Exclusion(name, "succeeded already")
    return None


def _refuse(hindrance: Exclusion) -> None:
    text = f"{hindrance.computer} {hindrance.reason}"
    if "release permit" in hindrance.remedy:
        raise RefusedError(Refusal("second_person", "V.D", text, hindrance.remedy))
    raise TransitionNotAllowedError(text, remedy=hindrance.remedy)


def wave_of(rollout: Rollout, plan: Plan, assignment: Assignment) -> int:
    """Return where a computer tries again: in its own wave while that has not passed, else in the tail."""
    progress = rollout.waves[assignment.wave]
    return assignment.wave if progress.passed_time is None else plan.tail


def replaced(assignment: Assignment) -> Assignment:
    """Return an ended assignment that makes room for the next generation."""
    return replace(assignment, replaced=True)


def again(before: Assignment, *, identifier: str, generation: int, wave: int, version_before: str) -> Assignment:
    """Return the assignment of the next try."""
    return Assignment(
        id=identifier,
        rollout_id=before.rollout_id,
        computer_id=before.computer_id,
        computer=before.computer,
        position=before.position,
        wave=wave,
        version_before=version_before,
        generation=generation,
    )
