"""Runs the steps on the connection that `migrating` opened, inside its transaction."""

from alembic import context

from sopwith_controller.adapters.database import log_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=log_tables.update_log.metadata,
    transactional_ddl=True,
)
context.run_migrations()
