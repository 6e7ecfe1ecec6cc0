"""Baselines: what a completed rollout leaves to the computers of its audience that come later.

Decides whether a completed rollout sets a baseline, which computer still lacks it, and what the rollout that brings it
to them (the catch-up) asks for; opening and running that one goes through the gates of any rollout. Rules:

- A rollout that completed sets a baseline unless its file says `baseline: false`, where something succeeded and the
  success threshold holds over everybody who has a result of the release's own (succeeded, skipped, failed, rolled
  back). It replaces an older baseline of the same release name and audience.
- Offered to a computer of audience and scope that does not have the release installed: it enrolled later, was away, or
  was reinstalled. The newest baseline of a release name that selects the computer counts alone.
- Not offered: after FAILED on this computer (people retry), after ROLLED_BACK until a second person permits it, while a
  newer rollout of the release name is running for the computer or has brought it another version, where the release
  does not apply, and where it was lost three times after it had been installed.
- A baseline ends when a newer one replaces it, when its release is withdrawn, and when somebody aborts its catch-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sopwith_controller.domain.entities import Computer
from sopwith_controller.domain.joining import belongs
from sopwith_controller.domain.lasting_entities import Baseline
from sopwith_controller.domain.plan import Plan, read_plan
from sopwith_controller.domain.readiness import EXCUSED, NOT_READY
from sopwith_controller.domain.rollout import ACTIVE_STATES, was_cleared
from sopwith_controller.domain.rollout_entities import CATCH_UP, Assignment, Rollout, RolloutState
from sopwith_formats.manifest import split_release
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.units import parse_percent
from sopwith_formats.vocabulary import Outcome

LOSSES_MAX = 3
_HUNDRED = Decimal(100)
_KEPT = frozenset({Outcome.SUCCEEDED, Outcome.SKIPPED})
_WRONG = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK})
_AWAY = frozenset({Outcome.NOT_READY, Outcome.NOT_STARTED, Outcome.UNREACHABLE, Outcome.CANCELLED})


@dataclass(frozen=True)
class Past:
    """One earlier share of a computer in a rollout of the same release name."""

    release: str
    """name@version."""
    outcome: str
    """Empty: under way."""
    version_after: str
    created_time: datetime
    """When its rollout was created."""


def is_proven(plan: Plan, assignments: Sequence[Assignment]) -> bool:
    """Tell whether a completed rollout showed that its release can be given to others."""
    well = sum(assignment.outcome in _KEPT for assignment in assignments)
    judged = well + sum(assignment.outcome in _WRONG for assignment in assignments)
    return well > 0 and well * _HUNDRED >= parse_percent(plan.thresholds.success) * judged


def set_by(rollout: Rollout, plan: Plan, assignments: Sequence[Assignment], now: datetime) -> Baseline | None:
    """Return the baseline that a rollout sets by completing; None where it sets none."""
    if not plan.baseline or rollout.origin == CATCH_UP or not is_proven(plan, assignments):
        return None
    return Baseline(rollout.id, rollout.name, rollout.release, plan.audience, now)


def replaces(newer: Baseline, older: Baseline) -> bool:
    """Tell whether a newer baseline takes an older one's place: same release name, same audience."""
    same = split_release(newer.release)[0] == split_release(older.release)[0]
    return same and newer.audience == older.audience and newer.rollout_id != older.rollout_id


def without_catch_up(baseline: Baseline) -> Baseline:
    """Return the baseline after its catch-up completed."""
    return replace(baseline, catch_up_id="", waiting="")


def end(baseline: Baseline, reason: str, now: datetime) -> Baseline:
    """Return the baseline after its end."""
    return replace(baseline, ended_time=now, ended_reason=reason, catch_up_id="", waiting="")


def newest_for(computer: Computer, baseline: Baseline, in_force: Sequence[Baseline]) -> bool:
    """Tell whether no newer baseline of the same release name selects the computer; `in_force` oldest first."""
    name = split_release(baseline.release)[0]
    mine = [one for one in in_force if split_release(one.release)[0] == name and belongs(computer, one.audience, "")]
    return bool(mine) and mine[-1].rollout_id == baseline.rollout_id


def held_by(computer: Computer, baseline: Baseline, rollouts: Sequence[Rollout]) -> str:
    """Return the name of a newer running rollout of the release name that selects the computer; empty: none."""
    name = split_release(baseline.release)[0]
    for rollout in rollouts:
        newer = rollout.origin != CATCH_UP and rollout.created_time > baseline.since_time
        same = rollout.state in ACTIVE_STATES and split_release(rollout.release)[0] == name
        if newer and same and belongs(computer, rollout.audience, ""):
            return rollout.name
    return ""


def objection(baseline: Baseline, computer: Computer, past: Sequence[Past], *, scope: str) -> str:
    """Return why a computer is not to have the release, or has it; empty: it lacks it. `past`: newest first."""
    _, version = split_release(baseline.release)
    if not belongs(computer, baseline.audience, scope):
        return "it does not belong to the audience"
    if computer.installed.get(split_release(baseline.release)[0], "") == version:
        return f"it has {baseline.release}"
    if computer.readiness.verdict == EXCUSED:
        return "it is excused"
    return _of_past(baseline, version, past)


def _of_past(baseline: Baseline, version: str, past: Sequence[Past]) -> str:
    losses = 0
    for one in past:
        if one.outcome in _AWAY:
            continue
        if one.outcome and one.release == baseline.release and one.outcome in _KEPT and one.version_after == version:
            losses += 1
            continue
        return _of_share(baseline, one)
    return f"it lost {baseline.release} {losses} times; a person looks into it" if losses >= LOSSES_MAX else ""


def _of_share(baseline: Baseline, one: Past) -> str:
    """Return what the newest share that counts says against another one; empty: nothing."""
    if not one.outcome:
        return f"{one.release} is on its way to it"
    if one.release != baseline.release:
        newer = one.created_time > baseline.since_time
        return f"a newer rollout brought {one.release} to it" if newer else ""
    if one.outcome == Outcome.FAILED:
        return f"{baseline.release} failed on it; a person tries it again"
    return "" if one.outcome == Outcome.ROLLED_BACK else f"{baseline.release} does not apply to it"


def absence(computer: Computer, *, connected: bool) -> str:
    """Return why a computer that lacks the release cannot be offered it now; empty: it can."""
    if not connected:
        return "it is not connected"
    return "it is not ready" if computer.readiness.verdict == NOT_READY else ""


def catch_up_spec(spec: RolloutSpec) -> RolloutSpec:
    """Return the file of a catch-up: the same rules, the SOP's waves, no emergency, and nothing that repeats."""
    return replace(
        spec,
        rollout=f"{spec.rollout} catch-up",
        dynamic=True,
        waves=(),
        start_time=None,
        repeat=None,
        ready_quorum=None,
        emergency=False,
        baseline=False,
    )


def only_of(rollout: Rollout) -> frozenset[str] | None:
    """Return the computers that alone may be in a catch-up's plan when it is made anew; None: it is no catch-up."""
    if rollout.origin != CATCH_UP:
        return None
    return frozenset(member.id for member in read_plan(rollout.plan_json).members)


def ended_by(catch_up: Rollout | None) -> str:
    """Return why the end of its catch-up ends a baseline too; empty: it does not, nobody aborted it."""
    if catch_up is None or was_cleared(catch_up):
        return ""
    if catch_up.state in {RolloutState.ABORTING, RolloutState.ABORTED}:
        return f"its catch-up was {catch_up.state_reason}" if catch_up.state_reason else "its catch-up was aborted"
    return ""
