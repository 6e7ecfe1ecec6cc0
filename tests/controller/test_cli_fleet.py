"""Computers, freezes and incidents from the command line, against real mTLS."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from sopwith.v1 import computer_pb2, fleet_service_pb2, rollout_service_pb2
from sopwith_controller.cli import computer, freeze, incident, person, token
from tests.controller.fleet_port import FINGERPRINT, Memory
from tests.controller.test_cli_people import Run, fleet, issuer, owner, sopwith

__all__ = ["fleet", "issuer", "owner", "sopwith"]

COMPUTER_KEYS = {
    "id",
    "name",
    "state",
    "labels",
    "facts",
    "connected",
    "asleep",
    "last_seen_time",
    "installed",
    "readiness",
}
INCIDENT_KEYS = {
    "id",
    "severity",
    "state",
    "level",
    "symptom",
    "rollout",
    "computers",
    "detected_time",
    "notifications",
    "acknowledged_by",
}


def test_computers_are_listed_in_the_contracts_shape(sopwith: Run, owner: Path, fleet: tuple[str, Memory]) -> None:
    code, out, _ = sopwith("--context", owner, "computer", "list", "--selector", "site=berlin", "-o", "json")

    first, second = json.loads(out)
    assert code == 0
    assert first.keys() >= COMPUTER_KEYS
    assert (first["name"], first["state"], first["installed"]) == ("pc1", "ACCEPTED", {"hello": "2.10-3"})
    assert first["readiness"]["verdict"] == "NOT_READY"
    assert first["readiness"]["reasons"] == [{"code": "DISK_FULL", "message": "1 MiB is free", "remedy": "free 50 MiB"}]
    assert (second["readiness"], second["facts"], second["last_seen_time"]) == (None, None, "")
    assert fleet[1].requests[-1].selector == "site=berlin"


def test_computer_is_shown_with_what_stands_in_the_way(sopwith: Run, owner: Path) -> None:
    code, out, _ = sopwith("--context", owner, "computer", "show", "pc1")

    assert code == 0
    assert "NOT_READY" in out
    assert "free 50 MiB" in out
    assert FINGERPRINT in out


def test_unknown_computer_is_named_with_the_mend(sopwith: Run, owner: Path) -> None:
    code, _, err = sopwith("--context", owner, "computer", "show", "pc9")

    assert code == 1
    assert "there is no computer pc9" in err
    assert "sopwith computer list" in err


def test_readiness_fits_a_narrow_terminal(
    sopwith: Run, owner: Path, fleet: tuple[str, Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    checks = fleet[1].computers["pc1"].readiness.checks
    checks.add(
        name="source_reachable",
        result=computer_pb2.CHECK_RESULT_PASSED,
        measured="name, TCP and TLS within 12 ms by way of proxy.example",
        required="at most 2000 ms to source.example, certificate of the fleet",
    )

    _, out, _ = sopwith("--context", owner, "computer", "readiness", "pc1")

    assert max(len(line) for line in out.splitlines()) <= 80, out
    assert "PASSED" in out
    assert "proxy.example" in out


@pytest.mark.clause("IV Equipment", "readiness")
def test_readiness_is_measured_now_and_says_when_it_was_not(sopwith: Run, owner: Path) -> None:
    fresh = sopwith("--context", owner, "computer", "readiness", "pc1", "-o", "json")
    stale = sopwith("--context", owner, "computer", "readiness", "pc2")

    assert json.loads(fresh[1])["fresh"] is True
    assert "pc2 did not answer now" in stale[2]
    assert "not measured yet" in stale[1]


def test_labels_are_set_and_removed(sopwith: Run, owner: Path) -> None:
    code, out, _ = sopwith(
        "--context", owner, "computer", "label", "pc1", "ring=canary", "--remove", "site", "-o", "json"
    )

    assert (code, json.loads(out)["labels"]) == (0, {"ring": "canary"})


def test_accepting_shows_the_key_and_accepts_no_other(sopwith: Run, owner: Path, fleet: tuple[str, Memory]) -> None:
    fleet[1].computers["pc2"].key_fingerprint = FINGERPRINT

    code, out, err = sopwith("--context", owner, "computer", "accept", "pc2", "-o", "json")

    assert (code, json.loads(out)["state"]) == (0, "ACCEPTED")
    assert FINGERPRINT in err
    assert fleet[1].requests[-1].key_fingerprint == FINGERPRINT


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("reject", "pc2", "--reason", "not ours"), "REJECTED"),
        (("retire", "pc1", "--yes", "--reason", "sold"), "RETIRED"),
        (("quarantine", "pc1", "--reason", "odd"), "QUARANTINED"),
        (("quarantine", "pc1", "--release", "--reason", "looked at"), "ACCEPTED"),
    ],
)
def test_computer_is_taken_out_with_a_recorded_reason(
    sopwith: Run, owner: Path, fleet: tuple[str, Memory], words: tuple[str, ...], state: str
) -> None:
    code, out, _ = sopwith("--context", owner, "computer", *words, "-o", "json")

    assert (code, json.loads(out)["state"]) == (0, state)
    assert fleet[1].requests[-1].reason == words[-1]


@pytest.mark.parametrize("words", [("retire", "pc1", "--yes"), ("quarantine", "pc1"), ("label", "pc1"), ("label",)])
def test_act_without_what_it_needs_ends_with_2(sopwith: Run, owner: Path, words: tuple[str, ...]) -> None:
    code, _, _ = sopwith("--context", owner, "computer", *words)

    assert code == 2


def test_incidents_are_listed_in_the_contracts_shape(sopwith: Run, owner: Path) -> None:
    code, out, _ = sopwith("--context", owner, "incident", "list", "-o", "json")

    (found,) = json.loads(out)
    assert code == 0
    assert found.keys() >= INCIDENT_KEYS
    assert found["computers"] == ["pc1", "pc2", "pc3", "pc4"]
    assert found["notifications"] == [
        {"channel": "smtp", "target": "manager@localhost", "dispatched_time": "", "delivered": True, "error": ""}
    ]


@pytest.mark.parametrize("words", [("computer", "retire", "pc1", "--yes"), ("incident", "resolve", "i-1")])
def test_role_is_looked_at_before_a_missing_reason(
    sopwith: Run, owner: Path, fleet: tuple[str, Memory], words: tuple[str, ...]
) -> None:
    fleet[1].refusal = rollout_service_pb2.Refusal(gate="operator_role", clause="III", reason="a viewer may not")

    code, _, _ = sopwith("--context", owner, *words)

    assert code == 4


def test_incident_is_taken_noted_and_resolved(sopwith: Run, owner: Path) -> None:
    first = sopwith("--context", owner, "incident", "acknowledge", "i-1", "-o", "json")
    second = sopwith("--context", owner, "incident", "acknowledge", "i-1")
    noted = sopwith("--context", owner, "incident", "note", "i-1", "asked the vendor", "--guidance", "-o", "json")
    unreasoned = sopwith("--context", owner, "incident", "resolve", "i-1")
    resolved = sopwith("--context", owner, "incident", "resolve", "i-1", "--reason", "mended", "-o", "json")
    shown = sopwith("--context", owner, "incident", "show", "i-1")

    assert (json.loads(first[1])["state"], second[0]) == ("ACKNOWLEDGED", 0)
    assert "pc1, pc2, pc3 and 1 more" in second[1]
    assert json.loads(noted[1])["notes"][0]["guidance"] is True
    assert unreasoned[0] == 2
    assert json.loads(resolved[1])["resolution"] == "mended"
    assert "asked the vendor" in shown[1]


def test_freeze_is_started_listed_and_ended(sopwith: Run, owner: Path, fleet: tuple[str, Memory]) -> None:
    started = sopwith(
        "--context", owner, "freeze", "start", "--yes", "--reason", "quarter", "--until", "2026-12-31T23:00:00Z",
        "-o", "json",
    )  # fmt: skip
    request = fleet[1].requests[-1]
    listed = sopwith("--context", owner, "freeze", "list")
    ended = sopwith("--context", owner, "freeze", "end", "--yes", "--reason", "over", "-o", "json")

    assert json.loads(started[1])["end_time"] == "2026-12-31T23:00:00Z"
    assert (request.reason, len(request.request_id)) == ("quarter", 36)
    assert "quarter" in listed[1]
    assert json.loads(ended[1])[0]["active"] is False


def test_what_stays_frozen_is_said_and_a_clock_s_time_is_confirmed_by_a_flag(
    sopwith: Run, owner: Path, fleet: tuple[str, Memory]
) -> None:
    sopwith("--context", owner, "freeze", "start", "--yes", "--reason", "quarter")
    code, _, told = sopwith("--context", owner, "freeze", "end", "f-9", "--yes", "--reason", "x")
    sopwith("--context", owner, "freeze", "end", "--confirm-time", "--yes", "--reason", "x")
    ends = [one for one in fleet[1].requests if isinstance(one, fleet_service_pb2.EndFreezeRequest)]

    assert code == 0
    assert re.fullmatch(r"No freeze was ended.\nstill in force: f-1, by \S+: quarter\n", told)
    assert [(one.id, one.confirm_time) for one in ends] == [("f-9", False), ("", True)]


def test_a_freeze_may_begin_later(sopwith: Run, owner: Path, fleet: tuple[str, Memory]) -> None:
    sopwith("--context", owner, "freeze", "start", "--yes", "--reason", "x", "--at", "2h", "--until", "5h")
    request = fleet[1].requests[-1]

    assert request.end_time.seconds - request.start_time.seconds == pytest.approx(3 * 3600, abs=5)


def test_a_calendar_is_imported_with_its_times(
    sopwith: Run, owner: Path, fleet: tuple[str, Memory], tmp_path: Path
) -> None:
    file = tmp_path / "plant.ics"
    day = (datetime.now(UTC) + timedelta(days=9)).strftime("%Y%m%d")
    event = f"BEGIN:VEVENT\nUID:1\nSUMMARY:inventory\nDTSTART;VALUE=DATE:{day}\nEND:VEVENT"
    file.write_text(f"BEGIN:VCALENDAR\n{event}\nEND:VCALENDAR\n")

    code, out, said = sopwith("--context", owner, "freeze", "import", file, "--yes", "-o", "json")
    request = fleet[1].requests[-1]
    file.write_text(f"BEGIN:VCALENDAR\n{event.replace(day, 'soon')}\nEND:VCALENDAR\n")
    broken = sopwith("--context", owner, "freeze", "import", file, "--dry-run")
    nowhere = sopwith("--context", owner, "freeze", "import", file, "--time-zone", "Mars")

    assert code == 0
    assert (request.calendar, [one.reason for one in request.freezes]) == ("plant", ["inventory"])
    assert json.loads(out)[0]["origin"] == "plant"
    assert "plant: 1 new" in said
    assert broken[0] == 1
    assert f"{file}:5:" in broken[2]
    assert nowhere[0] == 2


def test_freeze_with_an_end_that_is_no_time_ends_with_2(sopwith: Run, owner: Path, fleet: tuple[str, Memory]) -> None:
    for until in ("tomorrow", "2026-13-41T00:00:00Z"):
        code, _, _ = sopwith("--context", owner, "freeze", "start", "--yes", "--reason", "x", "--until", until)
        assert code == 2
    assert fleet[1].requests == []


def test_text_of_a_computer_paints_no_terminal(sopwith: Run, owner: Path, fleet: tuple[str, Memory]) -> None:
    fleet[1].computers["pc1"].labels["site"] = "\x1b[2Jgone\nrow"

    for output in ("table", "wide", "name"):
        _, out, _ = sopwith("--context", owner, "computer", "list", "-o", output)
        assert "\x1b" not in out


@pytest.mark.parametrize("group", [computer.group, freeze.group, incident.group, person.group, token.group])
def test_every_verb_shows_an_example_and_begins_its_help_with_a_verb(group: click.Group) -> None:
    for name, command in group.commands.items():
        assert f"sopwith {group.name} {name}" in (command.epilog or ""), name
        assert command.help
        assert command.help[0].isupper()
