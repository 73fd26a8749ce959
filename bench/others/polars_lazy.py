"""polars: scan_ndjson with a schema, rules as expressions, `unique` that keeps the order, and both outputs in one plan.

`POLARS_MODE=collect` gathers the result in memory and writes it from there; else both files are sinks of one streaming
plan. Which is faster changes with the version and the machine; both are measured. polars has no SHA-256, so the split
calls Python, a column at a time.
"""

import hashlib
import os
import sys

import polars as pl
from rules import LIMIT, ROLES_IN_ORDER, SALT

MESSAGE = pl.Struct({"content": pl.String, "role": pl.String})
SCHEMA = {"prompt": pl.String, "messages": pl.List(MESSAGE), "prompt_id": pl.String}
TEST = pl.col("test")


def main(source: str, train: str, test: str) -> None:
    """Read, filter, drop duplicates, split and write."""
    roles = pl.col("messages").list.eval(pl.element().struct.field("role")).list.join(",", ignore_nulls=False)
    text = pl.element().struct.field("content")
    good = (
        roles.str.contains(ROLES_IN_ORDER)
        & pl.col("messages").list.eval(text.str.contains(r"\S").fill_null(value=False)).list.all()
    )
    rows = pl.scan_ndjson(source, schema=SCHEMA).filter(good).unique("messages", keep="first", maintain_order=True)
    held_out = pl.col("prompt").map_batches(_held_out, return_dtype=pl.Boolean)
    if os.environ.get("POLARS_MODE") == "collect":
        frame = rows.collect(engine="streaming").with_columns(held_out.alias("test"))
        frame.filter(~TEST).drop("test").write_ndjson(train)
        frame.filter(TEST).drop("test").write_ndjson(test)
        return
    rows = rows.with_columns(held_out.alias("test"))
    sinks = [
        rows.filter(~TEST).drop("test").sink_ndjson(train, lazy=True),
        rows.filter(TEST).drop("test").sink_ndjson(test, lazy=True),
    ]
    pl.collect_all(sinks, engine="streaming")


def _held_out(prompts: pl.Series) -> pl.Series:
    salt = SALT.encode()
    return pl.Series([hashlib.sha256(prompt.encode() + salt).digest() < LIMIT for prompt in prompts], dtype=pl.Boolean)


if __name__ == "__main__":
    main(*sys.argv[1:])
