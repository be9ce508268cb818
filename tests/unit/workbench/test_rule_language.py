"""Which queries a rule may be, and what is said of the others."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from scimsync.workbench.rule_language import check

COLUMNS = ("key", "id", "active", "enterprise:department", "department", "title", "skills")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        columns = (
            'key VARCHAR, id VARCHAR, active BOOLEAN, "enterprise:department" VARCHAR, department VARCHAR, '
            "title VARCHAR, skills VARCHAR[]"
        )
        made.execute(f"CREATE TABLE before ({columns}); CREATE TABLE after ({columns})")
        made.execute("CREATE TABLE records (key VARCHAR, salary VARCHAR); CREATE TABLE accounts (id VARCHAR)")
        yield made


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT key FROM after WHERE active AND title IS NULL",
        "FROM after WHERE NOT active",
        "SELECT count(*) AS people FROM after WHERE active AND list_contains(skills, 'Billing') HAVING count(*) < 40",
        'SELECT b.department, count(*) AS was FROM before b LEFT JOIN after a ON a.id = b.id AND a."enterprise:department" '
        "= b.department WHERE b.active GROUP BY b.department HAVING count(a.id) < 0.8 * count(*) ORDER BY 2 DESC LIMIT 5",
        "SELECT key FROM before WHERE active EXCEPT SELECT key FROM after WHERE active",
        "SELECT d FROM (SELECT department AS d, count(*) FILTER (WHERE active) AS n FROM after GROUP BY ALL) WHERE n < 3",
        "SELECT key FROM after a WHERE NOT EXISTS (SELECT 1 FROM before b WHERE b.id = a.id)",
        "SELECT key FROM after WHERE title IN (SELECT title FROM before)",
        "SELECT unnest(skills) AS skill, count(*) FROM after GROUP BY 1",
        "SELECT department, CASE WHEN active THEN 1 ELSE 0 END::INTEGER AS n, CAST(title AS VARCHAR) FROM after",
        "SELECT key FROM before JOIN after USING (key) WHERE list_has(list_transform(skills, lambda s: lower(s)), 'x')",
        "SELECT a.key FROM after a, after b WHERE a.title = b.title AND a.key < b.key",
        "SELECT DISTINCT title FROM after WHERE title LIKE 'A%' AND title BETWEEN 'A' AND 'C'",
        "SELECT 1 WHERE (SELECT count(*) FROM after) < 3",
    ],
)  # fmt: skip
def test_a_select_over_the_two_views_is_a_rule(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    columns = COLUMNS
    if "USING (key)" in sql:
        sql = sql.replace("list_transform(skills", "list_transform(after.skills")
    found = check(sql, connection, columns)
    assert isinstance(found, str), [str(fault) for fault in found]
    connection.execute(found).fetchall()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT key FROM records", "records is not one of the tables of a rule, before and after (at character 17)"),
        ("SELECT key FROM afer", "afer is not one of the tables of a rule, before and after; did you mean after? (at"),
        ("SELECT key FROM memory.main.after", "a table is called by its bare name, as after"),
        ("SELECT key FROM main.records", "records is not one of the tables"),
        ("SELECT * FROM 'x.csv'", "x.csv is not one of the tables"),
        ("SELECT * FROM read_csv('/etc/passwd')", "a table function is not allowed in a rule"),
        ("SELECT * FROM after, LATERAL (SELECT * FROM read_text('/etc/passwd'))", "a table function is not allowed"),
        ("SELECT key FROM after WHERE title = (SELECT max(id) FROM accounts)", "accounts is not one of the tables"),
        ("SELECT key FROM after UNION SELECT salary FROM records", "records is not one of the tables"),
        ("SELECT key FROM (SELECT salary AS key FROM records)", "records is not one of the tables"),
        ("SELECT key FROM after JOIN records USING (key)", "records is not one of the tables"),
        ("SELECT key FROM after ORDER BY (SELECT max(salary) FROM records)", "records is not one of the tables"),
        ("SELECT key FROM after LIMIT (SELECT count(*) FROM records)", "records is not one of the tables"),
        ("WITH records AS (SELECT 1) SELECT key FROM after", "WITH is not allowed in a rule"),
        ("WITH RECURSIVE x AS (SELECT 1 AS n UNION SELECT n + 1 FROM x) SELECT n FROM x", "WITH is not allowed"),
        ("SELECT getenv('HOME') FROM after", "the function getenv is not allowed in a rule (at character 8)"),
        ("SELECT current_setting('memory_limit') FROM after", "the function current_setting is not allowed"),
        ("SELECT e164(title) FROM after", "the function e164 is not allowed in a rule"),
        ("SELECT key FROM after WHERE lenght(title) > 3", "the function lenght is not allowed in a rule; did you mean l"),
        ("SELECT random() FROM after", "the function random is not allowed"),
        ("SELECT key, row_number() OVER () FROM after", "a window function is not allowed"),
        ("SELECT key FROM after USING SAMPLE 3", "a sample is not allowed"),
        ("SELECT key FROM after TABLESAMPLE 3 ROWS", "a sample is not allowed"),
        ("SELECT key FROM after WHERE title = ?", "a parameter is not allowed"),
        ("SELECT COLUMNS('k.*') FROM after", "COLUMNS is not allowed"),
        ("SELECT 1; SELECT 2", "a rule is one SELECT, and this is several statements"),
        ("DELETE FROM after", "Only SELECT statements"),
        ("ATTACH 'x.db'", "Only SELECT statements"),
        ("COPY after TO 'x.csv'", "Only SELECT statements"),
        ("SELECT key FROM after WHERE", 'syntax error at or near "WHERE" (at character 23)'),
        ("", "the query is empty"),
        ("SELECT key FROM after WHERE titel = 'x'", "before and after have no column titel; did you mean title? (at character 29)"),
        ("SELECT a.titel FROM after a", "before and after have no column titel; did you mean title?"),
        ("SELECT key FROM after WHERE salary > 3", 'before and after have no column salary; there are key, id, active, "enterprise:department", department'),
        ("SELECT key FROM after WHERE active > 'x' + 1", "Could not choose a best candidate function"),
        ("SELECT key FROM after POSITIONAL JOIN before", "a join of the kind POSITIONAL is not allowed"),
        ("VALUES (1)", "VALUES is not allowed"),
        ("SHOW TABLES", ""),
        ("DESCRIBE records", ""),
        ("SELECT * FROM (SHOW TABLES)", "SHOW or DESCRIBE is not allowed"),
        ("PIVOT after ON title", ""),
        ("SELECT nextval('x') FROM after", "the function nextval is not allowed"),
        ("SELECT query FROM query('SELECT 1')", "a table function is not allowed"),
        ("SELECT key FROM after AT (VERSION => 1)", "a table is called by its bare name, as after"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_its_place(connection: duckdb.DuckDBPyConnection, sql: str, said: str) -> None:
    found = check(sql, connection, COLUMNS)
    assert not isinstance(found, str), found
    assert any(said in str(fault) for fault in found), [str(fault) for fault in found]


def test_all_faults_of_a_query_are_told_at_once(connection: duckdb.DuckDBPyConnection) -> None:
    found = check("SELECT getenv('A') FROM records WHERE random() > 1", connection, COLUMNS)
    assert len(found) == 3


def test_a_column_is_named_as_it_must_be_written(connection: duckdb.DuckDBPyConnection) -> None:
    (fault,) = check("SELECT fone FROM after", connection, ('phoneNumbers[type eq "work"].value',))  # type: ignore[misc]
    assert '"phoneNumbers[type eq ""work""].value"' in str(fault)
