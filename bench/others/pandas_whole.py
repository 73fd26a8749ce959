"""pandas with the whole file in one DataFrame, as the notebook does it that this project grew out of.

The types are left alone (`dtype=False`): faster, and a prompt such as "123" stays a string.
pandas cannot look into a column of lists by itself, so rules and keys are Python functions.
"""

import sys

import pandas as pd
from rules import is_good, is_test, key

COLUMNS = ["prompt", "messages", "prompt_id"]


def main(source: str, train: str, test: str) -> None:
    """Read, filter, drop duplicates, split and write."""
    frame = pd.read_json(source, lines=True, dtype=False)[COLUMNS]
    frame = frame[frame["messages"].map(is_good)]
    frame = frame[~frame["messages"].map(key).duplicated()]
    held_out = frame["prompt"].map(is_test)
    frame[~held_out].to_json(train, orient="records", lines=True, force_ascii=False)
    frame[held_out].to_json(test, orient="records", lines=True, force_ascii=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
