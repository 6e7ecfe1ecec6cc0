"""The one screen: how the fleet stands and what needs a person, gravest first.

This module reads and orders; it changes nothing. Every line that needs somebody names the command that goes on.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sopwith_controller.domain import evaluation, post_review
from sopwith_controller.domain.deviation import Deviation, DeviationState, in_force
from sopwith_controller.domain.emergency import waits_for_review
from sopwith_controller.domain.entities import Computer, ComputerState, Settings, SopRevision, SopState
from sopwith_controller.domain.incident_entities import Incident, IncidentState, Notification
from sopwith_controller.domain.practice_entities import SopReview
from sopwith_controller.domain.rollout_entities import PATCH_DAY, Rollout, RolloutState
from sopwith_controller.domain.sop_review import open_reviews
from sopwith_controller.services.ports import AgentGateway, Clock, Database, SourceStore, UnitOfWork
from sopwith_formats.units import format_time


@dataclass(frozen=True)
class Attention:
    """One thing that waits for a person; severity 1 is the gravest, 4 is only advice."""

    severity: int
    message: str
    command: str = ""


@dataclass(frozen=True)
class Overview:
    """What the screen shows."""

    organization: str
    profile: str
    version: str
    computers: dict[str, int]
    rollouts: dict[str, int]
    incidents: dict[str, int]
    sop: str
    attention: tuple[Attention, ...]
    banners: tuple[str, ...]


class Overviews:
    """The use case: read the screen."""

    def __init__(
        self, database: Database, clock: Clock, gateway: AgentGateway, source: SourceStore, *, version: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._gateway = gateway
        self._source = source
        self._version = version

    async def get(self) -> Overview:
        """Return the screen as it is now."""
        now = self._clock.now()
        source = await self._source.view()
        async with self._database.read() as unit:
            settings = await unit.settings()
            computers = await unit.computers.all()
            rollouts = await unit.rollouts.all()
            incidents = await unit.incidents.unresolved()
            undelivered = await unit.notifications.undelivered()
            effective = await unit.sops.effective(settings.sop_id)
            attention = [
                *_of_incidents(incidents),
                *_of_rollouts(rollouts, now),
                *_of_deviations(await unit.deviations.unended(), now),
                *_of_computers(computers),
                *_of_sop(await unit.sops.newest(settings.sop_id), effective),
                *await _of_releases(unit),
                *_of_reviews(await unit.practice.reviews.all(), effective, now),
            ]
        if source is None:
            attention.append(
                Attention(4, "no source is designated yet", "sopwith source init --keys DIR --backup-keys DIR")
            )
        return Overview(
            organization=settings.organization,
            profile=settings.profile,
            version=self._version,
            computers=self._count(computers),
            rollouts=dict(Counter(rollout.state.value for rollout in rollouts)),
            incidents=dict(Counter(str(i.severity) for i in incidents if i.state is IncidentState.OPEN)),
            sop=f"{effective.id} revision {effective.revision}" if effective else "",
            attention=tuple(sorted(attention, key=lambda item: item.severity)),
            banners=tuple(_banners(settings, undelivered, now)),
        )

    def _count(self, computers: Sequence[Computer]) -> dict[str, int]:
        counts = dict.fromkeys(("total", "connected", "ready", "not_ready", "asleep", "offline", "pending"), 0)
        for computer in computers:
            if computer.state in (ComputerState.RETIRED, ComputerState.REJECTED):
                continue
            counts["total"] += 1
            if computer.state is ComputerState.PENDING:
                counts["pending"] += 1
                continue
            presence = self._gateway.presence(computer.id)
            if presence is not None and presence.connected:
                counts["connected"] += 1
            elif presence.asleep if presence else computer.asleep:
                counts["asleep"] += 1
            else:
                counts["offline"] += 1
            if computer.readiness.verdict:
                counts["not_ready" if computer.readiness.verdict == "NOT_READY" else "ready"] += 1
        return counts


def _of_incidents(incidents: Sequence[Incident]) -> list[Attention]:
    return [
        Attention(incident.severity, f"incident: {incident.summary}", f"sopwith incident acknowledge {incident.id}")
        for incident in incidents
        if incident.state is IncidentState.OPEN
    ]


def _of_rollouts(rollouts: Sequence[Rollout], now: datetime) -> list[Attention]:
    waiting = {
        RolloutState.SUSPENDED: (2, "is suspended", "sopwith rollout resume {id} --reason TEXT"),
        RolloutState.IN_REVIEW: (3, "waits for approval", "sopwith rollout approve {id}"),
        RolloutState.PAUSED: (3, "is paused", "sopwith rollout resume {id} --reason TEXT"),
        RolloutState.APPROVED: (3, "may be started", "sopwith rollout start {id} --reason TEXT"),
    }
    found = []
    for rollout in rollouts:
        if rollout.state is RolloutState.DRAFT and rollout.origin == PATCH_DAY:
            what = f"patch day: {rollout.name} ({rollout.release}) is drafted and waits for a person"
            found.append(Attention(3, what, f"sopwith rollout submit {rollout.id}"))
        if rollout.state in waiting:
            severity, what, command = waiting[rollout.state]
            found.append(
                Attention(severity, f"rollout {rollout.name} ({rollout.release}) {what}", command.format(id=rollout.id))
            )
        if post_review.waits(rollout) and rollout.ended_time and rollout.ended_time + post_review.CLOSES_AFTER <= now:
            command = f"sopwith rollout review {rollout.id} --note TEXT"
            found.append(Attention(4, f"rollout {rollout.name} did not go well and waits for its review", command))
        if waits_for_review(rollout):
            command = f"sopwith rollout review {rollout.id} --note TEXT"
            found.append(Attention(2, f"the emergency rollout {rollout.name} waits for its review", command))
    return found


def _of_deviations(deviations: Sequence[Deviation], now: datetime) -> list[Attention]:
    found = []
    for one in deviations:
        until = format_time(one.expires_time)
        if in_force(one, now):
            text = f"a deviation from {one.gate} is in force until {until}: {one.reason}"
            found.append(Attention(4, text, f"sopwith deviation close {one.id} --reason TEXT"))
        elif one.state is DeviationState.OPEN and now < one.expires_time:
            text = f"{one.requester} asks for a deviation from {one.gate}: {one.reason}"
            found.append(Attention(3, text, f"sopwith deviation approve {one.id}"))
    return found


def _of_computers(computers: Sequence[Computer]) -> list[Attention]:
    found = []
    for computer in computers:
        if computer.state is ComputerState.PENDING:
            found.append(
                Attention(
                    3,
                    f"computer {computer.name} asks to enrol, key {computer.key_fingerprint}",
                    f"sopwith computer accept {computer.name}",
                )
            )
        elif computer.state is ComputerState.QUARANTINED:
            found.append(
                Attention(
                    2,
                    f"computer {computer.name} is quarantined: {computer.state_reason}",
                    f"sopwith computer show {computer.name}",
                )
            )
    return found


def _of_sop(newest: SopRevision | None, effective: SopRevision | None) -> list[Attention]:
    if newest is None or newest.state is SopState.EFFECTIVE:
        return []
    severity = 4 if effective else 3
    label = f"{newest.id} revision {newest.revision}"
    if newest.state is SopState.DRAFT:
        return [
            Attention(
                severity, f"{label} is a draft; rollouts need an effective SOP", f"sopwith sop submit {newest.id}"
            )
        ]
    if newest.state is SopState.IN_REVIEW:
        return [Attention(severity, f"{label} waits for signatures", f"sopwith sop sign {newest.id}")]
    return []


def _of_reviews(reviews: Sequence[SopReview], effective: SopRevision | None, now: datetime) -> list[Attention]:
    if effective is None:
        return []
    command = f"sopwith sop review {effective.id} --no-change --note TEXT"
    return [
        Attention(
            2 if one.due_time <= now else 3,
            f"a review of {effective.id} {'was' if one.due_time <= now else 'is'} due {format_time(one.due_time)}: "
            f"{one.trigger.lower().replace('_', ' ')} {one.subject}".rstrip(),
            command,
        )
        for one in open_reviews(reviews, effective.id)
    ]


async def _of_releases(unit: UnitOfWork) -> list[Attention]:
    return [
        Attention(
            3,
            f"{release.release} is withdrawn, but still signed in the source",
            f"sopwith release withdraw {release.release} --keys KEYS --reason TEXT",
        )
        for release in await unit.releases.all()
        if release.state == "WITHDRAWN" and not release.withdrawal_signed
    ]


def _banners(settings: Settings, undelivered: Sequence[Notification], now: datetime) -> list[str]:
    banners = []
    if undelivered:
        first = undelivered[0]
        banners.append(
            f"{len(undelivered)} message(s) could not be delivered; {first.channel} to {first.target}: {first.error}"
        )
    if settings.profile == evaluation.PROFILE:
        ends = settings.created_time + evaluation.LIFE
        left = "has ended" if ends <= now else f"ends on {ends:%Y-%m-%d}"
        banners.append(f"EVALUATION: the SOP may be unsigned, at most 25 computers; {left}")
    return banners
