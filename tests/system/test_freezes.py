"""Real agents start nothing in a freeze, scheduled or from a calendar, and go on by themselves after it."""

from datetime import UTC, datetime, timedelta

import pytest

from sopwith_controller.desk.demo_release import write_release
from sopwith_formats.units import format_time, parse_time
from tests.system.fleet import OPERATOR, Fleet, link_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

NAMES = ("pc1", "pc2")
HOLDS = timedelta(seconds=4)
"""So long after the start time nobody may have started: without the freeze everybody starts within a second."""


@pytest.mark.clause("V.C Safety", "freeze")
def test_nothing_starts_in_a_freeze_that_was_scheduled_and_everything_after_it(governed_fleet: Fleet) -> None:
    fleet = governed_fleet
    fleet.computers(*NAMES)
    fleet.publish(write_release(fleet.folder / "lamp-1", "1", shines=True, summary="The first lamp"))
    begins = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=15)
    froze = ("freeze", "start", "--yes", "--reason", "year end", "--at", format_time(begins - timedelta(seconds=1)))
    frozen = fleet.json(*froze, who=OPERATOR)

    started = fleet.start(
        "rollout: lamp-1\nrelease: lamp@1\nsop: SU-SOP-001\nwaves: [{name: all, size: 100%}]\nmax_concurrency: 2\n"
        f"start_time: {format_time(begins)}\n"
    )
    fleet.until("the start time passed", lambda: datetime.now(UTC) > begins + HOLDS)
    in_freeze = {str(one["state"]) for one in fleet.assignments(started)}
    fleet.json("freeze", "end", "--yes", "--reason", "over")
    shown = fleet.finish(started)

    assert frozen["state"] == "COMING"
    assert in_freeze <= {"PENDING", "PREPARING", "DOWNLOADING", "STAGED"}
    assert shown["counts"]["succeeded"] == 2
    assert [link_version(fleet, name) for name in NAMES] == ["1", "1"]
    ended = next(entry for entry in fleet.json("log", "list") if entry["kind"] == "FREEZE_ENDED")
    starts = [entry for entry in fleet.json("log", "list") if entry["kind"] == "ASSIGNMENT_STARTED"]
    assert len(starts) == 2
    assert all(parse_time(entry["time"]) >= parse_time(ended["time"]) for entry in starts)


def test_a_calendar_freezes_the_fleet_and_lets_go_when_it_changes(governed_fleet: Fleet) -> None:
    fleet = governed_fleet
    file = fleet.folder / "plant.ics"
    day = (datetime.now(UTC)).strftime("%Y%m%d")
    later = (datetime.now(UTC) + timedelta(days=40)).strftime("%Y%m%d")
    event = "BEGIN:VEVENT\nUID:1\nSUMMARY:inventory\nDTSTART;VALUE=DATE:{}\nDURATION:P2D\nEND:VEVENT"
    file.write_text(f"BEGIN:VCALENDAR\n{event.format(day)}\nEND:VCALENDAR\n", encoding="utf-8")

    first = fleet.json("freeze", "import", str(file), "--yes", who=OPERATOR)
    again = fleet.json("freeze", "import", str(file), "--yes", who=OPERATOR)
    file.write_text(f"BEGIN:VCALENDAR\n{event.format(later)}\nEND:VCALENDAR\n", encoding="utf-8")
    fleet.json("freeze", "import", str(file), "--yes", who=OPERATOR)
    listed = [freeze for freeze in fleet.json("freeze", "list", who=OPERATOR) if freeze["origin"] == "plant"]

    assert [(freeze["state"], freeze["reason"]) for freeze in first] == [("IN_FORCE", "inventory")]
    assert again == []
    assert [(freeze["id"], freeze["state"]) for freeze in listed] == [(first[0]["id"], "COMING")]
