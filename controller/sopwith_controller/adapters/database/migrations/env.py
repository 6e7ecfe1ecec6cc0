"""Runs the steps on the connection that `migrating` opened, inside its transaction."""

from alembic import context

from sopwith_controller.adapters.database import sop_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=sop_tables.sop_comments.metadata,
    transactional_ddl=True,
)
context.run_migrations()
