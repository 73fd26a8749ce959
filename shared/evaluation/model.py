"""One model from its folder: the loss it has on given rows, the answers it writes, what it knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from shared.evaluation.folders import find_parts
from shared.evaluation.probe import Question
from shared.evaluation.rows import LONGEST, Messages, Tokens

BATCH_TOKENS = 1024
"""Padded tokens computed at once: over a vocabulary of 200 thousand their logits are half a gigabyte."""

ANSWERS_AT_ONCE = 8
Clock = Callable[[], float]


class ChatModel:
    """A loaded model: half precision on GPUs, fp32 on a CPU. Greedy, so the same rows give the same numbers."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

        torch.manual_seed(0)
        parts = find_parts(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(parts.tokenizer)
        options: dict[str, Any] = {_dtype_name(): torch.float32}
        if torch.cuda.is_available():
            half = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
            options = {_dtype_name(): half, "device_map": "auto"}
        config = AutoConfig.from_pretrained(parts.config)
        self._model = AutoModelForCausalLM.from_pretrained(parts.model, config=config, **options)
        if parts.adapter is not None:
            from peft import PeftModel

            self._model = PeftModel.from_pretrained(self._model, parts.adapter).merge_and_unload()
        self._model.eval()
        self._device = next(self._model.parameters()).device
        self._longest = min(LONGEST, int(getattr(config, "max_position_embeddings", None) or LONGEST))
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def losses(self, rows: Sequence[Tokens], until: float, clock: Clock = time.monotonic) -> list[tuple[float, int]]:
        """Return (summed loss, number) of the assistant's tokens of each row, for as many rows as there is time for."""
        import torch

        found: list[tuple[float, int]] = []
        for batch in _batches(rows):
            if found and clock() > until:
                break
            with torch.inference_mode():
                found += self._losses(batch)
        return found

    def _losses(self, batch: Sequence[Tokens]) -> list[tuple[float, int]]:
        from torch.nn.functional import cross_entropy

        ids, mask = self._padded([row.ids[: self._longest] for row in batch])
        logits = self._model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        found = []
        for number, row in enumerate(batch):
            said = [i for i, spoken in enumerate(row.spoken[: self._longest]) if spoken and i > 0]
            predicted = logits[number, [i - 1 for i in said]].float()
            found.append((float(cross_entropy(predicted, ids[number, said], reduction="sum")), len(said)))
        return found

    def answers(self, questions: Sequence[Messages], most_tokens: int) -> list[str]:
        """Return the most likely answer to each conversation; "" to one that is too long for the model."""
        import torch

        texts = [self._prompt(question) for question in questions]
        ids = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        fitting = [i for i, prompt in enumerate(ids) if len(prompt) + most_tokens <= self._longest]
        found = [""] * len(ids)
        for start in range(0, len(fitting), ANSWERS_AT_ONCE):
            chosen = fitting[start : start + ANSWERS_AT_ONCE]
            prompts, mask = self._padded([ids[i] for i in chosen], left=True)
            with torch.inference_mode():
                out = self._model.generate(
                    input_ids=prompts, attention_mask=mask, max_new_tokens=most_tokens, num_beams=1,
                    do_sample=False, temperature=None, top_p=None, top_k=None,
                    pad_token_id=self.tokenizer.pad_token_id, eos_token_id=self._ends(),
                )  # fmt: skip
            for i, tokens in zip(chosen, out[:, prompts.shape[1] :], strict=True):
                found[i] = str(self.tokenizer.decode(tokens, skip_special_tokens=True)).strip()
        return found

    def probe(self, questions: Sequence[Question]) -> dict[str, bool]:
        """Return whether the right option is the likeliest one, by question's id; what cannot be asked is left out."""
        asked = [(question, *options) for question in questions if (options := self._options(question)) is not None]
        found: dict[str, bool] = {}
        for start in range(0, len(asked), ANSWERS_AT_ONCE):
            batch = asked[start : start + ANSWERS_AT_ONCE]
            for (question, prefix, tokens), scores in zip(batch, self._next([p for _, p, _ in batch]), strict=True):
                assert len(prefix) > 0
                best = max(range(len(tokens)), key=lambda i: float(scores[tokens[i]]))
                found[question.id] = question.options[best] == question.right
        return found

    def _options(self, question: Question) -> tuple[list[int], list[int]] | None:
        """Return the tokens that all answers begin with, and the next one of each; None if two of those are alike."""
        prompt = self._prompt([{"role": "user", "content": question.question}])
        texts = [f"{prompt}{question.start} {option}" for option in question.options]
        ids = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        common = next((i for i, column in enumerate(zip(*ids, strict=False)) if len(set(column)) > 1), 0)
        following = [answer[common] for answer in ids]
        return (ids[0][:common], following) if common and len(set(following)) == len(following) else None

    def _next(self, prefixes: Sequence[list[int]]) -> Any:
        """Return the logits of the token after each prefix."""
        import torch

        ids, mask = self._padded(prefixes)
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        return [logits[i, len(prefix) - 1].float() for i, prefix in enumerate(prefixes)]

    def _prompt(self, messages: Messages) -> str:
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def _padded(self, rows: Sequence[list[int]], *, left: bool = False) -> tuple[Any, Any]:
        import torch

        width = max(len(row) for row in rows)
        ids, mask = [], []
        for row in rows:
            fill = width - len(row)
            pad, zero, one = [self.tokenizer.pad_token_id or 0] * fill, [0] * fill, [1] * len(row)
            ids.append(pad + row if left else row + pad)
            mask.append(zero + one if left else one + zero)
        return torch.tensor(ids, device=self._device), torch.tensor(mask, device=self._device)

    def _ends(self) -> list[int]:
        """Return the tokens that end an answer: the generation's own, and the tokenizer's."""
        known = self._model.generation_config.eos_token_id
        ends = {self.tokenizer.eos_token_id, *(known if isinstance(known, list) else [known])}
        return sorted(end for end in ends if end is not None)


def device() -> str:
    """Say what the models run on."""
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"


def free() -> None:
    """Give back what the last model held."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _dtype_name() -> str:
    """Newer versions of transformers warn of the old name, older ones do not know the new one."""
    import transformers

    major, minor = (int(part) for part in transformers.__version__.split(".")[:2])
    return "dtype" if (major, minor) >= (4, 56) else "torch_dtype"


def _batches(rows: Sequence[Tokens]) -> Iterator[list[Tokens]]:
    """Cut rows, in their order, into batches of at most `BATCH_TOKENS` padded tokens, or of one row that is longer."""
    batch: list[Tokens] = []
    for row in rows:
        width = max([len(row.ids), *(len(other.ids) for other in batch)])
        if batch and width * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
