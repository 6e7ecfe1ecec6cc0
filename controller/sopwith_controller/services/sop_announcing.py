"""Announcing a revision: what was told to whom by which channel, kept beside what became of it.

Decides the order of loading, deciding, recording and telling; the rules are `domain.sop_announcement`'s. Mail goes into
the durable outbox in the transaction of the announcement, one message to each person, and its delivery is read there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sopwith_controller.domain import sop_announcement as rules
from sopwith_controller.domain.entities import LogDraft, SopRevision
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, NotFoundError
from sopwith_controller.domain.incident_entities import Notification
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.sop_life_entities import SopAnnouncement
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import Clock, Database, Ids, UnitOfWork
from sopwith_controller.services.requests import done_before, remember


@dataclass(frozen=True)
class Announced:
    """An announcement, the messages that it sent, and whom it could not reach."""

    announcement: SopAnnouncement
    messages: tuple[Notification, ...]
    unreached: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What shall be announced how."""

    sop_id: str
    channel: str
    recipients: tuple[str, ...] = ()
    attendees: tuple[str, ...] = ()
    note: str = ""
    held_time: datetime | None = None
    revision: int = 0


class SopAnnouncing:
    """Use cases of announcements; `wake` lets the outbox be looked at."""

    def __init__(self, database: Database, clock: Clock, ids: Ids, *, mail: bool, wake: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._mail = mail
        self._wake = wake

    async def announce(self, caller: Caller, asked: Asked) -> Announced:
        """Make a revision known; 0 means the effective one, else the newest."""
        now = self._clock.now()
        if asked.channel == rules.MAIL and not self._mail:
            remedy = "set smtp in sopwith.toml, or --channel meeting"
            raise InvalidInputError("no channel for mail is set up", remedy=remedy)
        async with self._database.write() as unit:
            known = await done_before(unit, caller, LogKind.SOP_ANNOUNCED)
            if known is not None:
                return await self._again(unit, asked.sop_id, known)
            revision = await _revision(unit, asked)
            rules.check_announced(
                revision, asked.channel, attendees=asked.attendees, note=asked.note, held=asked.held_time, now=now
            )
            people, unreached = rules.choose_recipients(
                await unit.people.all(), asked.recipients, asked.attendees, asked.channel
            )
            made = SopAnnouncement(
                id=self._ids.new("sa"),
                sop_id=revision.id,
                revision=revision.revision,
                document_sha256=revision.document_sha256,
                channel=asked.channel,
                recipients=tuple(person.name for person in people),
                attendees=tuple(dict.fromkeys(asked.attendees)),
                note=asked.note.strip(),
                announced_by=caller.name,
                created_time=now,
                held_time=None if asked.channel == rules.MAIL else asked.held_time or now,
            )
            await unit.sop_announcements.put(made)
            messages = []
            if asked.channel == rules.MAIL:
                subject, body = rules.mail_of(revision, (await unit.settings()).organization, asked.note)
                for person in people:
                    messages.append(
                        Notification(self._ids.new("n"), made.id, "smtp", person.email, subject, body, created_time=now)
                    )
                    await unit.notifications.put(messages[-1])
            await self._log(unit, made, unreached)
            await remember(unit, caller, LogKind.SOP_ANNOUNCED, made.id, now)
            await unit.commit()
        self._wake()
        return Announced(made, tuple(messages), unreached)

    async def all(self, sop_id: str) -> Sequence[Announced]:
        """Return a SOP's announcements, oldest first, with what became of their mail."""
        async with self._database.read() as unit:
            if await unit.sops.newest(sop_id) is None:
                raise NotFoundError(f"there is no SOP {sop_id}", remedy="sopwith sop list")
            return [
                Announced(one, tuple(await unit.notifications.of_incident(one.id)))
                for one in await unit.sop_announcements.of_sop(sop_id)
            ]

    async def _again(self, unit: UnitOfWork, sop_id: str, announcement_id: str) -> Announced:
        for one in await unit.sop_announcements.of_sop(sop_id):
            if one.id == announcement_id:
                return Announced(one, tuple(await unit.notifications.of_incident(one.id)))
        raise ConflictError("this request id was used for another SOP", remedy="use a new request id")

    async def _log(self, unit: UnitOfWork, made: SopAnnouncement, unreached: tuple[str, ...]) -> None:
        how = {"mail": "by mail", "meeting": "in a meeting", "training": "in a training session"}[made.channel]
        await unit.update_log.append(
            LogDraft(
                kind=LogKind.SOP_ANNOUNCED,
                message=f"{made.sop_id} revision {made.revision}: {made.announced_by} announced it {how} to "
                f"{len(made.recipients)} people",
                operator=made.announced_by,
                sop_id=made.sop_id,
                sop_revision=made.revision,
                details={
                    "announcement": made.id,
                    "channel": made.channel,
                    "recipients": list(made.recipients),
                    "attendees": list(made.attendees),
                    "unreached": list(unreached),
                    "document_sha256": made.document_sha256,
                },
            )
        )


async def _revision(unit: UnitOfWork, asked: Asked) -> SopRevision:
    if asked.revision:
        found = await unit.sops.get(asked.sop_id, asked.revision)
    else:
        found = await unit.sops.effective(asked.sop_id) or await unit.sops.newest(asked.sop_id)
    if found is None:
        raise NotFoundError(f"there is no SOP {asked.sop_id}", remedy="sopwith sop list")
    return found
