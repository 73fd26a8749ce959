"""The quantities of an estimate, one after the other. The formula is the package's docstring."""

from __future__ import annotations

import math

from shared.costs.lengths import Lengths
from shared.costs.machines import machine
from shared.costs.models import model_size
from shared.costs.plan import TrainingPlan, Workload
from shared.costs.rates import (
    BATCH_OVERHEAD_S,
    FULL_OPERATIONS,
    LORA_OPERATIONS,
    SET_UP_HOURS,
    TEST_OPERATIONS,
    UTILISATION,
)
from shared.costs.words import assumptions, notes
from shared.dataset.page import Range, Training
from shared.dataset.report import Report


def workload_of(report: Report) -> Workload:
    """Read the amount of work from a dataset's report."""
    return Workload(
        train_rows=report.rows_train,
        test_rows=report.rows_test,
        lengths=report.approx_tokens,
        context_window=report.options.context_window,
        tokens_over_context=report.tokens_over_context,
    )


def estimate(workload: Workload, plan: TrainingPlan) -> Training | None:
    """Estimate a training. None: there is nothing to train on."""
    if workload.train_rows <= 0 or workload.lengths.count <= 0:
        return None
    return _training(Quantities(workload, plan))


class Quantities:
    """The formula's quantities for a workload and a plan."""

    def __init__(self, workload: Workload, plan: TrainingPlan) -> None:
        self.workload, self.plan = workload, plan
        self.machine = machine(plan.instance_type, plan.usd_per_hour)
        self.model = model_size(plan.foundation_model)
        self.gpus = max(1, plan.gpus_per_node or self.machine.gpus or 1)
        self.nodes = max(1, plan.num_nodes_finetune)
        self.devices = self.gpus * self.nodes
        self.longest = self._longest()
        self.lengths = Lengths(workload.lengths, self.longest, self._tokens_cut())
        self.batches_per_epoch = self._batches(workload.train_rows, plan.per_device_train_batch_size)
        self.steps_per_epoch = _up(self.batches_per_epoch, max(1, plan.gradient_accumulation_steps))
        wanted = math.ceil(plan.num_train_epochs * self.steps_per_epoch)
        self.steps = plan.max_steps if plan.max_steps > 0 else max(1, wanted)
        self.epochs = self.steps / self.steps_per_epoch

    def _longest(self) -> int | None:
        """Tokens at which a conversation is cut: what was asked for, but no more than the model takes."""
        asked = self.plan.max_seq_length if self.plan.max_seq_length > 0 else None
        model = (self.model.context_window if self.model else None) or self.workload.context_window
        return min((limit for limit in (asked, model) if limit), default=None)

    def _tokens_cut(self) -> int | None:
        """What cutting takes away, where that was counted. None: to be read from the histogram."""
        counted = self.longest is not None and self.longest == self.workload.context_window
        return self.workload.tokens_over_context if counted else None

    def _batches(self, rows: int, batch_size: int) -> int:
        """Batches that one GPU computes in a pass; every GPU gets the same number of rows."""
        return _up(_up(rows, self.devices), max(1, batch_size))

    @property
    def tokens_computed(self) -> float:
        """Tokens of all passes over the training rows, padding included."""
        return self._padded(self.plan.per_device_train_batch_size) * self.workload.train_rows * self.epochs

    def _padded(self, batch_size: int) -> float:
        if self.plan.pad_to_max_length and self.longest:
            return float(self.longest)
        return self.lengths.padded(batch_size)

    @property
    def evaluations(self) -> int:
        """How often the test rows are computed."""
        if self.plan.evaluation_strategy == "epoch":
            return math.ceil(self.epochs)
        return self.steps // max(1, self.plan.eval_steps) if self.plan.evaluation_strategy == "steps" else 0

    @property
    def _tokens_tested(self) -> float:
        return self._padded(self.plan.per_device_eval_batch_size) * self.workload.test_rows * self.evaluations

    @property
    def _batches_computed(self) -> float:
        tested = self._batches(self.workload.test_rows, self.plan.per_device_eval_batch_size) * self.evaluations
        return self.batches_per_epoch * self.epochs + tested

    def training_hours(self) -> Range | None:
        """Hours of the passes alone."""
        if self.machine.gpu is None or self.model is None:
            return None
        gpu, halves = self.machine.gpu, self.plan.precision == 16
        operations = LORA_OPERATIONS if self.plan.apply_lora else FULL_OPERATIONS
        low, high = self._work(operations.low), self._work(operations.high)
        return Range(
            self._hours(low, (gpu.fp16 if halves else gpu.tf32) * UTILISATION.high, BATCH_OVERHEAD_S.low),
            self._hours(high, (gpu.fp16 if halves else gpu.fp32) * UTILISATION.low, BATCH_OVERHEAD_S.high),
        )

    def _work(self, operations: float) -> float:
        """TFLOP of a training with so many operations a token and parameter."""
        assert self.model is not None
        tokens = self.tokens_computed * operations + self._tokens_tested * TEST_OPERATIONS
        return tokens * self.model.active * self._attention(self.model.active) / 1000

    def _attention(self, billions: float) -> float:
        """1, and the work of attention, which grows with the length of a conversation.

        A transformer of width d has about 12 d² parameters in each of about d / 128 layers; attending to T tokens adds
        T / 12 d to the work of the weights.
        """
        width = math.cbrt(128 * billions * 1e9 / 12)
        return 1 + self.lengths.attended / (12 * width)

    def _hours(self, work: float, speed: float, overhead_s: float) -> float:
        return (work / (speed * self.devices) + self._batches_computed * overhead_s) / 3600


def _training(found: Quantities) -> Training:
    training_hours = found.training_hours()
    hours, price = _with_set_up(training_hours), found.machine.usd_per_hour
    rows = found.workload.train_rows
    return Training(
        foundation_model=found.plan.foundation_model,
        instance_type=found.machine.size,
        gpu=found.machine.gpu.title if found.machine.gpu else "",
        gpus=found.gpus,
        nodes=found.nodes,
        lora=found.plan.apply_lora,
        epochs=round(found.epochs, 2),
        train_rows=rows,
        tokens=round(found.lengths.mean * rows),
        tokens_cut=round(found.lengths.mean_cut * rows),
        tokens_computed=round(found.tokens_computed),
        steps=found.steps,
        steps_per_epoch=found.steps_per_epoch,
        training_hours=_times(training_hours, 1),
        hours=_times(hours, 1),
        gpu_hours=_times(hours, found.devices),
        usd_per_hour=price,
        price_usd=None if price is None else _times(hours, found.nodes * price, digits=2),
        price_region=found.machine.region,
        price_as_of=found.machine.as_of,
        assumptions=assumptions(found),
        notes=notes(found),
    )


def _up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def _with_set_up(hours: Range | None) -> Range | None:
    return hours and Range(hours.low + SET_UP_HOURS.low, hours.high + SET_UP_HOURS.high)


def _times(hours: Range | None, factor: float, digits: int = 4) -> Range | None:
    return hours and Range(round(hours.low * factor, digits), round(hours.high * factor, digits))
