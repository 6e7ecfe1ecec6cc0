"""The plan: the immutable, digested description of a rollout that people approve, and its one written form.

Decides the shape and the bytes; making a plan from rollout file, SOP and fleet is `planning`'s, acting on it the
planner's. Rules: members stand in plan order and each wave is the slice of the next `size` members, so that order and
sizes fix who was planned where; who takes the place of a sleeping computer later changes no digest. Durations are whole
seconds, percentages text ("2%"), times RFC 3339.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from sopwith_formats import typed_json
from sopwith_formats.sop_policy import DisruptionBudget, Window

FORMAT = 1
SIZE_MAX = 256 * 2**20
"""A member takes about 60 bytes; a million computers fit."""


@dataclass(frozen=True)
class PlanMember:
    """One computer of the audience."""

    id: str
    name: str
    group: str = ""
    """Its maintenance group; empty: none."""


@dataclass(frozen=True)
class PlanGroup:
    """One maintenance group that members belong to."""

    name: str
    window: Window | None = None
    """The window that holds for its members in this rollout; None: always open."""


@dataclass(frozen=True)
class PlanWave:
    """One ordered slice of the members."""

    name: str
    size: int
    soak_seconds: int = 0


@dataclass(frozen=True)
class PlanThresholds:
    """When the rollout is suspended."""

    success: str
    """Share of a wave that must have succeeded, such as "95%"."""
    error_percent: str
    error_count: int
    lost: int


@dataclass(frozen=True)
class Plan:
    """One rollout, complete."""

    rollout: str
    """Its name."""
    release: str
    manifest_sha256: str
    sop_id: str
    sop_revision: int
    policy_sha256: str
    change_class: str
    audience: str
    members: tuple[PlanMember, ...]
    waves: tuple[PlanWave, ...]
    thresholds: PlanThresholds
    max_concurrency: int
    """Resolved: a count."""
    ready_quorum: int
    attempts_max: int
    deadline_seconds: int
    window: Window | None = None
    """Of members in no group; None: always open."""
    groups: tuple[PlanGroup, ...] = ()
    """Maintenance groups that members belong to; of a dynamic audience all."""
    disruption_budget: DisruptionBudget | None = None
    start_time: str = ""
    """No computer starts before; see `sopwith_formats.start_time`. Empty: at once."""
    emergency: bool = False
    ticket: str = ""
    dynamic: bool = False
    """Computers that match `audience` after the start join the last wave; the plan fixes the rule, not their names."""
    baseline: bool = True
    """Completed, the release is offered to computers of `audience` that come later."""
    repeat: str = ""
    """RRULE of the patch day that drafts the next one; empty: none."""
    staging_seconds: int = 0
    """How long before its window opens a computer may fetch the files."""
    bandwidth_max: int | None = None
    """How many bytes a second all downloads together may take; None: any number."""

    @property
    def tail(self) -> int:
        """Return the index of the tail: after the last wave."""
        return len(self.waves)

    def wave_name(self, index: int) -> str:
        """Return the name of a wave, tail for the one after the last."""
        return self.waves[index].name if index < len(self.waves) else "tail"

    @cached_property
    def groups_of_members(self) -> Mapping[str, str]:
        """Return the maintenance groups by computer id, of those that are in one; worked out once."""
        if not self.groups:
            return {}
        return {member.id: member.group for member in self.members if member.group}

    def window_of(self, group: str) -> Window | None:
        """Return the window of a maintenance group, of members in none for the empty name."""
        return next((known.window for known in self.groups if known.name == group), self.window)

    def wave_starts(self) -> tuple[int, ...]:
        """Return the position of each wave's first member, and at the end the number of members."""
        return (0, *accumulate(wave.size for wave in self.waves))

    @cached_property
    def _text(self) -> str:
        return typed_json.write_document(self, version=FORMAT).decode()

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self._text.encode()).hexdigest()

    def to_json(self) -> str:
        """Return the canonical text; written once, a plan never changes."""
        return self._text

    def sha256(self) -> str:
        """Return the plan digest, 64 hexadecimal digits."""
        return self._digest


def read_plan(plan_json: str) -> Plan:
    """Return the plan of its canonical text; raise FormatError when anything breaks the format."""
    return typed_json.read_document(Plan, plan_json.encode(), version=FORMAT, size_max=SIZE_MAX)
