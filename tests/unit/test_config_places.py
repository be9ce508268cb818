"""Lines of keys, for whoever is told where a value comes from."""

from __future__ import annotations

from scimsync.config.places import lines

TEXT = '''\
# a comment
[source]            # 2
kind = "csv"
query = """
SELECT a = 1
[b]
"""                 # 7
null_values = [     # 8
  "[x]",
  "y = 2",
]

[limits.clear]      # 13
'phoneNumbers[type eq "work"].value' = 5
[attributes]
title = { value = "t", authority = "ask" }
a.b = 1
[[webhook]]
url = "one"
[[webhook]]
url = 'two\u2028lines'
secret = "s"
'''


def test_every_key_has_the_line_where_its_statement_begins() -> None:
    found = lines(TEXT)
    assert found["source",] == 2
    assert found["source", "query"] == 4
    assert found["source", "null_values"] == 8
    assert ("b",) not in found
    assert found["limits", "clear"] == 13
    assert found["limits", "clear", 'phoneNumbers[type eq "work"].value'] == 14
    assert found["attributes", "title"] == found["attributes", "title", "authority"] == 16
    assert found["attributes", "a", "b"] == 17


def test_tables_of_one_name_are_told_apart() -> None:
    found = lines(TEXT)
    assert found["webhook", 0, "url"] == 19
    assert (found["webhook", 1, "url"], found["webhook", 1, "secret"]) == (21, 22)
    assert ("webhook", 0, "secret") not in found


def test_the_line_end_of_windows_is_one() -> None:
    assert lines("[a]\r\nb = 1\r\n")["a", "b"] == 2


def test_a_long_list_is_gone_through_once() -> None:
    names = "".join(f'  "name {number}",\n' for number in range(20_000))
    assert lines(f"[policy]\nprotected = [\n{names}]\nleavers = 1\n")["policy", "leavers"] == 20_004
