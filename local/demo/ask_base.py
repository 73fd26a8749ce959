"""Ask the base model, as it is before any fine-tuning. Runs in the environment that trains and serves.

Reads {"model": folder, "conversations": [[{"role", "content"}, ...], ...]} from standard input, writes a JSON list of
answers.
"""

import json
import sys
from typing import Any

MAX_NEW_TOKENS = 60


def main() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    asked = json.load(sys.stdin)
    tokenizer = AutoTokenizer.from_pretrained(asked["model"])
    model: Any = AutoModelForCausalLM.from_pretrained(asked["model"], dtype=torch.float32).eval()
    answers = []
    for messages in asked["conversations"]:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        encoded = tokenizer(text, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            out = model.generate(
                **encoded, max_new_tokens=MAX_NEW_TOKENS, do_sample=False, pad_token_id=tokenizer.pad_token_id
            )
        answers.append(tokenizer.decode(out[0][encoded["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
