"""duckdb, one thread: all of it in SQL, with its own SHA-256.

The kept rows become a temporary table that two COPYs write; one COPY with PARTITION_BY costs as much.
"""

import sys

import duckdb
from rules import LIMIT, ROLES_IN_ORDER

COLUMNS = "{prompt: 'VARCHAR', messages: 'STRUCT(content VARCHAR, role VARCHAR)[]', prompt_id: 'VARCHAR'}"
KEPT = f"""
CREATE TEMP TABLE kept AS
SELECT DISTINCT ON (messages) prompt, messages, prompt_id,
       sha256(prompt || chr(0) || 'seed:0') < '{LIMIT.hex()}' AS test
FROM read_json(?, format = 'newline_delimited', columns = {COLUMNS})
WHERE regexp_matches(
        array_to_string(list_transform(messages, lambda m: coalesce(m.role, '?')), ','), '{ROLES_IN_ORDER}')
  AND list_bool_and(list_transform(messages, lambda m: coalesce(regexp_matches(m.content, '\\S'), false)))
"""


def main(source: str, train: str, test: str) -> None:
    """Read, filter, drop duplicates, split and write."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(KEPT, [source])
    for path, which in ((train, "NOT test"), (test, "test")):
        connection.execute(
            f"COPY (SELECT prompt, messages, prompt_id FROM kept WHERE {which}) TO '{path}' (FORMAT json)"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
