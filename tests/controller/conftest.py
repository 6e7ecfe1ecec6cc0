"""The running controller of tests: founded once per session, copied for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controller.house import House, found_once, running


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a founded data folder that nobody changes."""
    return found_once(tmp_path_factory.mktemp("founded"))


@pytest.fixture
async def house(founded: Path, tmp_path: Path) -> AsyncIterator[House]:
    """Return a running controller with an effective SOP, a source and the releases hello@1 and hello@2."""
    async with running(founded, tmp_path) as house:
        await house.make_sop_effective()
        await house.designate_source()
        for version in ("1", "2"):
            await house.publish("hello", version)
        yield house
