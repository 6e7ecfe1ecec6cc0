"""Incidents: how grave, how they widen and climb, what the message says."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import escalation, incident, incident_message
from sopwith_controller.domain.errors import InvalidInputError, RefusedError, TransitionNotAllowedError
from sopwith_controller.domain.incident import TRANSITIONS, IncidentCommand
from sopwith_controller.domain.incident_entities import Incident, IncidentState
from sopwith_formats.sop_policy import (
    Contact,
    EscalationLevel,
    EscalationRule,
    PpeRule,
    Significant,
    TroubleshootingRow,
)
from sopwith_formats.vocabulary import Outcome, Symptom
from tests.controller.domain.builders import HOUR, MINUTE, NOW, SECOND, a_policy

CONTACTS = (
    Contact("it_manager", "mia", "mia@example.org"),
    Contact("owner", "olga", "olga@example.org"),
    Contact("authority", "anton", "anton@example.org"),
)


def an_incident(severity: int = 2, **changes) -> Incident:
    raised = incident.raise_incident(
        "i-1",
        severity=severity,
        symptom="HEALTH_CHECK_FAILED",
        summary="hello@2 did not become healthy on pc1",
        now=NOW,
        rollout_id="r-1",
        release="hello@2",
        computers=["pc1"],
    )
    return replace(raised, **changes)


def begun(severity: int = 2, profile: str = "standard") -> Incident:
    return escalation.begin(an_incident(severity), None, CONTACTS, profile, NOW).incident


def due(at: timedelta, of: Incident, profile: str = "standard") -> escalation.EscalationStep | None:
    return escalation.due_step(of, None, CONTACTS, profile, NOW + at)


@pytest.mark.parametrize(("state", "command"), list(itertools.product(IncidentState, IncidentCommand)))
def test_whatever_the_table_does_not_list_is_refused(state: IncidentState, command: IncidentCommand):
    one = an_incident(state=state, resolved_by="mia")

    if (state, command) in TRANSITIONS:
        assert incident.next_state(one, command) is TRANSITIONS[state, command]
        return
    with pytest.raises(TransitionNotAllowedError, match=f"i-1 is {state}"):
        incident.next_state(one, command)


@pytest.mark.clause("V.E Report at once", "predicates")
@pytest.mark.parametrize(
    ("outcome", "symptom", "mid_install", "severity"),
    [
        (Outcome.ROLLED_BACK, Symptom.HEALTH_CHECK_FAILED, True, 2),
        (Outcome.FAILED, Symptom.SIGNATURE_INVALID, False, 1),
        (Outcome.FAILED, Symptom.ROLLBACK_FAILED, True, 1),
        (Outcome.UNREACHABLE, Symptom.LOST_CONTACT, True, 1),
        (Outcome.UNREACHABLE, Symptom.LOST_CONTACT, False, 0),
        (Outcome.SUCCEEDED, "", True, 0),
        (Outcome.SKIPPED, Symptom.NOT_APPLICABLE, False, 0),
        (Outcome.CANCELLED, "", False, 0),
        (Outcome.NOT_STARTED, "", False, 0),
        (Outcome.NOT_READY, Symptom.SOURCE_NOT_DESIGNATED, False, 0),
        ("", Symptom.METADATA_EXPIRED, False, 1),
        ("", Symptom.DISK_FULL, False, 0),
    ],
)
def test_severity_follows_outcome_and_symptom(outcome: str, symptom: str, mid_install: bool, severity: int):
    assert incident.severity_of_outcome(outcome, symptom, mid_install=mid_install) == severity


@pytest.mark.clause("V.E Report at once", "predicates")
def test_sop_may_raise_a_severity_but_not_lower_it():
    policy = a_policy(
        significant=(
            Significant(1, "disks", symptoms=("DISK_FULL",)),
            Significant(3, "all failures", outcomes=("FAILED", "NOT_READY")),
        )
    )

    assert incident.severity_of_outcome(Outcome.FAILED, "DISK_FULL", policy) == 1
    assert incident.severity_of_outcome(Outcome.FAILED, "TIMEOUT", policy) == 2
    assert incident.severity_of_outcome(Outcome.NOT_READY, "USER_BUSY", policy) == 3


def test_equal_failures_are_one_incident():
    first = an_incident()

    assert incident.find_open([first], "r-1", "HEALTH_CHECK_FAILED") is first
    assert incident.find_open([first], "r-2", "HEALTH_CHECK_FAILED") is None
    resolved = incident.resolve(first, person="mia", reason="mended", now=NOW)
    assert incident.find_open([resolved], "r-1", "HEALTH_CHECK_FAILED") is None


def test_incident_widens_by_new_computers_and_graver_ones():
    first = an_incident()

    assert incident.widen(first, ["pc1"]) is first
    assert incident.widen(first, ["pc1", "pc2", "pc2"]).computers == ("pc1", "pc2")
    assert incident.widen(first, ["pc1"], severity=1).severity == 1
    assert incident.widen(first, ["pc2"], severity=3).severity == 2


def test_acknowledging_twice_keeps_the_first_name():
    once = incident.acknowledge(begun(), person="mia", now=NOW + MINUTE)
    twice = incident.acknowledge(once, person="olga", now=NOW + HOUR)

    assert twice is once
    assert (once.acknowledged_by, once.due_time) == ("mia", None)


def test_reopened_incident_waits_for_somebody_again():
    taken = incident.acknowledge(an_incident(), person="mia", now=NOW)

    again = incident.reopen(taken, level=2, due_time=NOW + HOUR)

    assert (again.state, again.level, again.acknowledged_by) == (IncidentState.OPEN, 2, "")


def test_notes_and_resolution_need_words():
    noted = incident.note(an_incident(), person="mia", text=" retry at night ", guidance=True, now=NOW)
    assert noted.notes[0].text == "retry at night"
    assert noted.notes[0].guidance

    with pytest.raises(InvalidInputError):
        incident.note(an_incident(), person="mia", text=" ", guidance=False, now=NOW)
    with pytest.raises(InvalidInputError):
        incident.resolve(an_incident(), person="mia", reason=" ", now=NOW)


def test_first_level_is_told_at_once():
    step = escalation.begin(an_incident(), None, CONTACTS, "standard", NOW)

    assert [(r.role, r.channel, r.target) for r in step.tell] == [("it_manager", "smtp", "mia@example.org")]
    assert (step.cause, step.computers) == ("raised", ("pc1",))
    assert step.incident.told_computers == ("pc1",)
    assert step.incident.due_time == NOW + HOUR
    assert escalation.due_time(step.incident, None, "standard") == NOW + HOUR


@pytest.mark.clause("V.E Report at once", "climbs")
def test_severity_1_is_repeated_and_climbs_until_somebody_acknowledges():
    one = begun(1, "regulated")
    told = []
    for minutes in range(1, 120):
        step = due(minutes * MINUTE, one, "regulated")
        if step:
            one = step.incident
            told.append((minutes, step.cause, [r.role for r in step.tell]))

    assert told == [
        (15, "repeated", ["it_manager"]),
        (30, "climbed", ["it_manager", "owner"]),
        (45, "repeated", ["it_manager"]),
        (60, "climbed", ["authority"]),
    ]
    assert escalation.due_time(one, None, "regulated") is None


def test_level_of_another_profile_does_not_exist():
    assert len(escalation.levels_of(escalation.DEFAULT_RULES[1], "standard")) == 2


def test_steps_that_fell_due_meanwhile_are_one_message():
    step = due(3 * HOUR, begun())

    assert step is not None
    assert (step.cause, sorted(r.role for r in step.tell)) == ("climbed", ["it_manager", "owner"])
    assert due(3 * HOUR, step.incident) is None


def test_nothing_is_due_early_nor_after_an_acknowledgement():
    one = begun()

    assert due(MINUTE, one) is None
    taken = incident.acknowledge(one, person="mia", now=NOW + MINUTE)
    assert due(5 * HOUR, taken) is None
    assert escalation.due_time(taken, None, "standard") is None


def test_more_computers_are_told_in_groups_of_five_minutes_even_when_taken():
    taken = incident.acknowledge(begun(), person="mia", now=NOW + SECOND)
    wider = incident.widen(taken, ["pc2", "pc3"])

    assert due(4 * MINUTE, wider) is None
    assert escalation.due_time(wider, None, "standard") == NOW + 5 * MINUTE
    step = due(5 * MINUTE, wider)
    assert step is not None
    assert (step.cause, step.computers) == ("widened", ("pc2", "pc3"))
    assert due(20 * MINUTE, step.incident) is None


def test_incident_without_a_group_time_still_groups():
    wider = incident.widen(begun(1), ["pc2"])

    assert due(4 * MINUTE, wider) is None
    assert due(5 * MINUTE, wider) is not None


def test_resolved_incident_says_nothing_more():
    resolved = incident.resolve(incident.widen(begun(), ["pc2"]), person="mia", reason="mended", now=NOW)

    assert due(HOUR, resolved) is None
    assert escalation.due_time(resolved, None, "standard") is None


def test_roles_told_besides_the_first_level_hear_of_it_at_once_and_once():
    besides = escalation.begin(an_incident(), None, CONTACTS, "standard", NOW, also=("it_manager", "owner"))
    alone = escalation.begin(an_incident(3), None, CONTACTS, "standard", NOW, also=("owner",))

    assert [one.role for one in besides.tell] == ["it_manager", "owner"]
    assert [(one.role, one.channel) for one in alone.tell] == [("owner", "smtp")]


def test_level_that_nobody_can_be_reached_on_passes_on():
    contacts = (Contact("it_manager", "mia"), Contact("owner", "olga", "olga@example.org"))

    step = escalation.begin(an_incident(), None, contacts, "standard", NOW)

    assert [r.name for r in step.tell] == ["olga"]
    assert escalation.begin(an_incident(), None, (), "standard", NOW).tell == ()


def test_severity_3_is_told_by_the_digest_only():
    step = escalation.begin(an_incident(3), None, CONTACTS, "standard", NOW)

    assert step.tell == ()
    assert due(48 * HOUR, step.incident) is None


def test_ladder_of_the_sop_counts_with_all_its_channels():
    rule = EscalationRule(2, (EscalationLevel(0, ("owner",), ("smtp", "command")),), 60, 0, group_every_seconds=60)
    policy = a_policy(escalation=(rule,))

    step = escalation.begin(an_incident(), policy, CONTACTS, "standard", NOW)

    assert [(r.channel, r.target) for r in step.tell] == [("smtp", "olga@example.org"), ("command", "olga")]
    assert step.incident.due_time is None
    wider = incident.widen(step.incident, ["pc2"])
    assert escalation.due_time(wider, policy, "standard") == NOW + MINUTE


def test_message_names_release_symptom_computers_and_the_line_that_acknowledges():
    subject, body = incident_message.render(begun(), organization="Example", computers=["pc1"], rollout_name="hello-2")

    assert subject == "[Sopwith severity 2] HEALTH_CHECK_FAILED hello@2 on 1 computer"
    for line in ("hello@2", "HEALTH_CHECK_FAILED", "    pc1", "    sopwith incident acknowledge i-1", "hello-2 (r-1)"):
        assert line in body
    assert "\n\n    sopwith incident acknowledge i-1\n" in body


def test_message_about_more_computers_lists_only_the_new_ones():
    wider = incident.widen(an_incident(), ["pc2"])

    subject, body = incident_message.render(wider, organization="", computers=["pc2"], cause="widened")

    assert subject.startswith("[Sopwith severity 2] More computers: ")
    assert "New computers (1 of 2):\n    pc2" in body
    assert "    pc1" not in body


def test_long_list_of_computers_is_cut_and_says_so():
    many = incident.widen(an_incident(), [f"pc{n}" for n in range(1, 501)])

    _, body = incident_message.render(many, organization="Example", computers=many.computers)

    assert "and 450 more" in body


def test_incident_without_computers_or_rollout_has_its_message_too():
    one = incident.raise_incident("i-2", severity=1, symptom="LOG_INTEGRITY", summary="entry 7 was changed", now=NOW)

    subject, body = incident_message.render(one, organization="Example", computers=[])

    assert subject == "[Sopwith severity 1] LOG_INTEGRITY"
    assert "Computers" not in body
    assert "rollout status" not in body


def test_unknown_meaning_leaves_the_symptom_alone():
    one = an_incident(symptom="SOMETHING_NEW")

    assert "SOMETHING_NEW\n" in incident_message.render(one, organization="", computers=[])[1]


@pytest.mark.clause("V.C PPE", "hands-on")
def test_work_at_a_computer_is_not_closed_before_its_equipment_is_acknowledged():
    rules = (PpeRule("remote", ()), PpeRule("hands_on", ("Closed shoes",)))
    row = TroubleshootingRow("ROLLBACK_FAILED", ("quarantine", "hands_on_task"), "escalate", 0, 60, (), 1)
    policy = replace(a_policy(), ppe=rules, troubleshooting=(row,))
    hands_on, remote = an_incident(symptom="ROLLBACK_FAILED"), an_incident()

    equipment = incident.hands_on_equipment(hands_on, policy)

    assert equipment == ("Closed shoes",)
    assert incident.hands_on_equipment(remote, policy) == ()
    assert incident.hands_on_equipment(hands_on, None) == ()
    incident.check_equipment(hands_on, equipment, acknowledged=True)
    incident.check_equipment(remote, (), acknowledged=False)
    with pytest.raises(RefusedError, match="Closed shoes") as caught:
        incident.check_equipment(hands_on, equipment, acknowledged=False)
    assert "--ppe-acknowledged" in caught.value.refusal.remedy
