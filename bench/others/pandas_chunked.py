"""pandas in chunks of 1,000 rows: what people write when the whole file does not fit.

Duplicates in different chunks are found with a set of 16-byte keys; not with `isin`, which takes bytes that end in a
zero byte for others.
"""

import sys
from pathlib import Path

import pandas as pd
from rules import is_good, is_test, key

COLUMNS = ["prompt", "messages", "prompt_id"]


def main(source: str, train: str, test: str) -> None:
    """Read, filter, drop duplicates, split and write, chunk by chunk."""
    seen: set[bytes] = set()
    reader = pd.read_json(source, lines=True, chunksize=1000, dtype=False)
    with Path(train).open("w", encoding="utf-8") as train_file, Path(test).open("w", encoding="utf-8") as test_file:
        for chunk in reader:
            frame = chunk[COLUMNS]
            frame = frame[frame["messages"].map(is_good)]
            keys = frame["messages"].map(key)
            frame = frame[~(keys.duplicated() | keys.map(seen.__contains__))]
            seen.update(keys)
            held_out = frame["prompt"].map(is_test)
            for part, file in ((frame[~held_out], train_file), (frame[held_out], test_file)):
                if len(part):
                    part.to_json(file, orient="records", lines=True, force_ascii=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
