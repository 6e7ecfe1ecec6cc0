"""Which memories of a longer log a recovery explains."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sopwith_controller.domain.log_recovery import LogRecovery, recovery_of

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FIRST = LogRecovery(100, "ab" * 32, "olga", "disk", "cd" * 32, NOON, NOON, 100)
SECOND = replace(FIRST, size=60, recovered_time=NOON + timedelta(days=1))


@pytest.mark.parametrize(
    ("recoveries", "remembered", "expected"),
    [
        ((), 120, None),
        ((FIRST,), 100, None),
        ((FIRST,), 101, FIRST),
        ((FIRST, SECOND), 120, SECOND),
        ((SECOND, FIRST), 61, SECOND),
        ((SECOND, FIRST), 60, None),
    ],
)
def test_newest_recovery_that_kept_less_explains_a_memory(recoveries, remembered, expected):
    assert recovery_of(recoveries, remembered) == expected
