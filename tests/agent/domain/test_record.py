"""The journal's record, and what a restart makes of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.decisions import passed
from sopwith_agent.domain.errors import SettingsError, StepError, TrustError
from sopwith_agent.domain.record import Record, read_record
from sopwith_agent.domain.recovery import Resumption, resumption
from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError
from sopwith_formats.vocabulary import AssignmentState, Symptom
from sopwith_formats.warrant import Warrant

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
WARRANT = Warrant(
    assignment_id="a-1",
    generation=1,
    computer_id="c-1",
    computer_name="pc1",
    rollout_id="r-1",
    release="hello",
    version="2",
    manifest_sha256="0" * 64,
    sop_id="SU-SOP-001",
    sop_revision=1,
    policy_sha256="a" * 64,
    plan_sha256="b" * 64,
    change_class="standard",
    emergency=False,
    attempts_max=3,
    deadline_time=NOW + timedelta(days=14),
    start_until_time=None,
    issued_time=NOW,
    policy={},
)


def record(state: AssignmentState = AssignmentState.PREPARING, **changes: object) -> Record:
    made = Record(WARRANT.payload().decode(), b"good".hex(), state, NOW, NOW)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_record_reads_back_as_it_was_written() -> None:
    written = record(staged={"a": "b"}, ended_time=NOW, attempts=2).step("install", NOW, "done", "detail")
    written = written.decide(passed("digest", "1 files", "as listed"))

    assert read_record(written.to_json()) == written
    assert written.warrant == WARRANT


def test_record_of_an_agent_that_kept_no_decisions_is_read() -> None:
    document = canonical_json.decode(record().to_json())
    del document["decisions"]

    assert read_record(canonical_json.encode(document)) == record()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"state": "RUNNING"},
        {"surplus": 1},
        {"started_time": "yesterday"},
        {"steps": [{"step": "x"}]},
        {"steps": 7},
        {"warrant_payload": "{}"},
    ],
)
def test_record_that_breaks_its_format_is_refused(change: dict[str, object]) -> None:
    document = {**canonical_json.decode(record().to_json()), **change}

    with pytest.raises(FormatError):
        read_record(canonical_json.encode(document))


@pytest.mark.parametrize("data", [b"", b"[]", b"\x00\x00", b'{"format":1,"state":'])
def test_torn_bytes_are_no_record(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_record(data)


def test_state_that_is_left_forgets_its_retries() -> None:
    before = record(AssignmentState.DOWNLOADING, retries=1)

    assert before.after(Event.RETRIED, NOW).retries == 1
    assert before.after(Event.VERIFIED, NOW).retries == 0


def test_outcome_ends_the_record() -> None:
    ended = record(AssignmentState.CONFIRMING).after(Event.HEALTHY, NOW, detail="x" * 2000)

    assert (ended.ended, ended.outcome, ended.ended_time) == (True, "SUCCEEDED", NOW)
    assert len(ended.detail) == limits.detail_max_characters


def test_of_too_many_steps_the_oldest_are_left_out() -> None:
    many = record()
    for number in range(limits.steps_max + 3):
        many = many.step(str(number), NOW, "done")

    assert (len(many.steps), many.steps[0].step) == (limits.steps_max, "3")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (record(AssignmentState.PENDING), Resumption.CONTINUE),
        (record(AssignmentState.PREPARING), Resumption.CONTINUE),
        (record(AssignmentState.DOWNLOADING), Resumption.CONTINUE),
        (record(AssignmentState.STAGED), Resumption.CONTINUE),
        (record(AssignmentState.AWAITING_REBOOT, commits=1), Resumption.CONTINUE),
        (record(AssignmentState.REBOOTING, commits=1), Resumption.CONTINUE),
        (record(AssignmentState.CONFIRMING, commits=1), Resumption.CONTINUE),
        (record(AssignmentState.ROLLING_BACK, commits=1), Resumption.CONTINUE),
        (record(AssignmentState.INSTALLING, attempts=2), Resumption.RESUME_INSTALL),
        (record(AssignmentState.INSTALLING, attempts=3), Resumption.GIVE_UP_INSTALL),
        (record(AssignmentState.INSTALLING, attempts=3, commits=1), Resumption.INSPECT),
        (record(AssignmentState.ENDED), Resumption.REPORT),
        (record(AssignmentState.ENDED, reported=True), Resumption.NOTHING),
    ],
)
def test_restart_goes_on_by_state_and_commit_count(found: Record, expected: Resumption) -> None:
    assert resumption(found, attempts_max=3) is expected


def test_errors_carry_message_remedy_and_symptom() -> None:
    error = TrustError(Symptom.SIGNATURE_INVALID, "no", remedy="look", changed=True)

    assert isinstance(error, StepError)
    assert (error.message, error.remedy, error.symptom, error.changed) == ("no", "look", "SIGNATURE_INVALID", True)
    assert SettingsError("x").remedy == ""
