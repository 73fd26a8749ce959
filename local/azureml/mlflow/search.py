"""MLflow's search language: `tags.mlflow.rootRunId = 'a' AND metrics.eval_loss < 2`, and its ORDER BY. Pure.

Source: MLflow's documentation of search_runs. AND only: the language has no OR and no parentheses outside of IN lists.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local.azureml.mlflow.errors import MlflowError

Fields = Mapping[str, Mapping[str, Any]]
"""What can be asked of one object: {"tags": {...}, "params": {...}, "metrics": {...}, "attributes": {...}}."""

_ENTITIES = {
    **dict.fromkeys(("tag", "tags"), "tags"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "params"),
    **dict.fromkeys(("metric", "metrics"), "metrics"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attributes"),
}
_NUMERIC_ATTRIBUTES = frozenset({"start_time", "end_time", "created", "creation_time", "last_update_time"})
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^'\\]|\\.)*')
      | (?P<quoted>"[^"]*"|`[^`]*`)
      | (?P<operator>!=|<=|>=|=|<|>)
      | (?P<mark>[(),.])
      | (?P<number>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]))
      | (?P<word>[^\s'"`=!<>(),]+)
    )""",
    re.VERBOSE,
)
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "IN": lambda a, b: a in b,
    "NOT IN": lambda a, b: a not in b,
    "LIKE": lambda a, b: _like(b).fullmatch(a) is not None,
    "ILIKE": lambda a, b: _like(b, re.IGNORECASE).fullmatch(a) is not None,
}


@dataclass(frozen=True)
class Condition:
    entity: str
    key: str
    operator: str
    value: Any

    def holds(self, fields: Fields) -> bool:
        found = fields[self.entity].get(self.key)
        return found is not None and _COMPARE[self.operator](found, self.value)


def parse(text: str | None) -> list[Condition]:
    """Read a filter; no text asks for everything.

    Raises: MlflowError: INVALID_PARAMETER_VALUE, naming what was found and where.
    """
    tokens = _Tokens(text or "")
    conditions: list[Condition] = []
    while not tokens.at_end():
        if conditions:
            tokens.expect_word("AND")
        conditions.append(_condition(tokens))
    return conditions


def matches(conditions: Iterable[Condition], fields: Fields) -> bool:
    return all(condition.holds(fields) for condition in conditions)


def ordered(items: list[Any], order_by: Iterable[str], fields_of: Callable[[Any], Fields]) -> list[Any]:
    """Sort by MLflow's ORDER BY clauses, the first one counting most; what lacks the key comes last."""
    for clause in reversed(list(order_by)):
        tokens = _Tokens(clause)
        entity, key = _identifier(tokens)
        direction = "ASC" if tokens.at_end() else tokens.take()[1].upper()
        if direction not in ("ASC", "DESC"):
            raise _invalid(f"order_by {clause!r}: expected ASC or DESC, found {direction!r}")
        items = _sorted(items, entity, key, direction == "DESC", fields_of)
    return items


def _sorted(items: list[Any], entity: str, key: str, descending: bool, fields_of: Callable[[Any], Fields]) -> list[Any]:
    with_key = [item for item in items if fields_of(item)[entity].get(key) is not None]
    without = [item for item in items if fields_of(item)[entity].get(key) is None]
    return sorted(with_key, key=lambda item: fields_of(item)[entity][key], reverse=descending) + without


def _condition(tokens: "_Tokens") -> Condition:
    entity, key = _identifier(tokens)
    operator = tokens.take()[1].upper()
    if operator == "NOT":
        tokens.expect_word("IN")
        operator = "NOT IN"
    if operator not in _COMPARE:
        raise _invalid(f"filter {tokens.text!r}: expected a comparison after {entity}.{key}, found {operator!r}")
    numeric = entity == "metrics" or (entity == "attributes" and key in _NUMERIC_ATTRIBUTES)
    if numeric and operator not in ("=", "!=", ">", ">=", "<", "<="):
        raise _invalid(f"filter {tokens.text!r}: {entity}.{key} is a number, {operator} compares text")
    value = _values(tokens) if operator.endswith("IN") else _value(tokens, numeric)
    return Condition(entity, key, operator, value)


def _identifier(tokens: "_Tokens") -> tuple[str, str]:
    kind, text = tokens.take()
    if kind == "quoted":
        return "attributes", text
    if kind != "word":
        raise _invalid(f"{tokens.text!r}: expected a name such as tags.mlflow.rootRunId, found {text!r}")
    entity, dot, key = text.partition(".")
    if not dot:
        return "attributes", text
    if entity.lower() not in _ENTITIES:
        raise _invalid(f"{tokens.text!r}: {entity!r} is not one of metrics, params, tags, attributes")
    return _ENTITIES[entity.lower()], key or tokens.take()[1]


def _value(tokens: "_Tokens", numeric: bool) -> Any:
    kind, text = tokens.take()
    if numeric:
        if kind != "number":
            raise _invalid(f"filter {tokens.text!r}: expected a number, found {text!r}")
        return float(text)
    if kind not in ("string", "quoted"):
        raise _invalid(f"filter {tokens.text!r}: expected a quoted string, found {text!r}")
    return text


def _values(tokens: "_Tokens") -> list[str]:
    tokens.expect_word("(")
    values = [_value(tokens, numeric=False)]
    while (mark := tokens.take()[1]) == ",":
        values.append(_value(tokens, numeric=False))
    if mark != ")":
        raise _invalid(f"filter {tokens.text!r}: expected , or ) in the list, found {mark!r}")
    return values


def _like(pattern: str, flags: int = 0) -> re.Pattern[str]:
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), flags | re.DOTALL)


def _invalid(message: str) -> MlflowError:
    return MlflowError("INVALID_PARAMETER_VALUE", f"Invalid search: {message}")


class _Tokens:
    """The words of one clause, taken from the left."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._rest = text.strip()

    def at_end(self) -> bool:
        return not self._rest

    def take(self) -> tuple[str, str]:
        match = _TOKEN.match(self._rest)
        if match is None or match.lastgroup is None:
            raise _invalid(f"{self.text!r}: cannot read {self._rest[:30]!r}")
        self._rest = self._rest[match.end() :].lstrip()
        kind, text = match.lastgroup, match[match.lastgroup]
        if kind in ("string", "quoted"):
            text = re.sub(r"\\(.)", r"\1", text[1:-1]) if kind == "string" else text[1:-1]
        return kind, text

    def expect_word(self, word: str) -> None:
        found = self.take()[1]
        if found.upper() != word:
            raise _invalid(f"{self.text!r}: expected {word}, found {found!r}")
