"""ASP.NET route templates (`runs/{id:int?}/{*rest}`): parse, match, and order by precedence. Pure."""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote


class RouteError(ValueError):
    """The template is not one that ASP.NET accepts."""


@dataclass(frozen=True)
class _Part:
    """One path segment: a literal, or one parameter (`name`) with optional text around it."""

    literal: str = ""
    name: str = ""
    pattern: re.Pattern[str] | None = None
    constraints: tuple[str, ...] = ()
    default: str | None = None
    is_optional: bool = False
    is_catch_all: bool = False

    @property
    def rank(self) -> int:
        # ASP.NET's inbound precedence: literal, constrained, free, catch-all.
        if not self.name:
            return 1
        return (4 if self.is_catch_all else 2) + (0 if self.constraints else 1)


_PARAMETER = re.compile(
    r"^\{(?P<stars>\*{0,2})(?P<name>[A-Za-z_]\w*)(?P<constraints>(?::[^:=?{}]+(?:\([^)]*\))?)*)"
    r"(?:=(?P<default>[^?}]*))?(?P<optional>\?)?\}$"
)


class Route:
    """One template. Matching ignores case, as the host does."""

    def __init__(self, template: str) -> None:
        self.template = template
        segments = [segment for segment in template.strip("/").split("/") if segment or template.strip("/")]
        self._parts = [_parse(template, segment) for segment in segments]
        names = [part.name.lower() for part in self._parts if part.name]
        if len(names) != len(set(names)):
            raise RouteError(f"The route template '{template}' names a parameter twice.")
        if any(part.is_catch_all for part in self._parts[:-1]):
            raise RouteError(f"A catch-all parameter can only appear as the last segment of '{template}'.")

    @property
    def precedence(self) -> tuple[int, ...]:
        return tuple(part.rank for part in self._parts)

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters of a path, without the optional ones it lacks; None when it does not match."""
        segments = [unquote(segment) for segment in path.strip("/").split("/")] if path.strip("/") else []
        values: dict[str, str] = {}
        for index, part in enumerate(self._parts):
            if part.is_catch_all:
                return _add(values, part, "/".join(segments[index:]))
            if index >= len(segments):
                if part.default is None and not part.is_optional:
                    return None
                _add(values, part, "")
            elif not part.name:
                if part.literal.lower() != segments[index].lower():
                    return None
            elif _add(values, part, segments[index]) is None:
                return None
        return values if len(segments) <= len(self._parts) else None


def _add(values: dict[str, str], part: _Part, text: str) -> dict[str, str] | None:
    if not text:
        if part.default is not None:
            values[part.name] = part.default
        elif not (part.is_optional or part.is_catch_all):
            return None
        return values
    if part.pattern is not None:
        inside = part.pattern.match(text)
        if inside is None:
            return None
        text = inside[1]
    if not all(_holds(constraint, text) for constraint in part.constraints):
        return None
    values[part.name] = text
    return values


def _parse(template: str, segment: str) -> _Part:
    if "{" not in segment and "}" not in segment:
        if not segment or "?" in segment:
            raise RouteError(f"The route template '{template}' is not valid: empty segment or '?' outside of braces.")
        return _Part(literal=segment)
    opening, closing = segment.find("{"), segment.rfind("}")
    match = _PARAMETER.match(segment[opening : closing + 1]) if 0 <= opening < closing else None
    if match is None:
        raise RouteError(f"The route template '{template}' has an invalid segment '{segment}'.")
    before, after = segment[:opening], segment[closing + 1 :]
    constraints = tuple(re.findall(r":((?:[^:(]+)(?:\([^)]*\))?)", match["constraints"]))
    for constraint in constraints:
        _check_known(template, constraint)
    around = re.compile(f"^{re.escape(before)}(.+){re.escape(after)}$", re.I) if before or after else None
    return _Part(
        name=match["name"],
        pattern=around,
        constraints=constraints,
        default=match["default"],
        is_optional=bool(match["optional"]),
        is_catch_all=bool(match["stars"]),
    )


def _parses(reader: Callable[[str], object]) -> Callable[[str, str], bool]:
    def check(text: str, argument: str) -> bool:
        del argument
        try:
            reader(text)
        except ValueError:
            return False
        return True

    return check


def _between(text: str, argument: str) -> bool:
    low, high = (int(number) for number in argument.split(","))
    return _parses(int)(text, "") and low <= int(text) <= high


def _length(text: str, argument: str) -> bool:
    limits = [int(number) for number in argument.split(",")]
    return limits[0] <= len(text) <= limits[-1]


_CONSTRAINTS: Mapping[str, Callable[[str, str], bool]] = {
    "int": lambda text, _: _parses(int)(text, "") and -(2**31) <= int(text) < 2**31,
    "long": lambda text, _: _parses(int)(text, "") and -(2**63) <= int(text) < 2**63,
    "bool": lambda text, _: text.lower() in ("true", "false"),
    "decimal": _parses(float),
    "double": _parses(float),
    "float": _parses(float),
    "guid": _parses(uuid.UUID),
    "datetime": _parses(datetime.fromisoformat),
    "alpha": lambda text, _: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "required": lambda text, _: bool(text),
    "minlength": lambda text, argument: len(text) >= int(argument),
    "maxlength": lambda text, argument: len(text) <= int(argument),
    "length": _length,
    "min": lambda text, argument: _parses(int)(text, "") and int(text) >= int(argument),
    "max": lambda text, argument: _parses(int)(text, "") and int(text) <= int(argument),
    "range": _between,
    "regex": lambda text, argument: re.search(argument, text, re.I) is not None,
}


def _split(constraint: str) -> tuple[str, str]:
    name, _, rest = constraint.partition("(")
    return name.lower(), rest.removesuffix(")")


def _check_known(template: str, constraint: str) -> None:
    if _split(constraint)[0] not in _CONSTRAINTS:
        raise RouteError(f"The constraint reference '{constraint}' of '{template}' could not be resolved to a type.")


def _holds(constraint: str, text: str) -> bool:
    name, argument = _split(constraint)
    return _CONSTRAINTS[name](text, argument)
