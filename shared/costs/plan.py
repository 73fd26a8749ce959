"""What an estimate is made from."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from shared import typed
from shared.dataset.report import Histogram

# The app's own defaults, for a command line that knows no settings; a test holds them against the settings.
DEFAULT_MODEL = "Phi-4"
DEFAULT_INSTANCE_TYPE = "Standard_NC24ads_A100_v4"


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to train on. lengths: tokens of the kept conversations, training and test rows alike.

    context_window, tokens_over_context: where long conversations were measured, and the tokens beyond it.
    """

    train_rows: int
    test_rows: int
    lengths: Histogram
    context_window: int | None = None
    tokens_over_context: int = 0


class TrainingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a training. The hyperparameters have the component's names and meanings.

    Those given here are what this app submits for the default model. gpus_per_node: None takes what the VM size has.
    max_seq_length, max_steps: -1 for no limit of their own. usd_per_hour: what a machine costs, if not the list price.
    """

    foundation_model: str = DEFAULT_MODEL
    instance_type: str = DEFAULT_INSTANCE_TYPE
    gpus_per_node: int | None = None
    usd_per_hour: float | None = None
    num_nodes_finetune: int = 1
    num_train_epochs: float = 1
    max_steps: int = -1
    per_device_train_batch_size: int = 1
    per_device_eval_batch_size: int = 1
    gradient_accumulation_steps: int = 1
    max_seq_length: int = -1
    pad_to_max_length: bool = False
    apply_lora: bool = True
    apply_deepspeed: bool = True
    deepspeed_stage: int = 3
    precision: int = 16
    evaluation_strategy: str = "epoch"
    eval_steps: int = 500
    apply_early_stopping: bool = True

    @classmethod
    def of(
        cls,
        hyperparameters: Mapping[str, object],
        *,
        foundation_model: str,
        instance_type: str,
        gpus_per_node: int | None = None,
        usd_per_hour: float | None = None,
    ) -> TrainingPlan:
        """Make a plan of a run's hyperparameters, as text or as plain values; those it does not need are passed over.

        Raises: msgspec.ValidationError: a value is not of its type.
        """
        known = {name: hyperparameters[name] for name in cls.__struct_fields__ if name in hyperparameters}
        chosen = {
            "foundation_model": foundation_model,
            "instance_type": instance_type,
            "gpus_per_node": gpus_per_node,
            "usd_per_hour": usd_per_hour,
        }
        return typed.convert({**known, **chosen}, cls, strict=False)
