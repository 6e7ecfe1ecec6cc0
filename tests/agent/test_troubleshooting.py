"""The SOP's catalogue (clause V.D), one line for each symptom: which remedies follow, in which order, how often."""

from dataclasses import replace

import pytest

from sopwith_agent.domain import limits
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.troubleshooting import Remedy, back_off_seconds, troubleshoot
from sopwith_formats.vocabulary import AssignmentState, Symptom
from tests.agent.domain.test_record import record

WAITING = ["wait", "wait", "wait", "wait"]

EXPECTED = {
    Symptom.NET_SOURCE_UNREACHABLE: ["defer", "defer", "fail"],
    Symptom.DOWNLOAD_DIGEST_MISMATCH: ["retry", "fail"],
    Symptom.SIGNATURE_INVALID: ["refuse"],
    Symptom.METADATA_EXPIRED: ["refuse"],
    Symptom.METADATA_ROLLBACK: ["refuse"],
    Symptom.SOURCE_NOT_DESIGNATED: ["refuse"],
    Symptom.NOT_AUTHORISED_BY_SOURCE: ["refuse"],
    Symptom.WARRANT_REFUSED: ["refuse"],
    Symptom.VERSION_POLICY: ["refuse"],
    Symptom.CONTENT_REFUSED: ["fail"],
    Symptom.DISK_FULL: WAITING,
    Symptom.PACKAGE_LOCK_HELD: WAITING,
    Symptom.PENDING_REBOOT: WAITING,
    Symptom.POWER_LOW: WAITING,
    Symptom.LOAD_HIGH: WAITING,
    Symptom.USER_BUSY: WAITING,
    Symptom.CLOCK_SKEWED: WAITING,
    Symptom.MEMORY_LOW: WAITING,
    Symptom.METERED_LINK: WAITING,
    Symptom.DO_NOT_DISTURB: WAITING,
    Symptom.CONTROLLER_UNREACHABLE: WAITING,
    Symptom.FILE_OR_SERVICE_IN_USE: ["defer", "defer", "fail"],
    Symptom.INSTALLER_EXIT_NONZERO: ["retry", "fail"],
    Symptom.BACKUP_FAILED: ["retry", "fail"],
    Symptom.TIMEOUT: ["retry", "fail"],
    Symptom.PACKAGE_DATABASE_BROKEN: ["fail"],
    Symptom.DEPENDENCY_CONFLICT: ["fail"],
    Symptom.PERMISSION_DENIED: ["fail"],
    Symptom.NOT_APPLICABLE: ["fail"],
    Symptom.UNKNOWN: ["fail"],
}


def remedies(symptom: Symptom, begun: Record) -> list[str]:
    """Return what follows one failure after the other, at most four, with the counters that the runner keeps."""
    given: list[str] = []
    while len(given) < 4:
        answer = troubleshoot(symptom, begun, changed=False, attempts_max=3)
        given.append(answer.remedy.value)
        if answer.remedy is Remedy.RETRY:
            begun = replace(begun, attempts=begun.attempts + 1, retries=begun.retries + 1)
        elif answer.remedy is Remedy.DEFER:
            begun = replace(begun, attempts=begun.attempts + 1, deferrals=begun.deferrals + 1)
        elif answer.remedy is Remedy.WAIT:
            begun = replace(begun, deferrals=begun.deferrals + 1)
        else:
            break
    return given


@pytest.mark.clause("V.D Troubleshooting", "order")
@pytest.mark.parametrize("symptom", EXPECTED)
def test_remedies_come_in_the_sops_order_and_are_bounded(symptom: Symptom) -> None:
    assert remedies(symptom, record(AssignmentState.DOWNLOADING, attempts=1)) == EXPECTED[symptom]


@pytest.mark.parametrize("symptom", Symptom)
def test_whatever_may_have_changed_the_computer_is_rolled_back(symptom: Symptom) -> None:
    begun = record(AssignmentState.INSTALLING, attempts=1, commits=1)

    assert troubleshoot(symptom, begun, changed=True, attempts_max=3).remedy is Remedy.ROLL_BACK


def test_refusal_during_the_install_fails() -> None:
    begun = record(AssignmentState.INSTALLING, attempts=1)

    assert troubleshoot(Symptom.SIGNATURE_INVALID, begun, changed=False, attempts_max=3).remedy is Remedy.FAIL


def test_staged_file_that_does_not_match_is_fetched_anew() -> None:
    begun = record(AssignmentState.INSTALLING, attempts=1)

    answer = troubleshoot(Symptom.DOWNLOAD_DIGEST_MISMATCH, begun, changed=False, attempts_max=3)

    assert answer.remedy is Remedy.DEFER


def test_waiting_has_an_end_too() -> None:
    begun = record(AssignmentState.DOWNLOADING, attempts=1, deferrals=limits.deferrals_max)

    assert troubleshoot(Symptom.DISK_FULL, begun, changed=False, attempts_max=3).remedy is Remedy.FAIL


def test_first_pause_is_at_most_a_second_and_none_is_longer_than_a_minute() -> None:
    assert max(back_off_seconds(1) for _ in range(200)) <= 1
    assert max(back_off_seconds(50) for _ in range(200)) <= 60
