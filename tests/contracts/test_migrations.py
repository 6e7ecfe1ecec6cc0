"""The steps lead from nothing to exactly the tables that the program knows, on both databases."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from sopwith_controller.adapters.database import log_tables, migrating
from sopwith_controller.adapters.database.engine import open_database
from tests.builders import FixedClock


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    assert context.get_current_revision() == migrating.newest()
    return list(compare_metadata(context, log_tables.update_log.metadata))


async def test_the_steps_lead_to_exactly_the_program_s_tables_in_sqlite(tmp_path):
    database = await open_database(tmp_path / "sopwith.db", clock=FixedClock())
    async with database.write() as unit:
        found = await unit.update_log._transaction.connection.run_sync(differences)
    await database.close()

    assert found == []


async def test_the_steps_lead_to_exactly_the_program_s_tables_in_postgresql(postgresql_address):
    database = await open_database(postgresql_address, clock=FixedClock())
    async with database.write() as unit:
        found = await unit.update_log._transaction.connection.run_sync(differences)
    await database.close()

    assert found == []
