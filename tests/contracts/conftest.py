"""Which implementations each contract suite runs on."""

from collections.abc import AsyncIterator

import pytest

from sopwith_controller.services.ports import Database
from tests.builders import FixedClock
from tests.fakes.database import FakeDatabase
from tests.fakes.log_signer import FakeLogSigner


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def database(clock: FixedClock) -> AsyncIterator[Database]:
    fake = FakeDatabase(clock, FakeLogSigner())
    yield fake
    await fake.close()
