"""Hugging Face datasets: load_dataset, filter, to_json. It keeps an Arrow copy of the file on disk and maps it.

One batched filter for rules and duplicates, so that every row becomes Python objects once; the split's filters read
the prompt alone. Batches of 1,000 are the library's default. One process.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")

from datasets import load_dataset
from rules import Messages, is_good, is_test, key


def main(source: str, train: str, test: str) -> None:
    """Read, filter, drop duplicates, split and write."""
    seen: set[bytes] = set()

    def keep(batch: list[Messages]) -> list[bool]:
        return [is_good(messages) and _is_new(key(messages), seen) for messages in batch]

    with tempfile.TemporaryDirectory(dir=Path(train).parent) as cache:
        rows = load_dataset("json", data_files=source, split="train", cache_dir=cache)
        # A fingerprint of our own: what `keep` remembers must not be pickled to make one.
        rows = rows.filter(keep, input_columns=["messages"], batched=True, new_fingerprint="kept")
        for path, wanted in ((train, False), (test, True)):
            part = rows.filter(
                lambda prompts, wanted=wanted: [is_test(prompt) is wanted for prompt in prompts],
                input_columns=["prompt"],
                batched=True,
                new_fingerprint=f"test-{wanted}",
            )
            part.to_json(path, lines=True, force_ascii=False)


def _is_new(number: bytes, seen: set[bytes]) -> bool:
    before = len(seen)
    seen.add(number)
    return len(seen) > before


if __name__ == "__main__":
    main(*sys.argv[1:])
