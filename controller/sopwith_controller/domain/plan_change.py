"""What became of a plan between its approval and the start: retained, replaced, or nothing left of it.

Decides by the effect: two plans are equal where they bring the same release to the same computers in the same waves
under the same policy and thresholds; a renamed computer, an editorial revision of the SOP and computers that a dynamic
plan foresees change nothing. What
follows from the answer is the caller's: a replaced plan that people approved goes back to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sopwith_controller.domain.plan import Plan, PlanMember

_NAMES_SHOWN = 5
_WORDS = {
    "release": "the release",
    "manifest_sha256": "the content of the release",
    "policy_sha256": "the policy of the SOP",
    "change_class": "the change class",
    "audience": "the audience",
    "thresholds": "the thresholds",
    "max_concurrency": "the number that is updated at once",
    "ready_quorum": "the ready quorum",
    "attempts_max": "the number of tries",
    "deadline_seconds": "the deadline",
    "window": "the window",
    "groups": "the windows of the maintenance groups",
    "dynamic": "who joins later",
    "baseline": "what computers that come later are offered",
    "repeat": "the patch day",
    "disruption_budget": "the disruption budget",
    "start_time": "the start time",
}


class Change(StrEnum):
    """What becomes of an approval."""

    RETAIN = "RETAIN"
    REPLACE = "REPLACE"
    CLEAR = "CLEAR"


@dataclass(frozen=True)
class PlanChange:
    """The answer, and in words what moved; no words: nothing did."""

    change: Change
    words: tuple[str, ...] = ()


def compare(approved: Plan, present: Plan) -> PlanChange:
    """Return what became of an approved plan, given the one that would be made now."""
    if not present.members:
        return PlanChange(Change.CLEAR, ("no computer is left that it would be brought to",))
    if _effect(approved) == _effect(present) or _only_joined(approved, present):
        return PlanChange(Change.RETAIN)
    words = [*_of_members(approved.members, present.members)]
    if approved.waves != present.waves:
        words.append(f"the waves are {_waves(present)} instead of {_waves(approved)}")
    words += [text for key, text in _WORDS.items() if getattr(approved, key) != getattr(present, key)]
    if len(words) < 1:
        words.append("other parts of the plan")
    return PlanChange(Change.REPLACE, tuple(words))


def _effect(plan: Plan) -> Plan:
    members = tuple(PlanMember(member.id, "", member.group) for member in plan.members)
    return replace(plan, members=members, sop_revision=0, rollout="", ticket="")


def _only_joined(approved: Plan, present: Plan) -> bool:
    """Tell whether a dynamic plan met nothing but what its rule foresees: computers that join its last wave."""
    if not approved.dynamic or {member.id for member in approved.members} - {member.id for member in present.members}:
        return False
    same = replace(
        present,
        members=approved.members,
        waves=approved.waves,
        max_concurrency=approved.max_concurrency,
        ready_quorum=approved.ready_quorum,
    )
    return _effect(approved) == _effect(same)


def _of_members(approved: Sequence[PlanMember], present: Sequence[PlanMember]) -> list[str]:
    before, after = {member.id for member in approved}, {member.id for member in present}
    joined = [member.name for member in present if member.id not in before]
    left = [member.name for member in approved if member.id not in after]
    words = [f"joined: {_some(joined)}"] if joined else []
    words += [f"left: {_some(left)}"] if left else []
    if not words and [member.id for member in approved] != [member.id for member in present]:
        words.append("the order of the computers")
    return words


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _waves(plan: Plan) -> str:
    return ", ".join(f"{wave.name} {wave.size} (watched {wave.soak_seconds} s)" for wave in plan.waves)
