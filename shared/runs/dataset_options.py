"""What a person may say about a dataset: the section `dataset` of `finetune.yaml`, of a request, or of the metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.dataset import PrepareOptions, PrepareOptionsError
from shared.errors import OptionsError

METADATA_PREFIX, COLUMN_PREFIX = "dataset_", "column_"
_IN_METADATA = ("layout", "context_window", "tokenizer", "drop")


class DatasetOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to read a dataset, and what lies beside it. None: found out from the file, or not wanted.

    columns: role of a column -> its name in the file. drop: kinds of content whose rows are left out. context_window:
    in tokens. train, test: patterns of file names within the dataset's folder. tokenizer: a file name there.
    """

    layout: str | None = None
    columns: dict[str, str] | None = None
    drop: list[str] | None = None
    context_window: int | None = None
    train: str | None = None
    test: str | None = None
    tokenizer: str | None = None


def from_metadata(entries: Mapping[str, str]) -> dict[str, Any]:
    """Read the section from metadata, the names without their prefix. Patterns are the folder's, not one file's.

    >>> from_metadata({"layout": "alpaca", "column_user": "question", "drop": "secrets, email_addresses"})
    {'layout': 'alpaca', 'columns': {'user': 'question'}, 'drop': ['secrets', 'email_addresses']}
    """
    section: dict[str, Any] = {}
    for name, value in entries.items():
        if name.startswith(COLUMN_PREFIX):
            section.setdefault("columns", {})[name.removeprefix(COLUMN_PREFIX)] = value
        elif name == "drop":
            section[name] = [part for part in map(str.strip, value.split(",")) if part]
        elif name in _IN_METADATA:
            section[name] = value
        else:
            known = ", ".join((*_IN_METADATA, f"{COLUMN_PREFIX}…"))
            raise OptionsError(f"blob metadata: finetune_{METADATA_PREFIX}{name} is not known, expected one of {known}")
    return section


def faults(options: DatasetOptions) -> Iterable[str]:
    """Say what is wrong with one layer's values. Whether layout and columns fit is known when all layers are merged."""
    try:
        PrepareOptions(layout=options.layout, drop=options.drop or [], context_window=options.context_window)
    except PrepareOptionsError as fault:
        yield f"dataset: {fault}"
    for name in ("train", "test", "tokenizer"):
        value = getattr(options, name)
        if value is not None and (not value.strip() or "/" in value or "\\" in value):
            form = "the name of a file" if name == "tokenizer" else "a pattern of file names, such as test*.jsonl,"
            yield f"dataset.{name} is {value!r}, expected {form} in the dataset's own folder"
    if options.test is not None and options.train == options.test:
        yield f"dataset.train and dataset.test are both {options.test!r}: nothing would be left to train on"


def check_merged(options: Mapping[str, Any], layers: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Check what single layers cannot tell: that the columns fit the layout, wherever each was said.

    Args: layers: where each layer comes from, and what it says.
    Raises: OptionsError: names the layers that spoke of layout or columns.
    """
    section = options.get("dataset", {})
    layout, columns = section.get("layout"), section.get("columns") or {}
    if layout is None and not columns:
        return
    try:
        PrepareOptions(layout=layout, columns=columns)
    except PrepareOptionsError as fault:
        said = [source for source, layer in layers if speaks_of_layout(layer)]
        raise OptionsError(f"{' and '.join(said)}: dataset: {fault}") from fault


def speaks_of_layout(layer: Mapping[str, Any]) -> bool:
    """Tell whether a layer of options says something about layout or columns."""
    return bool({"layout", "columns"} & layer.get("dataset", {}).keys())


def context_window(own: DatasetOptions, hyperparameters: Mapping[str, Any]) -> int | None:
    """Return how many tokens of a conversation are trained on, None when nobody has said so.

    >>> context_window(DatasetOptions(), {"max_seq_length": "2048"}), context_window(DatasetOptions(), {})
    (2048, None)
    """
    if own.context_window is not None:
        return own.context_window
    # -1 is the component's word for: whatever the model can do.
    try:
        length = int(hyperparameters.get("max_seq_length", -1))
    except ValueError:
        return None  # the hyperparameter's own check says so
    return length if length > 0 else None
