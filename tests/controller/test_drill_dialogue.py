"""What a drill says and does with what is typed; a whole drill with its real fleet is `tests/system/test_drill.py`."""

from typing import Any

import pytest

from sopwith_controller.desk.demo_stage import Result
from sopwith_controller.desk.drill import GivenUpError, Scene, _go_through, _show, tasks

ACKNOWLEDGE, FIND = tasks("SU-SOP-001 revision 1")[:2]


class Fleet:
    """Answers what is typed; it has no computers."""

    sop_id = "SU-SOP-001"

    def __init__(self) -> None:
        self.ran: list[tuple[str, ...]] = []
        self.interrupts = 0

    def typed(self, *arguments: str) -> Result:
        if self.interrupts:
            self.interrupts -= 1
            raise KeyboardInterrupt
        self.ran.append(arguments)
        return Result("sopwith", 0, "pc3  PENDING_REBOOT\n", "EVALUATION: a trial, not for real use\n")

    def sop(self) -> Any:
        done = ("sop", "acknowledge", self.sop_id, "--yes") in self.ran
        return type("Sop", (), {"acknowledged_by": ["otto"] if done else []})


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def through(fleet: Fleet, task: Any, *lines: str) -> tuple[str, str]:
    """Return how a task was answered by these lines, and what was said."""
    said: list[str] = []
    typed = iter(lines)
    scene = Scene(fleet)  # type: ignore[arg-type]
    how = _go_through(scene, task, lambda _: next(typed, None), said.append)
    return how, "\n".join(said)


def test_what_a_command_prints_is_shown_without_the_line_about_the_throw_away_fleet(fleet: Fleet) -> None:
    how, said = through(fleet, FIND, "sopwith computer show pc3", "PENDING_REBOOT")

    assert how == "done"
    assert said == "  pc3  PENDING_REBOOT"


def test_show_shows_what_its_commands_print(fleet: Fleet) -> None:
    said: list[str] = []

    assert _show(Scene(fleet), FIND, said.append) == "shown"  # type: ignore[arg-type]

    assert said == ["  $ sopwith computer show pc3", "  pc3  PENDING_REBOOT", "  > PENDING_REBOOT"]


def test_an_interrupted_command_ends_and_the_drill_goes_on(fleet: Fleet) -> None:
    fleet.interrupts = 1

    command = "sopwith sop acknowledge SU-SOP-001 --yes"
    how, said = through(fleet, ACKNOWLEDGE, command, "hint", command)

    assert how == "done after a hint"
    assert "interrupted; the drill goes on" in said


def test_wrong_words_are_answered_and_a_drill_that_is_left_records_nothing(fleet: Fleet) -> None:
    how, said = through(
        fleet, FIND, "DISK_FULL", 'sopwith "', "sopwith demo", "sopwith --context=x status", "PENDING_REBOOT"
    )

    assert how == "done"
    assert "no; look again" in said
    assert "this cannot be read" in said
    assert said.count("a drill stays on its own fleet") == 2
    assert fleet.ran == []
    with pytest.raises(GivenUpError, match="find why a computer is not ready"):
        through(fleet, FIND, "quit")
    with pytest.raises(GivenUpError):
        through(fleet, FIND)
