"""The mapping language: what gets through, what it gives, and that nothing else gets through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _duckdb as duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.factories import make_reading
from tests.soak import examples

from scimsync.workbench.bench import Workbench
from scimsync.workbench.expressions import OPERATORS, PLAIN_FUNCTIONS, Expression, Fault, check
from scimsync.workbench.mapping import stage_phones
from scimsync.workbench.records import stage_records

ROWS: list[dict[str, Any]] = [
    {"id": 1, "email": " Ada@Example.com ", "first_name": "ada", "last_name": "van BERG", "phone": "(317) 555-0100",
     "country": "us", "skill_list": "Billing:4; Sales : 2.5 ;;Care", "manager_id": " 7 ", "status": "active"},
    {"id": 2, "email": None, "first_name": "", "last_name": None, "phone": "+13175550101", "country": None,
     "skill_list": None, "manager_id": "", "status": "left"},
]  # fmt: skip
COLUMNS = tuple(ROWS[0])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "secret.txt").write_text("secret")
    with Workbench(folder) as made:
        stage_records(made, make_reading(ROWS), key="id")
        yield made


def accepted(bench: Workbench, text: str) -> Expression:
    found = check(text, bench.sql, COLUMNS)
    assert isinstance(found, Expression), [str(fault) for fault in found]
    return found


def refused(bench: Workbench, text: str) -> str:
    found = check(text, bench.sql, COLUMNS)
    assert not isinstance(found, Expression), found.sql
    assert found
    assert all(fault.reason for fault in found)
    return "; ".join(map(str, found))


def values(bench: Workbench, sql: str) -> list[object]:
    return [row[0] for row in bench.sql.execute(f"SELECT {sql} FROM records ORDER BY scimsync_n").fetchall()]


GOOD: list[tuple[str, list[object]]] = [
    ("lower(trim(email))", ["ada@example.com", None]),
    ("title_case(first_name || ' ' || coalesce(last_name, 'x'))", ["Ada Van Berg", " X"]),
    ("title_case(last_name)", ["Van Berg", None]),
    ("status = 'active'", [True, False]),
    ("status IN ('active', 'leave')", [True, False]),
    ("NOT (status = 'active' OR id > 5)", [False, True]),
    ("id BETWEEN 2 AND 3", [False, True]),
    ("CASE status WHEN 'active' THEN 'in' ELSE 'out' END", ["in", "out"]),
    ("CASE WHEN email IS NULL THEN 'none' END", [None, "none"]),
    ("email IS NOT NULL", [True, False]),
    ("blank(first_name)", ["ada", None]),
    ("blank(manager_id)", ["7", None]),
    ("ref(manager_id)", ["7", None]),
    ("list_sort(names('a; b;;a'))", [["a", "b"], ["a", "b"]]),
    ("list_sort(names('a, b', ','))", [["a", "b"], ["a", "b"]]),
    (
        "skills(skill_list)",
        [[{"name": "Billing", "proficiency": 4.0}, {"name": "Sales", "proficiency": 2.5}, {"name": "Care", "proficiency": 0.0}], None],
    ),
    ("skills('A=1|B=x', '|', '=')", [[{"name": "A", "proficiency": 1.0}, {"name": "B", "proficiency": -1.0}]] * 2),
    ("skills('A:1,B', ',')", [[{"name": "A", "proficiency": 1.0}, {"name": "B", "proficiency": 0.0}]] * 2),
    ("id::VARCHAR || '-x'", ["1-x", "2-x"]),
    ("TRY_CAST(status AS INTEGER)", [None, None]),
    ("CAST(id AS DECIMAL(10, 2)) > 1.5", [False, True]),
    ("regexp_replace(phone, '[^0-9+]', '', 'g')", ["3175550100", "+13175550101"]),
    ("split_part('a@b', '@', 2)", ["b", "b"]),
    ("upper(left(first_name, 1)) || substr(first_name, 2)", ["Ada", ""]),
    ("list_transform(['a', 'b'], lambda x: upper(x))", [["A", "B"]] * 2),
    ("list_transform(['a', 'b'], lambda x, i: x || i::VARCHAR)", [["a1", "b2"]] * 2),
    ("list_transform([1], lambda x: list_transform([2], lambda y: x + y))", [[[3]]] * 2),
    ("list_filter([1, 2], lambda x: x > id)", [[2], []]),
    ("list_transform([{'a': 1}], lambda s: s.a)", [[1]] * 2),
    ("{'a': 1}['a'] + {'b': 2}.b", [3, 3]),
    ("['x', 'y'][2]", ["y", "y"]),
    ("year(DATE '2020-02-03')", [2020, 2020]),
    ("strftime(try_strptime('03.02.2020', '%d.%m.%Y'), '%Y-%m-%d')", ["2020-02-03"] * 2),
    ("DATE '2020-01-31' + INTERVAL 1 DAY > DATE '2020-01-01'", [True, True]),
    ('"email" ILIKE \' ada%\'', [True, None]),
    ("EMAIL IS NULL", [False, True]),
    ("'a;b' || '--' || '/*'", ["a;b--/*"] * 2),
    ("status -- the status\n", ["active", "left"]),
    ("/* who */ status", ["active", "left"]),
    ("((status))", ["active", "left"]),
    ("'it''s'", ["it's"] * 2),
    ("'Zoë 😀'", ["Zoë 😀"] * 2),
    ("NULL", [None, None]),
    ("true", [True, True]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), GOOD, ids=[text for text, _ in GOOD])
def test_a_good_expression_gives_its_value_as_it_was_printed_back(
    bench: Workbench, text: str, wanted: list[object]
) -> None:
    printed = accepted(bench, text).sql
    assert values(bench, printed) == wanted
    assert values(bench, text.replace("-- the status\n", "")) == wanted
    assert accepted(bench, printed).sql == printed


HOSTILE = r"""
(SELECT 1)
email FROM records
email FROM read_csv('/etc/passwd')
read_text('/etc/passwd')
(SELECT content FROM read_text('/etc/passwd'))
(SELECT content FROM read_text('/etc/passwd')) -> '$'
(SELECT 'x') -> '$'
getenv('HOME') -> 'x'
email -> '$'
email ->> '$'
list_transform([1], (getenv('HOME')) -> 1)
list_transform([1], x -> x)
list_transform([1], lambda main: main.records)
list_transform([1], lambda records: records.scimsync_n)
list_transform([1], lambda x: (SELECT 1))
list_transform([1], lambda x: x + (SELECT count(*) FROM records))
list_transform([1], lambda x: list_transform([2], lambda y: (SELECT x)))
list_transform(['HOME'], lambda x: getenv(x))
list_transform([1], lambda x: lower(y))
list_transform([1], lambda x: records.id)
list_transform([1], lambda x: e164(phone))
list_filter([1], lambda x: EXISTS (SELECT 1))
[x FOR x IN (SELECT [1])]
EXISTS (FROM records)
id IN (SELECT id FROM records)
(email, id) IN (SELECT 1, 2)
email = ANY(SELECT 'x')
1 = (TABLE records)
(VALUES (1))
ARRAY(SELECT 1)
{'a': (SELECT 1)}
[1, (SELECT 2)]
CASE WHEN true THEN (SELECT 1) END
coalesce(email, (SELECT 'x'))
TRY((SELECT 1))
email BETWEEN (SELECT 'a') AND 'b'
email[(SELECT 1)]
ref((SELECT 1))
e164((SELECT 'x'))
e164(phone, (SELECT 'x'))
names((SELECT 'a'))
ref(query('SELECT 1'))
names(getenv('HOME'))
e164(country := phone, phone := country)
ref(key := email)
lower(x := email)
email WHERE true
email UNION SELECT 1
email UNION ALL BY NAME SELECT 1
email EXCEPT SELECT 1
email LIMIT 1
email OFFSET 1
email ORDER BY 1
email GROUP BY 1
1 GROUP BY ALL
1 GROUP BY ()
1 HAVING true
1 QUALIFY true
1 USING SAMPLE 1
1 WINDOW w AS ()
1) WINDOW w AS (
1) GROUP BY ALL --
1), (2
1) FROM records WHERE (true
DISTINCT email
WITH t AS (SELECT 1) SELECT 1
1 INTO x
1 AS foo
first_name last_name
count(*)
count(id)
sum(id)
max(email)
any_value(email)
list(email)
string_agg(email)
GROUPING(email)
lower(DISTINCT email)
lower(email) FILTER (WHERE true)
lower(email ORDER BY id)
row_number() OVER ()
lag(email) OVER (ORDER BY id)
lower(email) OVER ()
current_setting('memory_limit')
getenv('HOME')
"getenv"('HOME')
GETENV('HOME')
main.lower(email)
system.main.lower(email)
other.lower(email)
email.lower()
('HOME').getenv()
main."getenv"('HOME')
OPERATOR(pg_catalog.+)(1, 2)
1 OPERATOR(main.+) 2
query('SELECT 1')
query_table('records')
getvariable('x')
current_query()
nextval('s')
random()
uuid()
version()
hash(email)
error('x')
glob('*')
read_blob('x')
sniff_csv('x')
write_log('x')
generate_series(1, 3)
unnest([1, 2])
repeat('a', 1000000000)
range(1000000000)
phone_of(phone, country)
names_of(email, ';')
email; DROP TABLE records
email;
email; -- x
1; SELECT 2
ATTACH 'x'
ATTACH ':memory:' AS x
COPY records TO 'x'
PRAGMA database_list
PRAGMA memory_limit='1GB'
SET memory_limit='1GB'
INSTALL httpfs
LOAD httpfs
CALL x()
PREPARE a AS SELECT 1
EXECUTE a
EXPORT DATABASE 'x'
CREATE TABLE x AS SELECT 1
DROP TABLE records
DESCRIBE records
PIVOT records ON id
SELECT 1
FROM records
*
records.*
* EXCLUDE (id)
COLUMNS(*)
COLUMNS('e.*')
COLUMNS(c -> c LIKE 'e%')
lower(COLUMNS(*))
concat(*COLUMNS(*))
struct_pack(*COLUMNS(*))
[*]
#1
?
$1
$name
email, id
(email, id)
row(email)
()
MAP {'a': 1}
records
lower(records)
records.email
main.records.email
scimsync_n
"scimsync_place"
rowid
struct_extract(records, 'email')
current_user
session_user
DEFAULT
email COLLATE NOCASE
email COLLATE "de"
email = 'x' COLLATE NOCASE
email::regclass
email::ENUM('a', 'b')
email::JSON
email::mytype
email::"records"
email::"getenv('HOME')"
email::main.foo
format(email, 1)
format('{:>99999}', email)
format('{:>{}}', email, 5)
printf('%*d', 99999, 5)
printf('%99999d', 5)
system.main.lpad(email, 99999, 'x')
email::UNION(a INTEGER)
CAST(email AS ENUM('a', getenv('HOME')))
email::ENUM(SELECT 'a')
CAST(email AS DECIMAL((SELECT 3), 2))
email /* unterminated
'unterminated
"unterminated
lower(email
email)
""".strip().split("\n")


@pytest.mark.parametrize("name", ["lpad", "rpad"])
def test_no_text_is_made_wider_than_any_value_is(bench: Workbench, name: str) -> None:
    assert values(bench, f"length({name}('7', 10000, '0'))") == [10000, 10000]
    with pytest.raises(duckdb.Error, match="wider than 10,000"):
        values(bench, f"{name}(first_name, 2000000000, '0')")
    assert values(bench, f"{name}(NULL, 5, '0')") == [None, None]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_expression_is_refused_with_a_reason(bench: Workbench, text: str) -> None:
    assert refused(bench, text)


@pytest.mark.parametrize(
    "text",
    [" || ".join(["'a'"] * 450), "upper(" * 300 + "email" + ")" * 300, "coalesce(email, " * 450 + "'z'" + ")" * 450],
    ids=["joined", "called", "coalesce"],
)
def test_nesting_ends_with_a_sentence(bench: Workbench, text: str) -> None:
    assert "nested too deeply" in refused(bench, text)


def test_much_beside_one_another_is_not_nested(bench: Workbench) -> None:
    accepted(bench, " || ".join(["email"] * 60))
    accepted(bench, " OR ".join(["email = 'a'"] * 450))


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n", "-- nothing", "email\0", "email\0; DROP TABLE records", "\uff33ELECT 1", "g\u0435tenv('HOME')"],
)
def test_nothing_and_what_is_no_text_are_refused(bench: Workbench, text: str) -> None:
    assert refused(bench, text)


def test_a_file_of_the_own_folder_cannot_be_read_through_an_arrow(bench: Workbench) -> None:
    secret = next(bench.spool.parents[1].glob("secret.txt"))
    refused(bench, f"(SELECT content FROM read_text('{secret}')) -> '$'")
    refused(bench, f"list_transform([1], lambda x: (SELECT content FROM read_text('{secret}')))")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lower(emial)", "did you mean email?"),
        ("firstname", "did you mean first_name?"),
        ("lwoer(email)", "did you mean lower?"),
        ("skils(skill_list)", "did you mean skills?"),
        ("skills()", "skills is called as skills(text, ';', ':')"),
        ("e164(phone, country, id)", "e164 is called as e164(phone, country)"),
        ("lower(ref(manager_id))", "ref(...) must be the whole expression"),
        ("first_name last_name", "joined with ||"),
        ("list_transform([1], x -> x)", "lambda x: ..."),
        ("email, id", "a comma too many"),
    ],
)
def test_a_mistake_gets_a_hint(bench: Workbench, text: str, hint: str) -> None:
    assert hint in refused(bench, text)


def test_all_faults_are_told_at_once_each_with_its_place(bench: Workbench) -> None:
    found = check("lower(emial) || getenv(nmae)", bench.sql, COLUMNS)
    assert isinstance(found, tuple)
    assert [fault.column for fault in found] == [7, 17, 24]
    assert str(Fault("why", 3)) == "why (at character 3)"


def test_an_expression_knows_its_columns_its_phones_and_whether_it_is_a_reference(bench: Workbench) -> None:
    found = accepted(bench, "coalesce(e164(phone, country), e164('1'))")
    assert found.columns == {"phone", "country"}
    assert found.phones == (("phone", "country"), ("'1'", "NULL"))
    assert not found.is_reference
    assert accepted(bench, "ref(manager_id)").is_reference
    assert accepted(bench, "list_transform([1], lambda id: id)").columns == frozenset()


def test_without_a_source_only_the_grammar_is_checked(bench: Workbench) -> None:
    assert isinstance(check("lower(anything)", bench.sql), Expression)
    assert not isinstance(check("getenv(anything)", bench.sql), Expression)


def test_e164_asks_the_library_once_for_each_number(bench: Workbench) -> None:
    asked: list[tuple[str, str]] = []

    def read(number: str, region: str) -> str | None:
        asked.append((number, region))
        return "+13175550100" if region == "US" else None

    found = accepted(bench, "e164(phone, country)")
    assert stage_phones(bench, [found, found], read) == 1
    assert stage_phones(bench, [found], read) == 0
    assert asked == [("(317) 555-0100", "US")]
    assert values(bench, found.sql) == ["+13175550100", "+13175550101"]


def test_a_number_that_cannot_be_read_is_marked_not_passed_on(bench: Workbench) -> None:
    found = accepted(bench, "e164('12')")
    stage_phones(bench, [found], lambda *_: None)
    assert values(bench, found.sql) == ["\x01phone"] * 2
    assert values(bench, accepted(bench, "e164('  ')").sql) == [None, None]


def test_every_listed_function_exists(bench: Workbench) -> None:
    known = {row[0] for row in bench.sql.execute("SELECT DISTINCT function_name FROM duckdb_functions()").fetchall()}
    syntax = {"coalesce", "nullif", "ifnull", "struct_extract", "struct_pack", "trim"}
    assert PLAIN_FUNCTIONS - known - syntax == set()
    assert not PLAIN_FUNCTIONS & {"getenv", "read_text", "query", "current_setting"}
    assert "->" not in OPERATORS


pieces = st.sampled_from(
    ["email", "(", ")", "SELECT", "FROM", "records", ",", "'a'", "lower", "->", "lambda x:", "[", "]", "*", ";", "||",
     "getenv('HOME')", "read_text('/etc/passwd')", "AS", "::", "JSON", "{'a':", "}", ".", "--", "\n", "1", "OVER", "x"]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(300, 100))
@given(st.lists(pieces, max_size=9).map(" ".join))
def test_whatever_gets_through_reads_nothing_but_columns(bench: Workbench, text: str) -> None:
    found = check(text, bench.sql, COLUMNS)
    if isinstance(found, Expression):
        for word in ("SELECT ", "FROM ", "GETENV(", "READ_TEXT(", " OVER "):
            assert word not in found.sql.upper()
        assert accepted(bench, found.sql).sql == found.sql


def test_the_workbench_itself_reads_no_file_outside_its_folder(bench: Workbench, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    with pytest.raises(Exception, match="disabled by configuration"):
        bench.sql.execute(f"SELECT content FROM read_text('{outside}')").fetchall()
    with pytest.raises(Exception, match="locked"):
        bench.sql.execute("SET enable_external_access = true")
