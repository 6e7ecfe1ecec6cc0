"""What the journal keeps of one assignment: everything that a restarted agent must know, and nothing it could measure.

Records are immutable; a step returns changes and the runner writes the next record before anything acts on it. Whoever
adds a field gives it a default that an older record may lack.
"""

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event, transition
from sopwith_formats import canonical_json
from sopwith_formats.agent_decision import AgentDecision, merged, read_decisions
from sopwith_formats.errors import FormatError
from sopwith_formats.units import format_time, parse_time
from sopwith_formats.vocabulary import AssignmentState, Outcome, Symptom
from sopwith_formats.warrant import Warrant, read_warrant

FORMAT = 1


@dataclass(frozen=True)
class StepTaken:
    """One thing done for an assignment, in the order of doing; receipts carry them."""

    step: str
    time: datetime
    result: str
    detail: str = ""

    def as_text(self) -> dict[str, str]:
        """Return the form that receipts carry."""
        return {"step": self.step, "time": format_time(self.time), "result": self.result, "detail": self.detail}


@dataclass(frozen=True)
class Record:
    """One assignment. Times are UTC by the computer's clock."""

    warrant_payload: str
    """The canonical JSON as it was signed."""
    warrant_signature: str
    """Hexadecimal, so that the warrant can be verified again."""
    state: AssignmentState
    started_time: datetime
    entered_time: datetime
    attempts: int = 0
    """Download and install tries together."""
    commits: int = 0
    """How often the installer's commit point was announced; written before it is passed."""
    retries: int = 0
    """Retries within the present state, which the back-off grows with."""
    rechecks: int = 0
    rollback_attempts: int = 0
    deferrals: int = 0
    was_ready: bool = False
    manifest_json: str = ""
    """The verified release.json, from DOWNLOADING on."""
    version_before: str = ""
    staged: dict[str, str] = field(default_factory=dict)
    """Verified update files: name in the manifest to path below the staging folder."""
    previous_json: str = ""
    """release.json of the version that runs now, where its files were fetched again from the source as a way back."""
    previous_staged: dict[str, str] = field(default_factory=dict)
    way_back: str = ""
    """How the installer would undo the install, in its word; empty before it looked."""
    healthy_before: str = ""
    """Whether the release that ran before passed its own health checks then: yes, no, or empty where none is known."""
    symptom: str = ""
    """Why it is going back, waits, or ended; empty when nothing is wrong."""
    detail: str = ""
    boot_id: str = ""
    """The boot in which the install was applied; another one now means that the computer rebooted since."""
    boots: int = 0
    """How often the computer was seen to boot since the install was applied."""
    reboot_asked_time: datetime | None = None
    """Since when it waits for a reboot, by the fleet's clock; its deadline counts from here."""
    reboot_wanted: bool = False
    """It would reboot now, had it leave."""
    reboot_forced: bool = False
    """Its deadline passed or its deferrals are spent, and the SOP lets the reboot be forced."""
    reboot_deferrals: int = 0
    """How often a drain command refused."""
    reboot_deferred_until: datetime | None = None
    """Until when nobody asks again, by the fleet's clock."""
    reboot_deferred_why: str = ""
    booted_new: bool = False
    """The computer booted into the new version: going back takes another boot."""
    way_back_boot_id: str = ""
    """The boot in which the version before was brought back, where another boot has to follow; empty: none has to."""
    reboot_tries: int = 0
    """How often the reboot was started in this boot; written before each."""
    reboot_tried_at_seconds: int = 0
    """When the last of them was, in seconds since boot."""
    drained: bool = False
    """The drain commands agreed, and nothing gave the work back since."""
    undrain_tries: int = 0
    snapshot_made: bool = False
    unhealthy_before: str = ""
    """Names of releases that were unhealthy before a rollout that only reboots; nobody expects them healthy after."""
    steps: tuple[StepTaken, ...] = ()
    decisions: tuple[AgentDecision, ...] = ()
    """What this computer's gates decided and no signed record carries yet."""
    outcome: str = ""
    version_after: str = ""
    ended_time: datetime | None = None
    ended_boot_id: str = ""
    ended_boot_seconds: int = 0
    ended_utc_offset_seconds: int = 0
    reported: bool = False
    """The receipt lies in the outbox."""

    @property
    def warrant(self) -> Warrant:
        """The warrant. Its bytes were checked before the record was made, and again when it was read."""
        return read_warrant(self.warrant_payload.encode())

    @property
    def ended(self) -> bool:
        """Tell whether the assignment has its outcome."""
        return self.state is AssignmentState.ENDED

    def step(self, step: str, time: datetime, result: str, detail: str = "") -> Self:
        """Return the record with one more step taken; of too many the oldest are left out."""
        taken = StepTaken(step, time, result, detail[: limits.detail_max_characters])
        return replace(self, steps=(*self.steps, taken)[-limits.steps_max :])

    def decide(self, *decisions: AgentDecision) -> Self:
        """Return the record with the decisions of gates; the newest of each gate counts."""
        return replace(self, decisions=merged(self.decisions, decisions))

    def after(self, event: Event, now: datetime, *, symptom: Symptom | str = "", detail: str = "") -> Self:
        """Return the record after an event. A state that is left forgets its retries; an outcome ends the record."""
        following = transition(self.state, event)
        text = detail[: limits.detail_max_characters]
        if isinstance(following, Outcome):
            return replace(
                self,
                state=AssignmentState.ENDED,
                outcome=following.value,
                symptom=str(symptom),
                detail=text,
                ended_time=now,
                entered_time=now,
            )
        retries = self.retries if following is self.state else 0
        return replace(
            self,
            state=following,
            entered_time=now,
            symptom=str(symptom),
            detail=text,
            retries=retries,
        )

    def to_json(self) -> bytes:
        """Return the bytes that the journal writes."""
        document = asdict(self)
        for key, value in document.items():
            if isinstance(value, datetime):
                document[key] = format_time(value)
        document["steps"] = [step.as_text() for step in self.steps]
        document["decisions"] = [one.as_text() for one in self.decisions]
        return canonical_json.encode({"format": FORMAT, **document})


_TIMES = {"started_time", "entered_time", "ended_time", "reboot_asked_time", "reboot_deferred_until"}


def read_record(data: bytes) -> Record:
    """Return the record of journal bytes; raise FormatError for torn or foreign ones."""
    document = canonical_json.decode(data, size_max=limits.journal_record_max_bytes)
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise FormatError("is no journal record of a known format")
    try:
        values: dict[str, Any] = {
            key: parse_time(value) if key in _TIMES and value is not None else value for key, value in document.items()
        }
        values["state"] = AssignmentState(values["state"])
        values["steps"] = tuple(StepTaken(**{**step, "time": parse_time(step["time"])}) for step in values["steps"])
        values["decisions"] = read_decisions(values.get("decisions", []))
        record = Record(**values)
        read_warrant(record.warrant_payload.encode())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"is a broken journal record: {error}") from error
    return record
