"""The update log: appended through the database in groups, proofs of inclusion, and verification of every entry.

All in processor time; each group of entries is one commit with its signed checkpoint.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from bench.measure import Line

from sopwith_certs.log_key import LogKey, make_log_key
from sopwith_certs.log_key import verify as verify_checkpoint
from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.database.engine import SqlDatabase, open_database
from sopwith_controller.services.update_log import UpdateLogs
from tests import builders

ENTRIES = 20_000
GROUP = 500
PROOFS = 200
MILLION = 1_000_000


def lines() -> list[Line]:
    """Measure append, proof and verification."""
    with tempfile.TemporaryDirectory() as folder:
        append, proof, verify = asyncio.run(_measured(Path(folder)))
    scaled = verify / ENTRIES * MILLION
    return [
        Line(f"update log: append, groups of {GROUP}", f"{append * 1e6:.0f} us", "1,000 us", append / 1e-3),
        Line("update log: inclusion proof", f"{proof * 1e6:.0f} us", "1,000 us", proof / 1e-3),
        Line(
            "update log: verify 1,000,000 entries",
            f"{scaled:.1f} s",
            "15 s",
            scaled / 15,
            f"from {ENTRIES:,} entries in {verify:.2f} s",
        ),
    ]


async def _measured(folder: Path) -> tuple[float, float, float]:
    key = make_log_key("log.example.test")
    database = await open_database(
        folder / "log.db", clock=SystemClock(), signer=key, checkpoints=folder / "checkpoints"
    )
    try:
        begun = time.process_time()
        for start in range(0, ENTRIES, GROUP):
            await _append(database, start)
        append = (time.process_time() - begun) / ENTRIES
        begun = time.process_time()
        async with database.read() as unit:
            for number in range(PROOFS):
                await unit.update_log.inclusion_proof(number * (ENTRIES // PROOFS), ENTRIES)
        proof = (time.process_time() - begun) / PROOFS
        begun = time.process_time()
        await _verify(database, key)
        verify = time.process_time() - begun
    finally:
        await database.close()
    return append, proof, verify


async def _append(database: SqlDatabase, start: int) -> None:
    async with database.write() as unit:
        for number in range(start, start + GROUP):
            await unit.update_log.append(builders.log_draft(computer=f"pc{number}", outcome="SUCCEEDED"))
        await unit.commit()


async def _verify(database: SqlDatabase, key: LogKey) -> None:
    """Verify as the use case does; a fault would make the measurement worthless."""
    logs = UpdateLogs(
        database, SystemClock(), growth=database, published=_Nowhere(), key=key.verifier, verify=verify_checkpoint
    )
    verdict = await logs.verify()
    if verdict.faults or verdict.size != ENTRIES:
        raise RuntimeError(f"the log of the measurement is broken: {verdict.faults[:1]}")


class _Nowhere:
    """Implements `PublishedCheckpoints`: those in the database are enough here."""

    def all(self) -> list[str]:
        return []
