"""The neural network of a job: load it, give it adapters, compute its loss, save it."""

from pathlib import Path
from typing import Any

from local.training.batches import EVAL_TOKENS, TRAIN_TOKENS, parts, shares, tensors
from local.training.options import Options
from local.training.parallel import Cores
from local.training.preprocess import NOT_LEARNT, Row
from local.training.progress import log

# Rows longer than this are trained with recomputed activations: a third slower, a fraction of the memory.
_CHECKPOINT_ABOVE_TOKENS = 160
# Logits of this many tokens are kept for the gradients; those of more are computed a second time instead.
_LOGITS_AT_ONCE = 128


class Network:
    """A causal language model, with LoRA adapters or without."""

    def __init__(self, folder: Path, options: Options, engine: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        torch.manual_seed(options.seed)
        self._base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.model = self._base
        self.has_adapters = options.apply_lora and engine != "fast"
        if self.has_adapters:
            self.model = _with_adapters(self._base, options)
        elif options.apply_lora:
            # Measured: adapters on random weights hardly change anything.
            log.info("apply_lora is ignored by the fast engine: its tiny model is trained as a whole")
        self._cores = Cores()
        self.trainable = [p for p in self.model.parameters() if p.requires_grad]
        count = sum(p.numel() for p in self.trainable)
        log.info(
            "%.2f million of %.2f million weights are trained",
            count / 1e6,
            sum(p.numel() for p in self.model.parameters()) / 1e6,
        )

    def prepare_for(self, rows: list[Row]) -> None:
        """Choose how activations are kept by the longest row to come."""
        longest = max(len(row.ids) for row in rows)
        if longest > _CHECKPOINT_ABOVE_TOKENS:
            log.info("rows of up to %d tokens: activations are recomputed to save memory, which is slower", longest)
            self._base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            if self.has_adapters:
                self._base.enable_input_require_grads()

    def backward(self, rows: list[Row]) -> float:
        """Compute the mean loss over the learnt tokens of a batch, and its gradients."""
        self.model.train()
        learnt = sum(label != NOT_LEARNT for row in rows for label in row.labels[1:])
        results = self._cores.map(lambda share: self._gradients(share, learnt), shares(rows, self._cores.count))
        for index, parameter in enumerate(self.trainable):
            parameter.grad = sum(gradients[index] for _, gradients in results)
        return sum(loss for loss, _ in results)

    def _gradients(self, rows: list[Row], learnt: int) -> tuple[float, list[Any]]:
        import torch

        total, sums = 0.0, [0] * len(self.trainable)
        for part in parts(rows, TRAIN_TOKENS // self._cores.count):
            loss = self._summed_loss(part) / learnt
            # Not backward(): that adds to .grad, where several threads would meet.
            sums = [a + b for a, b in zip(sums, torch.autograd.grad(loss, self.trainable), strict=True)]
            total += float(loss.detach())
        return total, sums

    def evaluate(self, rows: list[Row]) -> float:
        """Return the mean loss over the learnt tokens of the rows."""
        import torch

        def summed(part: list[Row]) -> float:
            with torch.inference_mode():
                return float(self._summed_loss(part))

        self.model.eval()
        learnt = sum(label != NOT_LEARNT for row in rows for label in row.labels[1:])
        return sum(self._cores.map(summed, list(parts(rows, EVAL_TOKENS // self._cores.count)))) / learnt

    def _summed_loss(self, rows: list[Row]) -> Any:
        """Return the summed loss over the learnt tokens.

        Logits are computed for those tokens only: over a vocabulary of 49 thousand they are a fifth of the work, and
        most of the memory.
        """
        from torch.utils.checkpoint import checkpoint

        ids, mask, labels = tensors(rows, self._base.config.pad_token_id or 0)
        hidden = self._base.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        wanted = labels[:, 1:]
        chosen = wanted != NOT_LEARNT
        hidden, wanted = hidden[:, :-1][chosen], wanted[chosen]
        if len(wanted) <= _LOGITS_AT_ONCE:
            return self._head_loss(hidden, wanted)
        pieces = zip(hidden.split(_LOGITS_AT_ONCE), wanted.split(_LOGITS_AT_ONCE), strict=True)
        return sum(checkpoint(self._head_loss, *piece, use_reentrant=False) for piece in pieces)

    def _head_loss(self, hidden: Any, wanted: Any) -> Any:
        from torch.nn.functional import cross_entropy

        return cross_entropy(self._base.lm_head(hidden).float(), wanted, reduction="sum")

    def remember(self) -> list[Any]:
        """Copy the trained weights."""
        return [p.detach().clone() for p in self.trainable]

    def restore(self, weights: list[Any]) -> None:
        import torch

        with torch.no_grad():
            for parameter, value in zip(self.trainable, weights, strict=True):
                parameter.copy_(value)

    def save(self, folder: Path, merge: bool) -> None:
        """Save a whole model, or the base model with the adapters beside it in `adapter`."""
        if not self.has_adapters:
            self._base.save_pretrained(folder)
        elif merge:
            self.model.merge_and_unload().save_pretrained(folder)
        else:
            self.model.save_pretrained(folder / "adapter")
            self.model.unload().save_pretrained(folder)


def _with_adapters(base: Any, options: Options) -> Any:
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        base,
        LoraConfig(
            r=options.lora_r, lora_alpha=options.lora_alpha, lora_dropout=options.lora_dropout,
            target_modules="all-linear", task_type="CAUSAL_LM",
        ),
    )  # fmt: skip
