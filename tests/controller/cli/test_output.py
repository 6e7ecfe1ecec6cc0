"""JSON on the command line is what the contract says; tables cannot be painted by a computer."""

from datetime import UTC, datetime

import pytest

from sopwith.v1 import computer_pb2, incident_pb2, rollout_pb2, sop_pb2
from sopwith_controller.cli.output import emit, enum_name, escape, to_document


def test_every_field_is_printed_and_unset_ones_are_empty():
    document = to_document(computer_pb2.Computer(name="pc1"))

    assert document["name"] == "pc1"
    assert document["id"] == document["state"] == document["last_seen_time"] == ""
    assert document["labels"] == document["installed"] == {}
    assert document["readiness"] is None
    assert document["facts"] is None
    assert document["connected"] is False


def test_enum_values_lose_their_type_prefix():
    assert to_document(sop_pb2.Sop(state=sop_pb2.SOP_STATE_EFFECTIVE))["state"] == "EFFECTIVE"
    assert (
        to_document(computer_pb2.Check(result=computer_pb2.CHECK_RESULT_NOT_APPLICABLE))["result"] == "NOT_APPLICABLE"
    )
    assert enum_name(rollout_pb2.Rollout(state=rollout_pb2.ROLLOUT_STATE_RUNNING), "state") == "RUNNING"


def test_counts_are_numbers_and_times_are_utc():
    rollout = rollout_pb2.Rollout(counts=rollout_pb2.Counts(succeeded=4, rolled_back=1))
    rollout.created_time.FromDatetime(datetime(2026, 11, 22, 2, 14, 35, 120000, tzinfo=UTC))

    document = to_document(rollout)

    assert document["counts"]["succeeded"] == 4
    assert document["counts"]["failed"] == 0
    assert document["created_time"] == "2026-11-22T02:14:35.120Z"


def test_facts_keep_whole_numbers_whole():
    computer = computer_pb2.Computer()
    computer.facts.update({"cpus": 2, "load": 0.5, "names": ["a"], "memory": {"bytes": 25_000_000_000}})

    facts = to_document(computer)["facts"]

    assert repr(facts["cpus"]) == "2"
    assert facts["load"] == 0.5
    assert facts["memory"]["bytes"] == 25_000_000_000


def test_lists_of_messages_are_arrays():
    incident = incident_pb2.Incident(computers=["pc1"], notifications=[incident_pb2.Notification(channel="smtp")])

    document = to_document(incident)

    assert document["computers"] == ["pc1"]
    assert document["notifications"][0]["delivered"] is False
    assert document["notifications"][0]["dispatched_time"] == ""


def test_an_empty_list_prints_as_an_empty_array(capsys):
    emit("json", [], (), name=lambda row: row.id)

    assert capsys.readouterr().out.strip() == "[]"


@pytest.mark.parametrize("text", ["\033[2Jgone", "two\nlines", "back\rwards", "bell\a"])
def test_control_characters_are_made_visible(text):
    shown = escape(text)

    assert shown.isprintable()
    assert "\\" in shown
