"""How large foundation models are: a table of the catalog's, and what the name of any other tells."""

from __future__ import annotations

import re

import msgspec


class ModelSize(msgspec.Struct, frozen=True):
    """Billions of parameters; `active`: those that a token passes through (fewer in mixtures of experts).

    context_window: tokens, None when not known.
    """

    parameters: float
    active: float
    context_window: int | None = None


def _dense(billions: float, context_window: int) -> ModelSize:
    return ModelSize(billions, billions, context_window)


# Source: the models' own cards.
_KNOWN = {
    "phi-4": _dense(14.7, 16_384),
    "phi-4-reasoning": _dense(14.7, 32_768),
    "phi-4-mini-instruct": _dense(3.8, 131_072),
    "phi-4-mini-reasoning": _dense(3.8, 131_072),
    "phi-4-multimodal-instruct": _dense(5.6, 131_072),
    "phi-3.5-mini-instruct": _dense(3.8, 131_072),
    "phi-3.5-moe-instruct": ModelSize(41.9, 6.6, 131_072),
    "phi-3-mini-4k-instruct": _dense(3.8, 4_096),
    "phi-3-mini-128k-instruct": _dense(3.8, 131_072),
    "phi-3-small-8k-instruct": _dense(7.4, 8_192),
    "phi-3-medium-4k-instruct": _dense(14.0, 4_096),
    "phi-3-medium-128k-instruct": _dense(14.0, 131_072),
    "phi-2": _dense(2.7, 2_048),
    "mistralai-mixtral-8x7b-v01": ModelSize(46.7, 12.9, 32_768),
    "mistralai-mixtral-8x7b-instruct-v01": ModelSize(46.7, 12.9, 32_768),
    "gpt-oss-20b": ModelSize(20.9, 3.6, 131_072),
    "gpt-oss-120b": ModelSize(116.8, 5.1, 131_072),
    "smollm2-135m-instruct": _dense(0.135, 8_192),
}
_IN_A_NAME = re.compile(r"(?<![a-z0-9.])(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,3})?)([bm])(?![a-z0-9])", re.IGNORECASE)


def model_size(name: str) -> ModelSize | None:
    """The size of a model by its name, `name` or `name:version`. None: the name does not tell.

    >>> model_size("Meta-Llama-3.1-8B-Instruct").parameters
    8.0
    """
    name = name.partition(":")[0].lower()
    known = _KNOWN.get(name)
    if known is not None:
        return known
    found = _IN_A_NAME.search(name)
    if found is None:
        return None
    billions = float(found[2]) / (1 if found[3] == "b" else 1000)
    if billions <= 0:
        return None
    experts = int(found[1] or 1)
    return ModelSize(billions * experts, billions * min(experts, 2))  # two experts see a token, as a rule
