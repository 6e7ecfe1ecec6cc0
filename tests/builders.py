"""Builders of the controller's records: everything has a sensible value, a test names what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sopwith_controller.domain.entities import (
    Certificate,
    Computer,
    ComputerState,
    LogDraft,
    Person,
    Release,
    ReleaseState,
    Settings,
    SopRevision,
    SopState,
    Token,
)
from sopwith_controller.domain.incident_entities import Incident, IncidentState, Notification
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, RolloutState

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SHA = "ab" * 32


class FixedClock:
    """A clock that stands until a test moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.time = now

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self.time

    def advance(self, **parts: float) -> datetime:
        """Move on by a timedelta's parts; return the new time."""
        self.time += timedelta(**parts)
        return self.time


def computer(name: str = "pc1", **changes: Any) -> Computer:
    made = Computer(f"c-{name}", name, ComputerState.ACCEPTED, f"sha256:{name}", NOON)
    return replace(made, **changes)


def certificate(serial: str = "0a", **changes: Any) -> Certificate:
    made = Certificate(serial, "computer", "c-pc1", "sha256:pc1", NOON, NOON + timedelta(days=30))
    return replace(made, **changes)


def person(name: str = "owner", **changes: Any) -> Person:
    return replace(Person(f"p-{name}", name, ("owner",)), **changes)


def token(identity: str = "t-1", **changes: Any) -> Token:
    made = Token(identity, f"digest-{identity}", "computer", "", {}, 1, NOON + timedelta(days=1), "owner", NOON)
    return replace(made, **changes)


def release(name: str = "hello", version: str = "1", **changes: Any) -> Release:
    made = Release(name, version, ReleaseState.PUBLISHED, "{}", SHA, "operator", NOON)
    return replace(made, **changes)


def sop_revision(revision: int = 1, **changes: Any) -> SopRevision:
    made = SopRevision(
        id="SU-SOP-001",
        revision=revision,
        state=SopState.DRAFT,
        title="Software updates",
        document=b"---\nsop: SU-SOP-001\n",
        document_sha256=SHA,
        policy_sha256=SHA,
        policy_json="{}",
        change_description="First issue",
        change_kind="material",
        revised_by="owner",
        created_time=NOON,
    )
    return replace(made, **changes)


def rollout(rollout_id: str = "r-1", **changes: Any) -> Rollout:
    made = Rollout(
        id=rollout_id,
        name="hello-1",
        state=RolloutState.DRAFT,
        release="hello@1",
        spec_json="{}",
        sop_id="SU-SOP-001",
        sop_revision=1,
        policy_sha256=SHA,
        plan_json="{}",
        plan_sha256=SHA,
        change_class="standard",
        requester="operator",
        created_time=NOON,
    )
    return replace(made, **changes)


def assignment(position: int = 0, **changes: Any) -> Assignment:
    made = Assignment(f"a-{position}", "r-1", "c-pc1", "pc1", position, 0)
    return replace(made, **changes)


def incident(incident_id: str = "i-1", **changes: Any) -> Incident:
    made = Incident(incident_id, 2, IncidentState.OPEN, 1, "HEALTH_CHECK_FAILED", "pc1 rolled back", NOON)
    return replace(made, **changes)


def notification(notification_id: str = "n-1", **changes: Any) -> Notification:
    made = Notification(notification_id, "i-1", "smtp", "manager@localhost", "Incident i-1", "body", NOON)
    return replace(made, **changes)


def log_draft(kind: str = "ASSIGNMENT_ENDED", **changes: Any) -> LogDraft:
    return replace(LogDraft(kind, "pc1 was updated"), **changes)


def settings(**changes: Any) -> Settings:
    return replace(Settings("Example", "example.test", "standard", "k-1", NOON), **changes)
