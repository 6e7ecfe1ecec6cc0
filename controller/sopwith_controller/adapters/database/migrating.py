"""Bringing a database's tables to the form that this program knows, step by step, each run in one transaction.

This module decides when that is safe: an empty database is filled, an older one is brought up, a current one is left
alone, and one that a newer program made is refused. The steps themselves are `migrations/versions/`. They are found
beside this file, so that an installed wheel has them too.
"""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from sopwith_controller.domain.errors import ConflictError

_FOLDER = Path(__file__).parent / "migrations"


async def bring_up_to_date(engine: AsyncEngine) -> tuple[str, str]:
    """Run the steps that are missing, all or none; return the revision before (empty for a new one) and after."""
    async with engine.begin() as connection:
        return await connection.run_sync(_bring_up_to_date)


async def require_current(engine: AsyncEngine) -> None:
    """Raise ConflictError when the tables are not those that this program knows."""
    async with engine.connect() as connection:
        before = await connection.run_sync(_revision)
    if before != newest():
        raise ConflictError(
            "the database has another form than this program knows",
            remedy="run `sopwith-controller migrate`, or use the program of the version that made it",
        )


def newest() -> str:
    """Return the revision that this program knows."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _bring_up_to_date(connection: Connection) -> tuple[str, str]:
    before, after = _revision(connection), newest()
    if before and before not in {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}:
        raise ConflictError(
            f"the database was made by a newer Sopwith (form {before}, this program knows {after})",
            remedy="install that version again, or restore a backup that this version made",
        )
    if before != after:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, after


def _revision(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def _config(**attributes: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes.update(attributes)
    return config
