"""What a plan is made from, and what making it answers.

Only shapes stand here; `planning.make_plan` decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sopwith_controller.domain.durations import Estimates
from sopwith_controller.domain.entities import Computer, Release
from sopwith_controller.domain.errors import Refusal
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.projection import Projection
from sopwith_formats.manifest import Manifest
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.version import VERSION


@dataclass(frozen=True)
class Exclusion:
    """One computer that the audience selects and the plan leaves out."""

    computer: str
    """Name."""
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Material:
    """One thing of SOP clause IV that must be there before a start."""

    name: str
    present: bool
    message: str


@dataclass(frozen=True)
class PlanInputs:
    """What a plan is made from."""

    spec: RolloutSpec
    policy: SopPolicy
    sop_revision: int
    policy_sha256: str
    release: Release
    manifest: Manifest
    profile: str
    computers: Sequence[Computer]
    """The whole fleet."""
    now: datetime
    """The plan itself is the same at any time; its projection begins here."""
    rolled_back: frozenset[str] = frozenset()
    """Ids of computers that rolled this release back and have no permission since."""
    source_designated: bool = True
    estimates: Estimates = field(default_factory=Estimates)
    """How long the release's updates take, measured where they ran before."""
    other_scopes: Mapping[str, str] = field(default_factory=dict)
    """Scopes of the other SOPs in force, by their ids."""
    freezes: Sequence[Freeze] = ()
    """Every one on record, earliest first: also those that are over, and those that are known ahead."""
    controller_version: str = VERSION
    """Of the controller that makes the plan."""


@dataclass(frozen=True)
class Planning:
    """A plan, and everything that a person should know of it."""

    plan: Plan
    projection: Projection
    exclusions: tuple[Exclusion, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """Gates that refuse it; `rollout submit` wants none."""
    warnings: tuple[str, ...] = ()
    materials: tuple[Material, ...] = ()
