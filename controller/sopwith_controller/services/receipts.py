"""What a signed receipt changes: the assignment's end, the computer's installed versions, the log, perhaps an incident.

This module decides whether a receipt is believed and what follows; `progress` calls it inside its unit of work. Rules:
the signature is verified with the key that the computer showed at its first Hello; the receipt names this computer, its
rollout and release as they are recorded; an assignment's outcome is logged exactly once; a rolled-back release is
remembered, so that it is not offered to that computer again; after a failed rollback the computer is held apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from sopwith_controller.domain import assignment as mirror
from sopwith_controller.domain.assignment import EndKind
from sopwith_controller.domain.bench import failures_after
from sopwith_controller.domain.durations import Measurement, measure
from sopwith_controller.domain.entities import Computer, ComputerState, LogDraft
from sopwith_controller.domain.errors import TrustError
from sopwith_controller.domain.incident import severity_of_outcome
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.services.agent_reports import ReceiptReported
from sopwith_controller.services.computers import change_state
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Clock, UnitOfWork
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import split_release
from sopwith_formats.observation import Observation, read_signed
from sopwith_formats.reboot_only import act_of
from sopwith_formats.receipt import Receipt, ReceiptKind, read_receipt
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import BEFORE_INSTALLING, GateResult, Outcome, Symptom


@dataclass(frozen=True)
class ReceiptResult:
    """What a believed receipt led to; `alarm` is set instead when it contradicts an earlier one."""

    computer: Computer
    assignment: Assignment
    measurement: Measurement | None = None
    """What it took, where that can be learned from."""
    incident: bool = False
    quarantined: bool = False
    alarm: str = ""


class Receipts:
    """Carries receipts out inside one unit of work."""

    def __init__(
        self,
        unit: UnitOfWork,
        clock: Clock,
        incidents: Incidents,
        records: RolloutRecords,
        *,
        verify: Callable[[str, bytes, bytes], bool],
    ) -> None:
        self._unit = unit
        self._clock = clock
        self._incidents = incidents
        self._records = records
        self._verify = verify

    @staticmethod
    def assignment_of(content: ReceiptReported) -> str:
        """Return the assignment that an unverified receipt speaks of, empty when it cannot be read."""
        try:
            return read_receipt(content.payload).assignment_id
        except FormatError:
            return ""

    def read(self, computer: Computer, content: ReceiptReported) -> Receipt | Observation:
        """Return what was signed; raise TrustError unless the computer's own key signed it about itself."""
        if not computer.receipt_key_pem or not self._verify(
            computer.receipt_key_pem, content.payload, content.signature
        ):
            raise TrustError("a receipt is not signed by this computer's receipt key")
        receipt = read_signed(content.payload)
        if receipt.computer_id != computer.id:
            raise TrustError(f"a receipt speaks of the computer {receipt.computer_id}")
        return receipt

    async def carry_out(
        self, computer: Computer, before: Assignment, receipt: Receipt, content: ReceiptReported
    ) -> ReceiptResult:
        """Record the end that the receipt tells."""
        rollout = await self._records.get(self._unit, before.rollout_id)
        release = f"{receipt.release}@{receipt.version}"
        if receipt.rollout_id != rollout.id or release != rollout.release:
            raise TrustError(
                f"a receipt speaks of {release} in {receipt.rollout_id}, the assignment of {rollout.release}"
            )
        ending = mirror.end(
            before,
            Outcome(receipt.outcome),
            now=self._clock.now(),
            symptom=receipt.symptom,
            detail=receipt.detail,
            version_before=receipt.version_before,
            version_after=receipt.version_after,
            attempts=receipt.attempts,
            receipt_sha256=sha256(content.payload).hexdigest(),
        )
        if ending.kind is EndKind.CONTRADICTED:
            return ReceiptResult(computer, before, alarm=f"two different receipts for assignment {before.id}")
        if ending.kind is EndKind.REPEATED:
            return ReceiptResult(computer, before)
        computer = replace(
            computer,
            installed=_installed(computer.installed, receipt),
            failures_in_a_row=failures_after(
                computer.failures_in_a_row, receipt.outcome, ending.outcome_before, symptom=receipt.symptom
            ),
        )
        await self._log_end(rollout, before, ending, receipt)
        if receipt.outcome == Outcome.ROLLED_BACK:
            await self._unit.releases.note_rolled_back(*split_release(rollout.release), computer.id)
        computer, quarantined = await self._hold_apart(computer, receipt)
        incident = await self._raise(rollout, ending, receipt)
        return ReceiptResult(
            computer,
            ending.assignment,
            await self._measure(computer, rollout, receipt),
            incident=incident,
            quarantined=quarantined,
        )

    async def _measure(self, computer: Computer, rollout: Rollout, receipt: Receipt) -> Measurement | None:
        if receipt.outcome != Outcome.SUCCEEDED:
            return None
        manifest = await self._records.manifest(self._unit, rollout)
        return measure(receipt, manifest, computer.facts, now=self._clock.now())

    async def recover(self, computer: Computer, receipt: Receipt, content: ReceiptReported) -> Computer:
        """Record a signed record whose assignment was lost with the log; return what is installed by it.

        It is the only trace of that assignment, so it is logged with everything that it says, and its outcome counts.
        """
        release = f"{receipt.release}@{receipt.version}"
        said = receipt.outcome or "began"
        await self._unit.update_log.append(
            LogDraft(
                LogKind.RECEIPT_RECOVERED,
                f"{computer.name}: {said} with {release}, of which the restored controller knew nothing",
                computer=computer.name,
                release=release,
                version_before=receipt.version_before,
                version_after=receipt.version_after,
                outcome=receipt.outcome,
                symptom=receipt.symptom,
                attempts=receipt.attempts,
                rollout=receipt.rollout_id,
                sop_id=receipt.sop_id,
                sop_revision=receipt.sop_revision,
                receipt_sha256=sha256(content.payload).hexdigest(),
                local_offset_seconds=receipt.utc_offset_seconds,
                details={
                    "assignment": receipt.assignment_id,
                    **_proof(receipt),
                    "steps": [dict(step) for step in receipt.steps],
                },
            )
        )
        if receipt.kind != ReceiptKind.ENDED:
            return computer
        if receipt.outcome == Outcome.ROLLED_BACK:
            await self._unit.releases.note_rolled_back(receipt.release, receipt.version, computer.id)
        return replace(computer, installed=_installed(computer.installed, receipt))

    async def log_started(self, assignment: Assignment, receipt: Receipt, content: ReceiptReported) -> bool:
        """Record that a computer signed that it begins to install; tell whether that was an incident."""
        rollout = await self._records.get(self._unit, assignment.rollout_id)
        draft = assignment_draft(
            LogKind.ASSIGNMENT_STARTED, rollout, assignment, f"{assignment.computer} began {act_of(rollout.release)}"
        )
        await self._unit.update_log.append(
            replace(
                draft,
                version_before=receipt.version_before,
                attempts=receipt.attempts,
                receipt_sha256=sha256(content.payload).hexdigest(),
                local_offset_seconds=receipt.utc_offset_seconds,
                details={**draft.details, **_proof(receipt)},
            )
        )
        return await self._tell_of_held_back(rollout, assignment, receipt)

    async def _tell_of_held_back(self, rollout: Rollout, assignment: Assignment, receipt: Receipt) -> bool:
        """Tell people of a source whose renewals do not reach a computer: somebody may hold them back."""
        stale = [one for one in receipt.decisions if (one.gate, one.result) == ("metadata_fresh", GateResult.WARNED)]
        if stale:
            await self._incidents.raise_in(
                self._unit,
                symptom=Symptom.SOURCE_EXPIRING,
                severity=2,
                summary=(
                    f"{assignment.computer} was served {stale[0].measured}: something on its way to the source holds "
                    "newer metadata back, or the controller does not renew it; compare with sopwith source status"
                ),
                rollout=rollout,
            )
        return bool(stale)

    async def _log_end(self, rollout: Rollout, before: Assignment, ending: mirror.Ending, receipt: Receipt) -> None:
        after = ending.assignment
        if ending.kind is EndKind.CONFIRMED:
            return
        corrected = ending.kind is EndKind.CORRECTED
        kind = LogKind.OUTCOME_CORRECTED if corrected else LogKind.ASSIGNMENT_ENDED
        message = f"{after.computer}: {receipt.outcome}"
        if corrected:
            message = f"{after.computer}: {receipt.outcome}, recorded as {ending.outcome_before} before"
        draft = end_draft(kind, rollout, after, f"{message}{f' ({after.detail})' if after.detail else ''}")
        details = {
            **draft.details,
            **_proof(receipt),
            "commits": receipt.commits,
            "steps": [dict(step) for step in receipt.steps],
        }
        await self._unit.update_log.append(
            replace(
                draft,
                outcome="" if corrected else receipt.outcome,
                corrected_outcome=receipt.outcome if corrected else "",
                local_offset_seconds=receipt.utc_offset_seconds,
                details=details,
            )
        )

    async def _hold_apart(self, computer: Computer, receipt: Receipt) -> tuple[Computer, bool]:
        if receipt.symptom != Symptom.ROLLBACK_FAILED or computer.state is not ComputerState.ACCEPTED:
            return computer, False
        held, _ = await change_state(
            self._unit, computer, "quarantine", person="", reason="its rollback failed", clock=self._clock
        )
        return held, True

    async def _raise(self, rollout: Rollout, ending: mirror.Ending, receipt: Receipt) -> bool:
        policy = await self._records.policy(self._unit, rollout)
        severity = severity_of_outcome(
            receipt.outcome, receipt.symptom, policy, mid_install=ending.assignment.install_started_time is not None
        )
        if not severity:
            return False
        after = ending.assignment
        await self._incidents.raise_in(
            self._unit,
            symptom=receipt.symptom or Symptom.UNKNOWN,
            severity=severity,
            summary=f"{rollout.release} ended {receipt.outcome} on {after.computer}: {after.detail or receipt.symptom}",
            rollout=rollout,
            computers=(after.computer,),
        )
        return True


def _proof(receipt: Receipt) -> dict[str, object]:
    """Return what an entry says of a signed record beside its digest: its place, its digests, both clocks."""
    return {
        "receipt_number": receipt.number,
        "manifest_sha256": receipt.manifest_sha256,
        "warrant_sha256": receipt.warrant_sha256,
        "computer_time": format_time(receipt.ended_time),
        "boot_id": receipt.boot_id,
        "boot_seconds": receipt.boot_seconds,
        "policy_sha256": receipt.policy_sha256,
        "computer_gates": _decided(receipt),
    }


def _decided(receipt: Receipt) -> dict[str, object]:
    """Return the decisions of the computer's gates: names of those that passed, the others with their values.

    What was measured of those that passed stands in the signed record, which the entry names by its digest.
    """
    others = [one.as_text() for one in receipt.decisions if one.result != GateResult.PASSED]
    return {"passed": [one.gate for one in receipt.decisions if one.result == GateResult.PASSED], "others": others}


def _installed(installed: dict[str, str], receipt: Receipt) -> dict[str, str]:
    after = {name: version for name, version in installed.items() if name != receipt.release}
    return {**after, receipt.release: receipt.version_after} if receipt.version_after else after


def assignment_draft(kind: LogKind, rollout: Rollout, assignment: Assignment, message: str) -> LogDraft:
    """Return a log entry about one assignment, with everything that its rollout says."""
    return LogDraft(
        kind=kind,
        message=message,
        computer=assignment.computer,
        release=rollout.release,
        operator=rollout.operator,
        rollout=rollout.id,
        ticket=rollout.ticket,
        sop_id=rollout.sop_id,
        sop_revision=rollout.sop_revision,
        details={"assignment": assignment.id, "wave": assignment.wave, "generation": assignment.generation},
    )


def end_draft(kind: LogKind, rollout: Rollout, assignment: Assignment, message: str) -> LogDraft:
    """Return the log entry of an assignment's end; the caller says which of the two outcome fields is filled."""
    return replace(
        assignment_draft(kind, rollout, assignment, message),
        version_before=assignment.version_before,
        version_after=assignment.version_after,
        symptom=assignment.symptom,
        attempts=assignment.attempts,
        receipt_sha256=assignment.receipt_sha256,
    )


def was_untouched(assignment: Assignment) -> bool:
    """Tell whether nothing of the computer was changed yet."""
    return assignment.state in BEFORE_INSTALLING
