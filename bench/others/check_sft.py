"""A check like `validate_sft.py` of Microsoft's azure-skills (the skill for fine-tuning in Foundry).

That script is in no package that could be installed, so this is one of our own that looks at the same things, for a
little less CPU: JSON on every line, `messages` a list that is not empty, a role out of four and a content for each of
them, blank contents, a user and an assistant among them, tokens as a quarter of the characters, how many system prompts
there are. It only checks, and prints a summary.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROLES = {"system", "user", "assistant", "tool"}
MAX_TOKENS = 4096


class Check:
    """What was found so far."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.tokens: list[int] = []
        self.system_prompts: Counter[str] = Counter()

    def line(self, number: int, line: str) -> None:
        """Check one line."""
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            self.errors.append(f"line {number}: not JSON: {error}")
            return
        messages = record.get("messages")
        if not isinstance(messages, list) or not messages:
            self.errors.append(f"line {number}: no list of messages")
            return
        self._conversation(number, messages)

    def _conversation(self, number: int, messages: list[dict[str, Any]]) -> None:
        roles = set()
        text = ""
        for message in messages:
            role = message.get("role")
            if role in ROLES:
                roles.add(role)
            else:
                self.errors.append(f"line {number}: unknown role")
            content = message.get("content")
            if content is None:
                if "content" not in message and "tool_calls" not in message:
                    self.errors.append(f"line {number}: no content")
                continue
            content = str(content)
            if not content.strip():
                self.warnings.append(f"line {number}: blank content")
            text += content
            if role == "system":
                self.system_prompts[content.strip()[:100]] += 1
        self.errors += [f"line {number}: no {role} message" for role in ("user", "assistant") if role not in roles]
        tokens = max(1, len(text) // 4)
        self.tokens.append(tokens)
        if tokens > MAX_TOKENS:
            self.warnings.append(f"line {number}: about {tokens} tokens")


def main(source: str) -> None:
    """Check a file and print a summary."""
    check = Check()
    with Path(source).open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line := line.strip():
                check.line(number, line)
    print(
        len(check.tokens), "conversations,", sum(check.tokens), "tokens,", len(check.system_prompts), "system prompts"
    )
    print(len(check.errors), "errors,", len(check.warnings), "warnings")


if __name__ == "__main__":
    main(sys.argv[1])
