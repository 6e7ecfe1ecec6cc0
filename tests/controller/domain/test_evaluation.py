"""The evaluation profile takes 25 computers for 30 days; other profiles have no such limits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sopwith_controller.domain.entities import Settings
from sopwith_controller.domain.errors import RefusedError
from sopwith_controller.domain.evaluation import check_computers, check_life

MADE = datetime(2026, 11, 22, tzinfo=UTC)
EVALUATION = Settings("Example", "example", "evaluation", "k", MADE)


def test_the_twenty_sixth_computer_is_refused():
    check_computers(EVALUATION, 24)

    with pytest.raises(RefusedError, match="25 computers"):
        check_computers(EVALUATION, 25)


def test_the_evaluation_ends_after_thirty_days():
    check_life(EVALUATION, MADE + timedelta(days=29, hours=23))

    with pytest.raises(RefusedError, match="2026-12-22"):
        check_life(EVALUATION, MADE + timedelta(days=30))


@pytest.mark.parametrize("profile", ["standard", "regulated"])
def test_other_profiles_have_no_such_limits(profile):
    settings = replace(EVALUATION, profile=profile)

    check_computers(settings, 1000)
    check_life(settings, MADE + timedelta(days=3000))
