"""Step chat_completion_finetune: the training itself."""

import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from local.training.batches import epoch_batches
from local.training.errors import StepError
from local.training.network import Network
from local.training.optimizer import make_optimizer
from local.training.options import Options
from local.training.preprocess import Row, TokenizedData
from local.training.progress import log
from local.training.validation import steps_per_epoch

# An evaluation on a small machine must not cost more than the training it measures.
MOST_EVALUATED_ROWS = 64

LogMetrics = Callable[[dict[str, float], int], None]


class Finetuning:
    """Trains a network, measures it, keeps the best weights. Metrics carry the names of Hugging Face's Trainer."""

    def __init__(self, network: Network, data: TokenizedData, options: Options, log_metrics: LogMetrics) -> None:
        self._network, self._options, self._log_metrics = network, options, log_metrics
        self._train = data.train
        self._validation = data.validation[:MOST_EVALUATED_ROWS]
        if len(self._validation) < len(data.validation):
            log.info("the first %d of %d validation rows are evaluated", len(self._validation), len(data.validation))
        self._per_epoch = steps_per_epoch(len(self._train), options)
        self.total_steps = options.max_steps if options.max_steps > 0 else self._per_epoch * options.num_train_epochs
        self._optimizer, self._schedule = make_optimizer(network.model, options, self.total_steps)
        self._best: tuple[float, list[Any]] | None = None
        self._evaluations_without_gain = 0

    def run(self) -> dict[str, float]:
        """Train to the end, or to the early stop; leave the best weights in the network. Returns: the final metrics."""
        options = self._options
        log.info("%d rows, %d steps of %d rows", len(self._train), self.total_steps, self._rows_per_step())
        self._network.prepare_for(self._train + self._validation)
        if options.evaluation_strategy != "disable":
            self._evaluate(0)
        started, step = time.monotonic(), 0
        losses: list[float] = []
        logged = 0
        for step, batches in enumerate(self._batches(), 1):
            losses.append(self._one_step(batches, step))
            if step % self._every(options.logging_strategy, options.logging_steps) == 0 or step == self.total_steps:
                self._log_training(losses[logged:], step)
                logged = len(losses)
            if self._evaluation_is_due(step) and self._should_stop(self._evaluate(step), step):
                break
        took = time.monotonic() - started
        return self._finish(losses, step, took)

    def _rows_per_step(self) -> int:
        return self._options.per_device_train_batch_size * self._options.gradient_accumulation_steps

    def _batches(self) -> Iterator[list[Row]]:
        """Yield the rows of each optimizer step, epoch after epoch."""
        rng = random.Random(self._options.seed)
        done = 0
        while True:
            batches = epoch_batches(self._train, self._options.per_device_train_batch_size, rng)
            for start in range(0, len(batches), self._options.gradient_accumulation_steps):
                if done == self.total_steps:
                    return
                done += 1
                yield [
                    row for batch in batches[start : start + self._options.gradient_accumulation_steps] for row in batch
                ]

    def _one_step(self, rows: list[Row], step: int) -> float:
        import torch

        total = self._network.backward(rows)
        if not math.isfinite(total):
            raise StepError(
                f"The training loss is {total} at step {step}: the training diverged. "
                f"Use a smaller learning_rate than {self._options.learning_rate:g}."
            )
        if self._options.max_grad_norm > 0:
            torch.nn.utils.clip_grad_norm_(self._network.trainable, self._options.max_grad_norm)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad(set_to_none=True)
        return total

    def _log_training(self, losses: list[float], step: int) -> None:
        metrics = {
            "loss": sum(losses) / len(losses),
            "learning_rate": self._schedule.get_last_lr()[0],
            "epoch": step / self._per_epoch,
        }
        log.info(
            "step %d of %d: loss %.4f, learning rate %.2e",
            step,
            self.total_steps,
            metrics["loss"],
            metrics["learning_rate"],
        )
        self._log_metrics(metrics, step)

    def _every(self, strategy: str, steps: int) -> int:
        return self._per_epoch if strategy == "epoch" else steps

    def _evaluation_is_due(self, step: int) -> bool:
        options = self._options
        if options.evaluation_strategy == "disable":
            return False
        every = self._every(options.evaluation_strategy, options.eval_steps)
        if options.evaluation_strategy == "steps" and options.evaluation_steps_interval > 0:
            every = max(1, round(options.evaluation_steps_interval * self._per_epoch))
        return step % every == 0 or step == self.total_steps

    def _evaluate(self, step: int) -> float | None:
        """Measure the loss on the validation rows; keep the weights if it is the lowest of the training."""
        if not self._validation:
            return None
        started = time.monotonic()
        loss = self._network.evaluate(self._validation)
        took = max(time.monotonic() - started, 1e-9)
        log.info("step %d of %d: eval_loss %.4f on %d rows", step, self.total_steps, loss, len(self._validation))
        self._log_metrics(
            {
                "eval_loss": loss, "eval_runtime": took, "eval_samples_per_second": len(self._validation) / took,
                "epoch": step / self._per_epoch,
            },
            step,
        )  # fmt: skip
        return loss

    def _should_stop(self, loss: float | None, step: int) -> bool:
        if loss is None:
            return False
        options = self._options
        if self._best is None or loss < self._best[0] - options.early_stopping_threshold:
            self._evaluations_without_gain = 0
        else:
            self._evaluations_without_gain += 1
        if self._best is None or loss < self._best[0]:
            self._best = (loss, self._network.remember())
        stop = options.apply_early_stopping and self._evaluations_without_gain >= options.early_stopping_patience
        if stop and step < self.total_steps:
            log.info(
                "stopped early at step %d: eval_loss has not fallen for %d evaluations",
                step,
                self._evaluations_without_gain,
            )
        return stop

    def _finish(self, losses: list[float], step: int, took: float) -> dict[str, float]:
        if self._best is not None:
            self._network.restore(self._best[1])
        metrics = {
            "train_loss": sum(losses) / len(losses), "train_runtime": took, "total_steps": step,
            "train_samples_per_second": step * self._rows_per_step() / took, "train_steps_per_second": step / took,
            "epoch": step / self._per_epoch,
        }  # fmt: skip
        if self._validation:
            metrics["eval_loss"] = self._best[0] if self._best else self._network.evaluate(self._validation)
            metrics["perplexity"] = math.exp(min(metrics["eval_loss"], 700))
        self._log_metrics(metrics, step)
        log.info("trained %d steps in %.1f s: %s", step, took, ", ".join(f"{k} {v:.4g}" for k, v in metrics.items()))
        return metrics
