"""The hourly work on the source: a fresh timestamp, and people told before signatures end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sopwith_controller.domain.errors import UnavailableError
from sopwith_controller.services.ports import SourceRole, SourceView
from sopwith_controller.services.source_renewal import SourceRenewal
from tests.builders import NOON, FixedClock
from tests.fakes.database import FakeDatabase
from tests.fakes.log_signer import FakeLogSigner


class Source:
    """A source whose ends a test moves."""

    def __init__(self) -> None:
        self.renewals = 0
        self.broken = False
        self.targets_end = NOON + timedelta(days=300)
        self.designated = True

    async def renew(self) -> None:
        if self.broken:
            raise UnavailableError("the disk is full")
        self.renewals += 1

    async def view(self) -> SourceView | None:
        role = SourceRole("targets", 1, self.targets_end, ())
        online = replace(role, name="timestamp", expires_time=NOON + timedelta(hours=5 if self.broken else 24))
        return SourceView("", {}, (role, online), 0) if self.designated else None


class Raised:
    """Keeps what was raised."""

    def __init__(self) -> None:
        self.summaries: list[str] = []
        self.told = 0

    async def raise_in(self, unit: Any, *, symptom: str, severity: int, summary: str) -> None:
        assert (symptom, severity) == ("SOURCE_EXPIRING", 1)
        self.summaries.append(summary)

    async def after_commit(self) -> None:
        self.told += 1


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def raised() -> Raised:
    return Raised()


@pytest.fixture
def renewal(source: Source, raised: Raised) -> SourceRenewal:
    clock = FixedClock()
    parts: Any = (source, raised)
    return SourceRenewal(FakeDatabase(clock, FakeLogSigner()), clock, *parts)


async def test_timestamp_is_renewed_and_nobody_is_told(renewal, source, raised):
    await renewal.run()

    assert source.renewals == 1
    assert raised.summaries == []


async def test_nothing_is_told_before_designation(renewal, source, raised):
    source.designated = False
    source.targets_end = NOON

    await renewal.run()

    assert raised.summaries == []


async def test_near_end_is_told_once_per_bound(renewal, source, raised):
    source.targets_end = NOON + timedelta(days=20)
    await renewal.run()
    await renewal.run()
    source.targets_end = NOON + timedelta(days=6)
    await renewal.run()

    assert len(raised.summaries) == raised.told == 2
    assert "expires in 20 days" in raised.summaries[0]


async def test_failing_renewal_is_told_when_little_time_is_left(renewal, source, raised):
    source.broken = True

    await renewal.run()

    assert "controller fails to renew" in raised.summaries[0]
