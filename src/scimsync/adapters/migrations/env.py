"""What Alembic runs to upgrade: the steps, on the connection and in the transaction of the caller."""

from __future__ import annotations

from alembic import context


def upgrade() -> None:
    """Carry out the steps. The caller commits, so that all of them happen or none."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=None,
        version_table=context.config.attributes["version_table"],
        transactional_ddl=True,
    )
    context.run_migrations()


if __name__ == "env_py":  # Alembic runs this file under that name; others only look at it
    upgrade()
