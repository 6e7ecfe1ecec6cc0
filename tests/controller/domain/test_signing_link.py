"""Leave to sign once: how long, for what, and how a link says that it is good no more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import signing_link
from sopwith_controller.domain.entities import SopState
from sopwith_controller.domain.errors import InvalidInputError, RefusedError
from sopwith_controller.domain.sop_life_entities import SigningLink
from tests.builders import NOON, sop_revision

REVISION = sop_revision(state=SopState.IN_REVIEW)
DAY = timedelta(days=1)
LINK = SigningLink(
    "sl-1", "ab" * 32, "page", REVISION.id, 1, REVISION.document_sha256, "p-1", "authority", "owner", NOON, NOON + DAY
)


def test_link_is_good_for_a_week_unless_told_otherwise():
    assert signing_link.life_of(None) == timedelta(days=7)
    assert signing_link.life_of(DAY) == DAY


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=31)])
def test_link_without_life_or_for_longer_than_a_month_is_refused(life):
    with pytest.raises(InvalidInputError, match="at most 30 days"):
        signing_link.life_of(life)


def test_good_link_is_good():
    assert signing_link.check_good(LINK, REVISION, NOON) == LINK


@pytest.mark.parametrize(
    ("link", "revision", "words"),
    [
        (None, REVISION, "not known here"),
        (replace(LINK, used_time=NOON), REVISION, "was used on"),
        (replace(LINK, expires_time=NOON), REVISION, "ended on"),
        (LINK, None, "was changed after"),
        (LINK, replace(REVISION, document_sha256="cd" * 32), "was changed after"),
        (LINK, replace(REVISION, state=SopState.DRAFT), "is DRAFT; only a revision in review"),
    ],
)
def test_link_that_is_good_no_more_says_why_and_what_to_do(link, revision, words):
    with pytest.raises(RefusedError, match=words) as caught:
        signing_link.check_good(link, revision, NOON)

    assert caught.value.refusal.clause == "VII"
    assert "sopwith sop sign ID --link NAME" in caught.value.remedy


def anew(challenge, link, profile="regulated", person="p-1", revision=REVISION):
    signing_link.check_signed_anew(challenge, link, person_id=person, revision=revision, profile=profile, now=NOON)


def test_regulated_profile_wants_each_signature_anew():
    with pytest.raises(RefusedError, match="asks for a code at each signature") as caught:
        anew("", None)

    assert caught.value.remedy == "sopwith sop sign SU-SOP-001 --send-code, then the same with --code CODE"


@pytest.mark.parametrize("profile", ["standard", "evaluation"])
def test_other_profiles_ask_for_nothing(profile):
    anew("", None, profile)


@pytest.mark.parametrize("profile", ["standard", "regulated"])
def test_what_was_signed_with_must_be_good_in_every_profile(profile):
    anew("sl-1", LINK, profile)
    with pytest.raises(RefusedError, match="not known"):
        anew("sl-9", None, profile)
    with pytest.raises(RefusedError, match="somebody else"):
        anew("sl-1", LINK, profile, person="p-2")
    with pytest.raises(RefusedError, match="another revision"):
        anew("sl-1", replace(LINK, revision=2), profile)
