"""What people at the computers said, as their agents report it: deferrals and feedback.

Decides what the update log says of it; what a deferral changes is `domain.assignment`'s. No person is named: a computer
reports that somebody there spoke, not who.
"""

from dataclasses import replace

from sopwith_controller.domain.assignment import defer
from sopwith_controller.domain.entities import Computer, LogDraft
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.services.agent_reports import DeferralReported, FeedbackReported
from sopwith_controller.services.ports import Clock, UnitOfWork
from sopwith_controller.services.receipts import assignment_draft
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_formats.units import format_time

_WHAT = {"install": "the install of", "reboot": "the restart for"}


class PeopleReports:
    """The use case: record what people said."""

    def __init__(self, unit: UnitOfWork, clock: Clock, records: RolloutRecords) -> None:
        self._unit = unit
        self._clock = clock
        self._records = records

    async def deferral(self, before: Assignment, said: DeferralReported) -> Assignment:
        """Return the assignment put off, or let go; each time that it was put off is an entry of the log."""
        after = defer(before, deferrals=said.deferrals, until=said.until_time, now=self._clock.now())
        if after is before or said.until_time is None:
            return after
        rollout = await self._records.get(self._unit, after.rollout_id)
        count = f"{said.deferrals} of {said.deferrals_max}"
        until = format_time(said.until_time.replace(microsecond=0))
        message = f"people at {after.computer} put off {_WHAT[said.purpose]} {rollout.release} until {until} ({count})"
        draft = assignment_draft(LogKind.ASSIGNMENT_DEFERRED, rollout, after, message)
        details = {"deferrals": said.deferrals, "deferrals_max": said.deferrals_max, "until_time": until}
        await self._unit.update_log.append(replace(draft, details={**draft.details, **details}))
        return after

    async def feedback(self, computer: Computer, said: FeedbackReported, about: Assignment | None) -> None:
        """Write the words down; `about` is the assignment that was at hand there."""
        details = {"text": said.text, "given_time": format_time(said.given_time) if said.given_time else ""}
        if about is None:
            draft = LogDraft(kind=LogKind.COMPUTER_FEEDBACK, message="", computer=computer.name, details=details)
        else:
            rollout = await self._records.get(self._unit, about.rollout_id)
            draft = assignment_draft(LogKind.COMPUTER_FEEDBACK, rollout, about, "")
            draft = replace(draft, details={**draft.details, **details})
        await self._unit.update_log.append(replace(draft, message=f"feedback from {computer.name}: {said.text}"))
