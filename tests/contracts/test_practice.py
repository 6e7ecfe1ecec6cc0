"""What is kept of the SOP's practice is read back as it was written, replaced by its key, and never half."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sopwith_controller.domain import practice_entities as entities
from tests.builders import NOON

EVERYTHING: dict[str, Any] = {
    "known_computers": entities.KnownComputer(
        "pc9", "Berlin, ä\n", listed=True, imported_by="op", imported_time=NOON, excused_by="op",
        excused_reason="in repair", excused_until=NOON + timedelta(days=1),
    ),
    "training": entities.TrainingRecord(
        "t-1", entities.TrainingKind.DRILL, "olga", "SU-SOP-001", 2, NOON, 1, {"start it": "done"}
    ),
    "reviews": entities.SopReview(
        "v-1", "SU-SOP-001", 2, entities.ReviewTrigger.NEW_PLATFORM, "linux debian", NOON, NOON, "olga", NOON,
        entities.ReviewOutcome.NO_CHANGE, "fits",
    ),
    "review_marks": entities.ReviewMark("SU-SOP-001 NEW_PLATFORM linux", NOON),
    "feedback": entities.Feedback(
        "f-1", "SU-SOP-001", 2, "V.C", "short", entities.FeedbackOrigin.COMPUTER, "pc1", "r-1", NOON,
        entities.Disposition.DONE, "olga", NOON, "true",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(EVERYTHING))
async def test_what_was_put_is_read_back_equal_and_replaced_by_its_key(database, kind):
    one = EVERYTHING[kind]
    key = one.name if kind == "known_computers" else one.id
    second = replace(one, **{"name" if kind == "known_computers" else "id": "A-first"})
    async with database.write() as unit:
        await getattr(unit.practice, kind).put_all([one])
        await getattr(unit.practice, kind).put_all([one, second])
        await unit.commit()

    async with database.read() as unit:
        assert await getattr(unit.practice, kind).get(key) == one
        assert await getattr(unit.practice, kind).all() == [second, one]
        assert await getattr(unit.practice, kind).get("nobody") is None
