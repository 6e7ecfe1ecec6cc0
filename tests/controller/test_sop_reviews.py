"""Reviewers' comments and the end of a SOP, through the use cases with real keys."""

import pytest

from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.domain.entities import SopState
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError, RefusedError, TransitionNotAllowedError
from sopwith_controller.services.access import Caller
from sopwith_controller.services.sop_reviews import SopReviews
from tests.controller.sop_fleet import ID, SopFleet, revised

REVIEWER = Caller("person", "p-legal", "legal", frozenset({"reviewer"}))


async def in_review(profile: str = "standard") -> tuple[SopFleet, SopReviews]:
    fleet = await SopFleet().begin(profile)
    return fleet, SopReviews(fleet.database, fleet.clock, RandomIds(), fleet.sops)


async def say(reviews: SopReviews, **changes):
    words = {"question": "accuracy", "text": "Three computers are too many.", "clause": "V.C", "blocking": True}
    return await reviews.comment(REVIEWER, ID, 0, **{**words, **changes})


@pytest.mark.clause("3 Review and approval", "comment")
async def test_open_blocking_comment_takes_nobodys_signature_until_it_is_resolved():
    fleet, reviews = await in_review()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    await fleet.sign("owner", "owner")
    made = await say(reviews)

    with pytest.raises(RefusedError, match=f"legal's comment {made.id}"):
        await fleet.sign("manager", "it_manager")
    await reviews.resolve(fleet.caller("owner"), made.id, "It is two in the next draft; this one stands.")
    await fleet.sign("manager", "it_manager")

    assert (await fleet.sign("authority", "authority")).revision.state is SopState.EFFECTIVE
    kinds = await fleet.kinds()
    assert kinds.index("SOP_COMMENTED") < kinds.index("SOP_COMMENT_RESOLVED") < kinds.index("SOP_APPROVED")


async def test_mere_remark_prevents_nothing():
    fleet, reviews = await in_review()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    await say(reviews, blocking=False, question="clarity", clause="")

    assert (await fleet.sign_all()).revision.state is SopState.EFFECTIVE


async def test_edit_resolves_no_comment_and_the_comment_keeps_what_it_was_about():
    fleet, reviews = await in_review()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    made = await say(reviews)
    await fleet.sops.submit(fleet.caller("owner"), ID, revised(1, ("It has three aims", "Its aims are three")))

    with pytest.raises(RefusedError):
        await fleet.sign("owner", "owner")

    (kept,) = await reviews.comments(ID, 1)
    assert kept == made
    assert kept.document_sha256 != (await fleet.sops.get(ID)).revision.document_sha256


async def test_unsigned_evaluation_waits_for_a_blocking_comment_and_goes_on_when_it_is_resolved():
    fleet, reviews = await in_review("evaluation")
    made = await say(reviews)

    waiting = await fleet.sops.submit(fleet.caller("owner"), ID)
    await reviews.resolve(REVIEWER, made.id, "I was wrong.")

    assert waiting.revision.state is SopState.IN_REVIEW
    assert (await fleet.sops.get(ID)).revision.state is SopState.EFFECTIVE


async def test_comment_on_what_is_signed_or_unknown_is_refused():
    fleet, reviews = await in_review()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    await fleet.sign_all()

    with pytest.raises(TransitionNotAllowedError):
        await say(reviews)
    with pytest.raises(NotFoundError):
        await reviews.comment(REVIEWER, "SU-SOP-009", 0, question="clarity", text="x")
    with pytest.raises(NotFoundError):
        await reviews.resolve(REVIEWER, "sc-none", "x")
    await fleet.sops.look_again(ID, 1)


async def test_request_that_comes_twice_makes_one_comment():
    _, reviews = await in_review()
    twice = Caller("person", "p-legal", "legal", frozenset({"reviewer"}), request_id="same")

    first = await reviews.comment(twice, ID, 0, question="clarity", text="Which window?")
    second = await reviews.comment(twice, ID, 0, question="clarity", text="Which window?")
    done = Caller("person", "p-legal", "legal", frozenset({"reviewer"}), request_id="done")
    await reviews.resolve(done, first.id, "Named.")
    await reviews.resolve(done, first.id, "Named.")

    assert first == second
    assert len(await reviews.comments(ID, 1)) == 1


async def test_retired_sop_governs_nothing_and_may_have_a_next_revision():
    fleet = await SopFleet().effective()

    with pytest.raises(InvalidInputError, match="a reason is needed"):
        await fleet.sops.retire(fleet.caller("owner"), ID, " ")
    view = await fleet.sops.retire(fleet.caller("owner"), ID, "one SOP for all is enough")
    again = await fleet.sops.retire(fleet.caller("owner"), ID, "once more")

    assert view.revision.state is SopState.RETIRED
    assert view.revision.ended_time == fleet.clock.now()
    assert again.revision == view.revision
    assert (await fleet.kinds()).count("SOP_RETIRED") == 1
    following = await fleet.sops.submit(fleet.caller("owner"), ID, revised(2))
    assert following.revision.state is SopState.IN_REVIEW
    with pytest.raises(NotFoundError):
        await fleet.sops.retire(fleet.caller("owner"), "SU-SOP-009", "none")
