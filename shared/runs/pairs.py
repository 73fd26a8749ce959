"""Which file of a folder is trained on, and which one is it tested with: by what was announced, else by their names.

Nothing here looks into storage: names in, a decision out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from enum import StrEnum
from fnmatch import fnmatchcase

from shared.runs.dataset_options import DatasetOptions
from shared.storage import BlobInfo

TRAIN_WORDS = ("train", "training")
# In the order in which they are preferred: what is called a test is what nobody has looked at while training.
TEST_WORDS = ("test", "testing", "validation", "valid", "val", "eval", "evaluation", "dev")
_EXTENSIONS = re.compile(r"(?:\.(?:jsonl?|ndjson|csv|tsv|parquet|gz|gzip|zst|zstd))+\Z")
_SHARD = re.compile(r"-\d{5}-of-\d{5}(?:-[0-9a-f]{8,})?\Z")  # as Hugging Face numbers the files of a split
_WORD = re.compile(rf"({'|'.join(TRAIN_WORDS + TEST_WORDS)})(?:set|data|split)?(\d*)\Z")


class Role(StrEnum):
    """What a file of a folder is to the others."""

    DATASET = "dataset"
    """Trained on; a part of it is held out."""
    TRAINING = "training"
    """Trained on, and tested with a file beside it if there is one."""
    TEST = "test"
    """A training file is tested with it; it is not trained on."""
    PERHAPS_TEST = "perhaps test"
    """Named like a test file, but there is no training file beside it (yet)."""
    TOKENIZER = "tokenizer"


def part_of(file: str) -> tuple[str, str] | None:
    """Return the word of a file's name that says which part of a dataset it is, and the rest of the name.

    Two files with the same rest belong together. Only whole words count.

    >>> part_of("train.jsonl"), part_of("ultrachat_test_sft.parquet"), part_of("dev-00000-of-00001.parquet")
    (('train', ''), ('test', 'ultrachat sft'), ('dev', ''))
    >>> part_of("device-manuals.jsonl"), part_of("testimonials.csv")
    (None, None)
    """
    stem = _SHARD.sub("", _EXTENSIONS.sub("", file.lower()))
    tokens = [token for token in re.split(r"[\W_]+", stem) if token]
    for at, token in enumerate(tokens):
        if match := _WORD.match(token):
            return match[1], " ".join([*tokens[:at], *([match[2]] if match[2] else []), *tokens[at + 1 :]])
    return None


def is_training_name(file: str) -> bool:
    """Tell whether a file is called a training file."""
    part = part_of(file)
    return part is not None and part[0] in TRAIN_WORDS


def is_test_name(file: str) -> bool:
    """Tell whether a file is called a test file."""
    part = part_of(file)
    return part is not None and part[0] in TEST_WORDS


def matches(pattern: str | None, file: str) -> bool:
    """Tell whether a file is one of those that were announced.

    >>> matches("test*.jsonl", "test-2026.jsonl"), matches(None, "test.jsonl")
    (True, False)
    """
    return pattern is not None and fnmatchcase(file, pattern)


def role_of(file: str, siblings: Collection[str], announced: DatasetOptions) -> Role:
    """Return what a file is. What matches both patterns is a test file: `train: "*.jsonl"` means all the others."""
    if file == announced.tokenizer:
        return Role.TOKENIZER
    if matches(announced.test, file):
        return Role.TEST
    if matches(announced.train, file):
        return Role.TRAINING
    if is_test_name(file):
        return Role.TEST if any(is_trained_on(other, announced) for other in siblings) else Role.PERHAPS_TEST
    if announced.test is not None:
        return Role.TRAINING if announced.train is None else Role.DATASET
    return Role.TRAINING if is_training_name(file) else Role.DATASET


def is_trained_on(file: str, announced: DatasetOptions) -> bool:
    """Tell whether a file is a training file that a test file beside it may belong to."""
    if matches(announced.test, file) or file == announced.tokenizer:
        return False
    if announced.train is not None:
        return matches(announced.train, file)
    return not is_test_name(file) if announced.test is not None else is_training_name(file)


def choose_test(file: str, siblings: Iterable[BlobInfo], announced: DatasetOptions) -> BlobInfo | None:
    """Return what a training file is tested with, None when nothing is there.

    Of several files that were announced the newest. Else by name: the one whose name differs in that word only, or a
    general one (`test.jsonl` for `train_a.jsonl`), or, for a general training file, one that is nobody else's.
    """
    others = [blob for blob in siblings if file_of(blob.name) not in (file, announced.tokenizer)]
    if announced.test is not None:
        found = [blob for blob in others if matches(announced.test, file_of(blob.name))]
        return max(found, key=lambda blob: (blob.modified_at, blob.name), default=None)
    own = part_of(file)
    if own is None:
        return None
    rests = {part[1] for blob in others if (part := part_of(file_of(blob.name))) and part[0] in TRAIN_WORDS}
    fitting = []
    for blob in others:
        word, rest = part_of(file_of(blob.name)) or ("", "")
        is_shared = "" in (rest, own[1]) and rest not in rests
        if word in TEST_WORDS and (rest == own[1] or is_shared):
            fitting.append((rest == own[1], -TEST_WORDS.index(word), blob.modified_at, blob.name, blob))
    return max(fitting)[-1] if fitting else None


def folder_of(blob: str) -> str:
    """Return a blob's folder, "" at the top, else with its slash."""
    return blob[: blob.rfind("/") + 1]


def file_of(blob: str) -> str:
    """Return the last part of a blob's name."""
    return blob.rpartition("/")[2]
