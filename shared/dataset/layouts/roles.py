"""Who speaks: the many spellings of user, assistant and system."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.dataset.errors import RowError
from shared.dataset.rows import Role

Note = Callable[[str], None]

ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}

_USER = ("user", "human", "prompter", "customer", "client", "person")
_ASSISTANT = (
    *("assistant", "gpt", "chatgpt", "gpt4", "gpt_4", "gpt_3.5", "bing", "bard", "claude", "gemini", "moss"),
    *("model", "ai", "ai_assistant", "bot", "chatbot", "agent"),
)
_SYSTEM = ("system", "developer", "sys", "system_prompt")

# Written as normal_role writes them.
SPELLINGS: dict[str, Role] = {
    **dict.fromkeys(_USER, "user"),
    **dict.fromkeys(_ASSISTANT, "assistant"),
    **dict.fromkeys(_SYSTEM, "system"),
}
GEMINI_ROLES: dict[str, Role] = {**ROLES, "model": "assistant"}
TOOL_ROLES = frozenset(
    {
        *("tool", "tools", "tool_call", "tool_calls", "tool_response", "tool_result", "tool_results", "tool_output"),
        *("function", "functions", "function_call", "function_response", "function_result", "observation", "ipython"),
    }
)
_LONGEST = 40


def role_of(given: object, plain: Mapping[str, Role], note: Note) -> Role:
    """Read a role.

    plain: the spellings that are usual in the layout; any other one is noted.
    Raises: RowError: there is no role, it is a tool's, or nobody knows it.
    """
    if given is None:
        raise RowError("missing_role")
    if not isinstance(given, str) or len(given) > _LONGEST:
        raise RowError("unknown_role")
    if role := plain.get(given):
        return role
    spelling = given.strip().lower().replace(" ", "_").replace("-", "_")
    if spelling in TOOL_ROLES:
        raise RowError("tool_calls")
    known = SPELLINGS.get(spelling)
    if known is None:
        raise RowError("unknown_role")
    if spelling != given or spelling not in plain:
        note("role_spelling")
    return known
