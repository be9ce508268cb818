"""States as versions before left them: what came since is taken out of the tables."""

from __future__ import annotations

#: tables that came after revision 0012, and columns of others
_TABLES = (
    "unshown", "acceptance", "undone", "artifact", "suspect", "decision", "approval", "approval_rule", "quarantine",
    "console_user", "console_token", "allowance", "schedule", "alarm",
    "console_passkey",
)  # fmt: skip
_COLUMNS = (("lease", "bears"), ("schema_pin", "left_out"), ("run", "digest"), ("run", "spent"), ("run", "undoes"))

#: statements, in their order, that make a state of revision 0012 of ours
BACK_TO_0012 = (
    *(f"DROP TABLE {table}" for table in _TABLES),
    *(f"ALTER TABLE {table} DROP COLUMN {column}" for table, column in _COLUMNS),
    "DROP INDEX ix_audit_key_gone",
    "UPDATE scimsync_version SET version_num = '0012'",
)
