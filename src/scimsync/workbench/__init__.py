"""Set-wise work on DuckDB: the tables of one planning run, in bounded memory."""
