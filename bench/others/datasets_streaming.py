"""Hugging Face datasets with streaming=True: no copy on disk, rows as Python objects, written with orjson.

orjson rather than json.dumps: it is what people reach for, and faster.
"""

import os
import sys
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")

import orjson
from datasets import load_dataset
from rules import is_good, is_test, key


def main(source: str, train: str, test: str) -> None:
    """Read, filter, drop duplicates, split and write."""
    seen: set[bytes] = set()
    rows = load_dataset("json", data_files=source, split="train", streaming=True)
    with Path(train).open("wb") as train_file, Path(test).open("wb") as test_file:
        for batch in rows.iter(batch_size=1000):
            for prompt, messages, prompt_id in zip(batch["prompt"], batch["messages"], batch["prompt_id"], strict=True):
                if not is_good(messages) or (number := key(messages)) in seen:
                    continue
                seen.add(number)
                row = {"prompt": prompt, "messages": messages, "prompt_id": prompt_id}
                (test_file if is_test(prompt) else train_file).write(orjson.dumps(row) + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
