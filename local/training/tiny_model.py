"""A tiny Llama with random weights and a byte-level ChatML tokenizer: the base model of tests. It talks gibberish."""

import json
from pathlib import Path

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def save_tiny_model(target: Path) -> None:
    """Write model and tokenizer as Hugging Face files. The same bytes every time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size = _save_tokenizer(target)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(target)


def _save_tokenizer(target: Path) -> int:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*_SPECIAL, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
    tokenizer.save(str(target / "tokenizer.json"))
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1024,
        "pad_token": _SPECIAL[0], "bos_token": _SPECIAL[1], "eos_token": _SPECIAL[2],
    }  # fmt: skip
    (target / "tokenizer_config.json").write_text(json.dumps(described, indent=2))
    (target / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return len(vocabulary)
