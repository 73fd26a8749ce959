"""What an estimate assumes, and what it could not know, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.costs.rates import BATCH_OVERHEAD_S, SET_UP_HOURS, UTILISATION

if TYPE_CHECKING:
    from shared.costs.estimates import Quantities

_BYTES_TO_TRAIN = 16  # weights and gradients in 16 bit, the optimizer's three copies in 32 bit
_BYTES_TO_HOLD = 2


def assumptions(found: Quantities) -> list[str]:
    """What was taken for granted."""
    sentences = [_model(found), _passes(found), _batches(found), _length(found)]
    if found.evaluations:
        times = "once" if found.evaluations == 1 else f"{found.evaluations:,} times"
        sentences.append(f"The {found.workload.test_rows:,} test rows are computed {times}.")
    if found.machine.gpu:
        sentences += [
            f"The GPUs do useful work for {100 * UTILISATION.low:g} to {100 * UTILISATION.high:g} % of their peak "
            f"speed; each batch costs another {BATCH_OVERHEAD_S.low:g} to {BATCH_OVERHEAD_S.high:g} seconds.",
            f"The GPU machine is paid for {SET_UP_HOURS.low:g} to {SET_UP_HOURS.high:g} hours beyond that: starting, "
            "loading the model, saving and converting it.",
        ]
    if found.machine.usd_per_hour is not None:
        sentences += [
            f"{found.machine.size} costs {found.machine.usd_per_hour:,.2f} USD an hour: {_whose_price(found)}",
            "Not counted: the steps on CPU machines, storage, and the endpoint that serves the model afterwards.",
        ]
    return sentences


def _whose_price(found: Quantities) -> str:
    if not found.machine.region:
        return "so it was set for this app."
    return (
        f"list price, pay as you go, in {found.machine.region}, as of {found.machine.as_of}. Other regions often cost "
        "10 to 40 % more."
    )


def _model(found: Quantities) -> str:
    if found.model is None:
        return f"{found.plan.foundation_model} is trained {_how(found)}."
    size = f"{found.model.parameters:,.3g} billion parameters"
    if found.model.active != found.model.parameters:
        size += f", of which a token uses {found.model.active:,.3g} billion"
    return f"{found.plan.foundation_model} has {size}; it is trained {_how(found)}, in {found.plan.precision} bit."


def _how(found: Quantities) -> str:
    return "with LoRA" if found.plan.apply_lora else "in full, all weights"


def _passes(found: Quantities) -> str:
    if found.plan.max_steps > 0:
        return (
            f"Training ends after {found.steps:,} steps (max_steps), which is {found.epochs:,.2f} passes over the rows."
        )
    passes = "one pass" if found.plan.num_train_epochs == 1 else f"{found.plan.num_train_epochs:g} passes"
    early = ", unless early stopping ends it before" if _may_stop(found) else ""
    return f"Training takes {passes} over the rows{early}."


def _may_stop(found: Quantities) -> bool:
    return found.plan.apply_early_stopping and found.evaluations > 1


def _batches(found: Quantities) -> str:
    size = found.plan.per_device_train_batch_size
    gpus = "1 GPU" if found.devices == 1 else f"{found.devices} GPUs"
    per_step = size * found.devices * found.plan.gradient_accumulation_steps
    rows = "1 conversation" if per_step == 1 else f"{per_step:,} conversations"
    return (
        f"A step takes {rows}: {gpus}, batches of {size}, gradients gathered over "
        f"{found.plan.gradient_accumulation_steps}. Conversations are not packed together."
    )


def _length(found: Quantities) -> str:
    if found.longest is None:
        return "Conversations are trained on whole, however long."
    if found.plan.pad_to_max_length:
        return f"Every conversation is cut or padded to {found.longest:,} tokens."
    return f"Conversations are cut at {found.longest:,} tokens, and padded to the longest one of their batch."


def notes(found: Quantities) -> list[str]:
    """What a person should know before paying."""
    sentences = []
    if found.model is None:
        sentences.append(
            f"The size of {found.plan.foundation_model} is not known, so neither are the hours and the price."
        )
    if found.machine.gpu is None:
        sentences.append(f"The GPU of {found.machine.size} is not known, so neither are the hours and the price.")
    elif found.machine.usd_per_hour is None:
        sentences.append(f"There is no list price for {found.machine.size} here, so only the hours are estimated.")
    if found.machine.gpu and not (found.plan.gpus_per_node or found.machine.gpus):
        sentences.append(f"How many GPUs {found.machine.size} has is not known; one was assumed.")
    return sentences + _memory(found)


def _memory(found: Quantities) -> list[str]:
    """A warning where the weights alone fill the GPUs."""
    if found.model is None or found.machine.gpu is None:
        return []
    shared_out = found.plan.apply_deepspeed and (found.plan.deepspeed_stage == 3 or not found.plan.apply_lora)
    gpus = found.devices if shared_out else 1
    needed = found.model.parameters * (_BYTES_TO_HOLD if found.plan.apply_lora else _BYTES_TO_TRAIN)
    available = found.machine.gpu.memory_gb * gpus
    if needed <= available * 0.9:
        return []
    advice = "Take a larger size" if found.plan.apply_lora else "Use LoRA or a larger size"
    return [
        f"The model needs about {needed:,.0f} GB of GPU memory for its weights and their training, "
        f"and there are {available:,} GB: the job would probably run out of memory. {advice}."
    ]
