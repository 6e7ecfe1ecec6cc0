from datetime import timedelta

import pytest

from sopwith_controller.domain.source_expiry import expiring
from tests.builders import NOON


def roles(role: str = "targets", **left: float):
    return [(role, 3, NOON + timedelta(**left))]


@pytest.mark.parametrize(("days", "stage"), [(30, 30), (29, 30), (14, 14), (8, 14), (7, 7), (0, 7), (-1, 7)])
def test_signatures_of_people_are_asked_for_30_14_and_7_days_before_their_end(days, stage):
    (warning,) = expiring(roles(days=days), NOON)

    assert warning.stage == timedelta(days=stage)
    assert "source sign" in warning.text(NOON)


def test_distant_end_is_nobody_s_matter():
    assert expiring(roles(days=31), NOON) == []


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_what_the_controller_renews_is_told_only_when_renewing_fails(role):
    assert expiring(roles(role, hours=13), NOON) == []

    (warning,) = expiring(roles(role, hours=12), NOON)

    assert "controller fails to renew" in warning.text(NOON)
    assert "within a day" in warning.text(NOON)


def test_each_bound_and_each_version_is_another_warning():
    ends = [30, 14, 7]

    keys = {warning.key for days in ends for warning in expiring(roles(days=days), NOON)}

    assert len(keys) == 3


def test_warning_tells_days_and_end():
    (soon,) = expiring(roles(days=10), NOON)
    (gone,) = expiring(roles(days=-2), NOON)

    assert "expires in 10 days" in soon.text(NOON)
    assert "expired on 2026-11-20" in gone.text(NOON)
