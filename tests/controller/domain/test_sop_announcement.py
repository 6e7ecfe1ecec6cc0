"""Making a revision known: what may be announced, to whom, and what the mail says."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import sop_announcement as rules
from sopwith_controller.domain.entities import Person, SopState
from sopwith_controller.domain.errors import InvalidInputError, TransitionNotAllowedError
from tests.builders import NOON, sop_revision

EFFECTIVE = sop_revision(state=SopState.EFFECTIVE, effective_time=NOON)
ANNA = Person("p-1", "anna", ("operator",), email="anna@example.org")
BERT = Person("p-2", "bert", ("operator",))
GONE = Person("p-3", "gone", (), email="gone@example.org", state="REVOKED")
PEOPLE = (ANNA, BERT, GONE)


def check(revision=EFFECTIVE, channel="mail", **changes):
    rules.check_announced(revision, channel, **{"attendees": (), "note": "", "held": None, "now": NOON, **changes})


@pytest.mark.parametrize("state", [SopState.APPROVED, SopState.EFFECTIVE])
def test_signed_revision_is_announced(state):
    check(replace(EFFECTIVE, state=state))
    check(replace(EFFECTIVE, state=state), "meeting", held=NOON - timedelta(days=1))
    check(replace(EFFECTIVE, state=state), "training", attendees=("anna",))


@pytest.mark.parametrize("state", [SopState.DRAFT, SopState.IN_REVIEW, SopState.SUPERSEDED, SopState.RETIRED])
def test_what_is_not_signed_or_over_is_not_announced(state):
    with pytest.raises(TransitionNotAllowedError, match="what is announced is signed"):
        check(replace(EFFECTIVE, state=state))


@pytest.mark.parametrize(
    ("channel", "changes", "words"),
    [
        ("pigeon", {}, "no channel"),
        ("mail", {"note": "x" * 4001}, "at most 4000"),
        ("mail", {"attendees": ("anna",)}, "nobody attends mail"),
        ("mail", {"held": NOON}, "nobody attends mail"),
        ("training", {}, "has attendees"),
        ("meeting", {"held": NOON + timedelta(hours=1)}, "still to come"),
    ],
)
def test_announcement_that_cannot_be_is_refused(channel, changes, words):
    with pytest.raises(InvalidInputError, match=words):
        check(channel=channel, **changes)


def test_mail_to_everybody_reaches_who_has_an_address_and_names_the_others():
    assert rules.choose_recipients(PEOPLE, (), (), "mail") == ((ANNA,), ("bert",))


def test_meeting_is_with_everybody_or_with_those_who_came():
    assert rules.choose_recipients(PEOPLE, (), (), "meeting") == ((ANNA, BERT), ())
    assert rules.choose_recipients(PEOPLE, (), ("bert",), "training") == ((BERT,), ())
    assert rules.choose_recipients(PEOPLE, ("anna",), ("bert", "anna"), "training") == ((ANNA, BERT), ())


@pytest.mark.parametrize(
    ("people", "named", "words"),
    [
        (PEOPLE, ("bert",), "no address is known of bert"),
        (PEOPLE, ("gone",), "nobody on the roster is called gone"),
        (PEOPLE, ("nobody",), "nobody on the roster is called nobody"),
        ((BERT,), (), "would reach nobody"),
    ],
)
def test_recipient_that_cannot_be_told_is_refused(people, named, words):
    with pytest.raises(InvalidInputError, match=words):
        rules.choose_recipients(people, named, (), "mail")


def test_mail_says_what_changed_what_to_do_and_the_digest():
    subject, body = rules.mail_of(EFFECTIVE, "Example", " Read it by Friday. ")

    assert subject == "SU-SOP-001 revision 1 is in effect"
    assert EFFECTIVE.change_description in body
    assert "Read it by Friday." in body
    assert "sopwith sop acknowledge SU-SOP-001" in body
    assert EFFECTIVE.document_sha256 in body


def test_mail_about_a_revision_that_is_still_to_come_says_when():
    later = replace(EFFECTIVE, state=SopState.APPROVED)

    assert rules.mail_of(later, "Example", "")[0] == f"SU-SOP-001 revision 1 takes effect on {NOON:%Y-%m-%d %H:%M} UTC"
    assert rules.mail_of(replace(later, effective_time=None), "Example", "")[0].endswith("takes effect")
