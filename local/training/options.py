"""The component's inputs as typed values, with every fault reported together."""

from collections.abc import Callable
from dataclasses import dataclass, fields

from local.training.errors import UserInputError

SCHEDULES = ("linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup")


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


def _integer(text: str) -> int:
    value = float(text)  # a service may write 3 as "3.0"
    if value != int(value):
        raise ValueError
    return int(value)


_KINDS: dict[type, tuple[Callable[[str], object], str]] = {
    bool: (_boolean, "true or false"),
    int: (_integer, "a whole number"),
    float: (float, "a number"),
    str: (str, "text"),
}


@dataclass(frozen=True)
class Options:
    """Names and defaults are those of chat_completion_pipeline 0.0.82."""

    task_name: str = "ChatCompletion"
    max_seq_length: int = -1
    pad_to_max_length: bool = False
    apply_lora: bool = False
    merge_lora_weights: bool = True
    lora_alpha: int = 128
    lora_r: int = 8
    lora_dropout: float = 0.0
    num_train_epochs: int = 1
    max_steps: int = -1
    per_device_train_batch_size: int = 1
    per_device_eval_batch_size: int = 1
    gradient_accumulation_steps: int = 1
    auto_find_batch_size: bool = False
    optim: str = "adamw_torch"
    learning_rate: float = 2e-5
    lr_scheduler_type: str = "linear"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    seed: int = 42
    precision: str = "32"
    evaluation_strategy: str = "epoch"
    evaluation_steps_interval: float = 0.0
    eval_steps: int = 500
    logging_strategy: str = "steps"
    logging_steps: int = 10
    metric_for_best_model: str = "loss"
    apply_early_stopping: bool = False
    early_stopping_patience: int = 1
    early_stopping_threshold: float = 0.0
    apply_deepspeed: bool = False
    apply_ort: bool = False
    resume_from_checkpoint: bool = False


# name -> (whether the value will do, what would do)
_RULES: dict[str, tuple[Callable[..., bool], str]] = {
    "task_name": (lambda v: v == "ChatCompletion", "ChatCompletion"),
    "max_seq_length": (lambda v: v == -1 or v >= 8, "-1 or at least 8"),
    "lora_alpha": (lambda v: v >= 1, "at least 1"),
    "lora_r": (lambda v: v >= 1, "at least 1"),
    "lora_dropout": (lambda v: 0 <= v < 1, "at least 0 and below 1"),
    "num_train_epochs": (lambda v: v >= 1, "at least 1"),
    "max_steps": (lambda v: v == -1 or v >= 1, "-1 or at least 1"),
    "per_device_train_batch_size": (lambda v: v >= 1, "at least 1"),
    "per_device_eval_batch_size": (lambda v: v >= 1, "at least 1"),
    "gradient_accumulation_steps": (lambda v: v >= 1, "at least 1"),
    "optim": (lambda v: v in ("adamw_torch", "adafactor"), "adamw_torch or adafactor"),
    "learning_rate": (lambda v: 0 < v < float("inf"), "above 0"),
    "lr_scheduler_type": (lambda v: v in SCHEDULES, "one of " + ", ".join(SCHEDULES)),
    "warmup_steps": (lambda v: v >= 0, "at least 0"),
    "weight_decay": (lambda v: v >= 0, "at least 0"),
    "adam_beta1": (lambda v: 0 <= v < 1, "at least 0 and below 1"),
    "adam_beta2": (lambda v: 0 <= v < 1, "at least 0 and below 1"),
    "adam_epsilon": (lambda v: v > 0, "above 0"),
    "max_grad_norm": (lambda v: v >= 0, "at least 0"),
    "precision": (lambda v: v in ("16", "32"), "16 or 32"),
    "evaluation_strategy": (lambda v: v in ("epoch", "steps", "disable"), "epoch, steps or disable"),
    "evaluation_steps_interval": (lambda v: 0 <= v <= 1, "between 0 and 1"),
    "eval_steps": (lambda v: v >= 1, "at least 1"),
    "logging_strategy": (lambda v: v in ("epoch", "steps"), "epoch or steps"),
    "logging_steps": (lambda v: v >= 1, "at least 1"),
    "metric_for_best_model": (lambda v: v in ("loss", "f1", "exact"), "loss, f1 or exact"),
    "early_stopping_patience": (lambda v: v >= 1, "at least 1"),
    "early_stopping_threshold": (lambda v: v >= 0, "at least 0"),
}


def parse_options(inputs: dict[str, str]) -> Options:
    """Read the hyperparameters from the job's inputs; inputs of other kinds (data, computes) are not looked at.

    Raises: UserInputError: some value cannot be used; the message names all of them.
    """
    values: dict[str, object] = {}
    faults: list[str] = []
    for field in fields(Options):
        text = inputs.get(field.name)
        if text is None:
            continue
        parse, wanted = _KINDS[field.type]  # type: ignore[index]
        holds, rule = _RULES.get(field.name, (lambda _: True, ""))
        try:
            values[field.name] = value = parse(text)
        except (ValueError, OverflowError):
            faults.append(f"{field.name} is {text!r}, expected {wanted}")
            continue
        if not holds(value):
            faults.append(f"{field.name} is {text!r}, expected {rule}")
    if faults:
        raise UserInputError("The hyperparameters cannot be used: " + "; ".join(faults) + ".")
    return Options(**values)  # type: ignore[arg-type]
