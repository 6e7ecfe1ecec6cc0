"""Runs the steps on the connection that `migrating` opened, inside its transaction."""

from alembic import context

from sopwith_controller.adapters.database.log_tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
context.run_migrations()
