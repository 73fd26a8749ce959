"""Step ft_nlp_common_validation: refuse a job that cannot work, before anything expensive is done."""

import json
import math
from pathlib import Path
from typing import Any

from local.training.errors import UserInputError
from local.training.options import Options
from local.training.progress import log

DATA_INPUTS = ("train_file_path", "validation_file_path", "test_file_path")
ROLES = ("system", "user", "assistant", "tool")
Messages = list[dict[str, Any]]


def data_files(inputs: dict[str, str]) -> dict[str, Path]:
    """Name the job's data files. Raises: UserInputError: no training file, or a kind of data that is not read here."""
    for name in ("train_mltable_path", "validation_mltable_path", "test_mltable_path"):
        if inputs.get(name):
            raise UserInputError(
                f"{name} is set, but only JSONL files are read here: use {name.replace('mltable', 'file')}."
            )
    if not inputs.get("train_file_path"):
        raise UserInputError("train_file_path is missing: a job needs a training file.")
    return {name: Path(inputs[name]) for name in DATA_INPUTS if inputs.get(name)}


def read_conversations(path: Path, name: str) -> list[Messages]:
    """Read a JSONL file of {"messages": [{"role", "content"}, ...]}.

    Raises: UserInputError: the file or a line of it cannot be used; the message has the first such line's number.
    """
    if not path.is_file():
        raise UserInputError(f"{name}: there is no file {path.name}.")
    rows: list[Messages] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                rows.append(_conversation(line, f"{name}, {path.name} line {number}"))
    if not rows:
        raise UserInputError(f"{name}: {path.name} has no rows.")
    return rows


def _conversation(line: bytes, where: str) -> Messages:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserInputError(f"{where}: not a JSON object ({error}).") from error
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages:
        raise UserInputError(f'{where}: no "messages"; each line must be {{"messages": [{{"role", "content"}}, ...]}}.')
    for message in messages:
        fault = _message_fault(message)
        if fault:
            raise UserInputError(f"{where}: {fault}.")
    if not any(message["role"] == "assistant" for message in messages):
        raise UserInputError(f"{where}: no message of the assistant, so there is nothing to learn.")
    return [{**message, "content": message.get("content") or ""} for message in messages]


def _message_fault(message: Any) -> str | None:
    if not isinstance(message, dict):
        return "a message is not an object with role and content"
    if message.get("role") not in ROLES:
        return f"role {message.get('role')!r} is not one of {', '.join(ROLES)}"
    if not isinstance(message.get("content"), str | None):
        return "content is not text"
    return None


def say_what_is_ignored(options: Options) -> None:
    """Say in the log which inputs mean nothing on this machine, and what is done instead."""
    o = options
    notes = {
        "precision=16": (o.precision == "16", "half precision is slower than fp32 on a CPU: training in fp32"),
        "apply_deepspeed": (o.apply_deepspeed, "DeepSpeed needs GPUs: training in one process"),
        "apply_ort": (o.apply_ort, "ONNX Runtime training is not used"),
        "auto_find_batch_size": (o.auto_find_batch_size, "batches are computed in parts that fit the memory"),
        "metric_for_best_model": (o.metric_for_best_model != "loss", "the best model is the one with the lowest loss"),
        "pad_to_max_length": (
            o.pad_to_max_length,
            "rows are padded to the longest of their batch, for the same result",
        ),
        "resume_from_checkpoint": (o.resume_from_checkpoint, "training starts from the base model"),
    }
    for name, (applies, instead) in notes.items():
        if applies:
            log.info("%s is ignored on this machine: %s", name, instead)


def describe(rows: list[Messages], name: str) -> None:
    turns = sum(len(row) for row in rows)
    log.info("%s: %d rows, %d messages, %.1f messages a row", name, len(rows), turns, turns / len(rows))


def steps_per_epoch(rows: int, options: Options) -> int:
    """Return the number of optimizer steps of one pass over the data."""
    batches = math.ceil(rows / options.per_device_train_batch_size)
    return max(1, math.ceil(batches / options.gradient_accumulation_steps))
