"""How the tables of the store came to be. Run by Alembic from `store_sql`, and imported by nobody."""
