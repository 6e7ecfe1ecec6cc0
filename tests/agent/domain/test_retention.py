"""What of earlier versions stays on a computer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopwith_agent.domain.retention import KeptVersion, Retention, to_drop

DAY = 86400.0
NOW = 1000 * DAY


def kept(name: str, days_ago: float, size: int = 10, *, needed: bool = False) -> KeptVersion:
    return KeptVersion(name, size, NOW - days_ago * DAY, needed)


FOUR = (kept("1", 40), kept("2", 30), kept("3", 20), kept("4", 10, needed=True))


@pytest.mark.parametrize(
    ("bounds", "dropped"),
    [
        (Retention(versions=4), ()),
        (Retention(versions=2), ("1", "2")),
        (Retention(versions=1), ("1", "2", "3")),
        (Retention(versions=4, age_seconds=int(25 * DAY)), ("1", "2")),
        (Retention(versions=4, age_seconds=int(30 * DAY)), ("1",)),
        (Retention(versions=4, size_bytes=30), ("1",)),
        (Retention(versions=4, size_bytes=5), ("1", "2", "3")),
    ],
)
def test_newest_stay_within_number_age_and_room(bounds: Retention, dropped: tuple[str, ...]) -> None:
    assert to_drop(FOUR, bounds, NOW) == dropped


def test_way_back_stays_however_old_and_large_it_is() -> None:
    old = kept("1", 5000, 10**12, needed=True)

    assert to_drop([old, kept("2", 1)], Retention(), NOW) == ("2",)


versions = st.lists(
    st.builds(
        KeptVersion, st.text("abc", min_size=1), st.integers(0, 100), st.floats(0, NOW, allow_nan=False), st.booleans()
    ),
    unique_by=lambda one: one.name,
)


@given(versions, st.builds(Retention, st.integers(1, 5), st.integers(1, int(NOW)), st.integers(0, 300)))
def test_what_stays_keeps_the_bounds_but_for_what_is_needed(found: list[KeptVersion], bounds: Retention) -> None:
    gone = set(to_drop(found, bounds, NOW))

    needed = {one.name for one in found if one.needed}
    rest = [one for one in found if one.name not in gone]
    assert not gone & needed
    assert len(rest) <= max(bounds.versions, len(needed))
    assert sum(one.size_bytes for one in rest) <= max(
        bounds.size_bytes, sum(one.size_bytes for one in found if one.needed)
    )
    assert all(one.needed or NOW - one.brought_seconds <= bounds.age_seconds for one in rest)
