"""A task that is cancelled in the middle of the database's work leaves no lock behind."""

import asyncio
from pathlib import Path

import pytest

from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.database.engine import open_database
from sopwith_controller.domain.entities import LogDraft
from tests.builders import computer, settings
from tests.fakes.log_signer import FakeLogSigner


@pytest.mark.parametrize("steps", range(30))
async def test_a_writer_cancelled_at_any_step_locks_nobody_out(tmp_path: Path, steps: int):
    database = await open_database(tmp_path / "sopwith.db", clock=SystemClock(), signer=FakeLogSigner())
    async with database.write() as unit:
        await unit.put_settings(settings())
        await unit.commit()

    async def write(name: str) -> None:
        async with database.write() as unit:
            await unit.computers.put(computer(name))
            await unit.update_log.append(LogDraft(kind="COMPUTER_ENROLLED", message=name))
            await unit.commit()

    victim = asyncio.create_task(write("victim"))
    for _ in range(steps * 25):
        await asyncio.sleep(0)
    victim.cancel()
    await asyncio.gather(victim, return_exceptions=True)
    async with asyncio.timeout(5):
        await write("next")

    async with database.read() as unit:
        names = [one.name for one in await unit.computers.all()]
        entries = [row.message for row in await unit.update_log.entries(0, 10)]
    await database.close()
    assert names == sorted(entries)
    assert "next" in names
