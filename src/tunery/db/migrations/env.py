"""Runs migrations on the connection that `tunery.db.engine.migrate` hands over."""

from alembic import context

from tunery.db.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
