"""Running programs: limits, output, and what is left of them."""

import time
from pathlib import Path

import pytest

from sopwith_agent.adapters.processes import escape_text, run_program
from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom


def test_exit_code_and_both_outputs_are_kept_in_order() -> None:
    finished = run_program(["/bin/sh", "-c", "echo one; echo two >&2; exit 5"], timeout_seconds=10)

    assert (finished.exit_code, finished.output, finished.ok) == (5, "one | two", False)


def test_end_of_a_long_output_is_kept() -> None:
    finished = run_program(["/bin/sh", "-c", "seq 1 5000"], timeout_seconds=10, output_max=100)

    assert finished.output.startswith("... ")
    assert finished.output.endswith("| 4999 | 5000")
    assert len(finished.output) < 250


def test_endless_output_is_ended_long_before_the_time_limit() -> None:
    started = time.monotonic()

    finished = run_program(["/bin/sh", "-c", "yes"], timeout_seconds=100)

    assert not finished.ok
    assert time.monotonic() - started < 30


def test_program_that_ignores_the_request_to_end_is_ended() -> None:
    started = time.monotonic()

    finished = run_program(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], timeout_seconds=0.5)

    assert finished.timed_out
    assert finished.exit_code == -9
    assert time.monotonic() - started < 10


def test_program_reads_no_input() -> None:
    assert run_program(["/bin/cat"], timeout_seconds=10).ok


def test_missing_program_and_forbidden_program_are_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")

    with pytest.raises(StepError, match="cannot be started"):
        run_program([tmp_path / "absent"], timeout_seconds=1)
    with pytest.raises(StepError) as forbidden:
        run_program([tmp_path / "text"], timeout_seconds=1)

    assert forbidden.value.symptom is Symptom.PERMISSION_DENIED


def test_nul_in_an_argument_is_told() -> None:
    with pytest.raises(StepError, match="cannot be started"):
        run_program(["/bin/echo", "a\0b"], timeout_seconds=1)


def test_escaped_text_is_one_harmless_line() -> None:
    assert escape_text("a\r\n\n  b\x1b[2J\u202ec\x00") == "a | b\\x1b[2J\\x202ec\\x00"
