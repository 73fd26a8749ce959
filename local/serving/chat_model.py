"""A fine-tuned chat model from an MLflow model folder, ready to answer."""

from pathlib import Path
from typing import Any

from local.serving.request import BadRequestError, Parameters
from local.training.engines import FOLDERS
from local.training.validation import Messages

# An answer must be there before a caller of an online endpoint gives up (90 s by default).
_LONGEST_ANSWER_S = 60
_FEWEST_TINY_TOKENS = 4


class ModelFolderError(Exception):
    """The folder holds no model that can be served."""


def find_model(directory: Path) -> Path:
    """Return the MLflow model folder: `directory`, or the only one directly below it (where Azure mounts it).

    Raises: ModelFolderError: there is none, or it is not complete.
    """
    found = [directory] if (directory / "MLmodel").is_file() else [file.parent for file in directory.glob("*/MLmodel")]
    if len(found) != 1:
        raise ModelFolderError(
            f"{directory} holds {len(found) or 'no'} MLflow model{'s' if found else ''} (a file MLmodel), expected one."
        )
    missing = [
        name for name in ("data/model/config.json", "data/tokenizer/tokenizer.json") if not (found[0] / name).is_file()
    ]
    if missing:
        raise ModelFolderError(f"the MLflow model {found[0].name} is not complete: {', '.join(missing)} missing.")
    return found[0]


class ChatModel:
    """One loaded model.

    The tiny model of tests (engine fast) talks gibberish, and after some trainings nothing at all: for it alone, the
    first token is kept visible and an answer has a few tokens, so that a test of the way to an answer gets one.
    """

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        # One core: a word at a time is too little work to share (measured: two were slower on a busy machine).
        torch.set_num_threads(1)
        self._tokenizer = AutoTokenizer.from_pretrained(folder / "data" / "tokenizer")
        self._model = AutoModelForCausalLM.from_pretrained(folder / "data" / "model", dtype=torch.float32)
        adapter = folder / "data" / "model" / "adapter"
        if adapter.is_dir():
            from peft import PeftModel

            self._model = PeftModel.from_pretrained(self._model, adapter).merge_and_unload()
        self._model.eval()
        self._invisible = _invisible(self._tokenizer) if _is_tiny(folder) else None
        self._context = int(self._model.config.max_position_embeddings)

    def answer(self, messages: Messages, parameters: Parameters) -> str:
        """Write the assistant's next message: the most likely one, or a sampled one if `do_sample`.

        Raises: BadRequestError: conversation and answer do not fit the model's context.
        """
        import torch

        prompt = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        encoded = self._tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        length = encoded["input_ids"].shape[1]
        if length + parameters.max_new_tokens > self._context:
            raise BadRequestError(
                f"The conversation has {length} tokens; with max_new_tokens={parameters.max_new_tokens} "
                f"it does not fit the model's context of {self._context}."
            )
        with torch.inference_mode():
            out = self._model.generate(**encoded, **self._generation(parameters))
        text = _text(self._tokenizer, out[0][length:])
        return prompt + text if parameters.return_full_text else text

    def _generation(self, parameters: Parameters) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "max_new_tokens": parameters.max_new_tokens,
            "max_time": _LONGEST_ANSWER_S,
            "repetition_penalty": parameters.repetition_penalty,
            "pad_token_id": self._tokenizer.pad_token_id,
            "eos_token_id": self._tokenizer.eos_token_id,
            # Temperature 0 is everybody's word for "the most likely".
            "do_sample": parameters.do_sample and parameters.temperature > 0,
        }
        if self._invisible is not None:
            settings["begin_suppress_tokens"] = self._invisible
            settings["min_new_tokens"] = min(_FEWEST_TINY_TOKENS, parameters.max_new_tokens)
        if settings["do_sample"]:
            settings |= {"temperature": parameters.temperature, "top_p": parameters.top_p, "top_k": parameters.top_k}
        return settings


def _is_tiny(folder: Path) -> bool:
    import yaml

    described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    return bool(described.get("metadata", {}).get("base_model_name") == FOLDERS["fast"])


def _invisible(tokenizer: Any) -> list[int]:
    return [token for token in range(len(tokenizer)) if not _text(tokenizer, [token])]


def _text(tokenizer: Any, tokens: Any) -> str:
    return str(tokenizer.decode(tokens, skip_special_tokens=True)).strip()
