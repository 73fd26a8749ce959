"""HTML from Python: everything that is not markup is escaped, so no text of a dataset can become any."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

# No text belongs into a page with these: NUL and the like are errors in HTML, half a surrogate pair is no UTF-8.
_PICTURES = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
_UNFIT = _PICTURES | dict.fromkeys(range(0x80, 0xA0), "\ufffd") | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


class Markup(str):
    """Text that is HTML already. Made by `tag`, `join`, `text` only."""

    __slots__ = ()


Content = str | int | Markup | Iterable["Content"]


def text(value: object) -> Markup:
    """Escape a value for a place between tags or in an attribute."""
    return value if isinstance(value, Markup) else Markup(escape(str(value).translate(_UNFIT), quote=True))


def join(content: Content) -> Markup:
    """Markup of a text, or of many pieces one after the other."""
    if isinstance(content, str | int):
        return text(content)
    return Markup("".join(join(piece) for piece in content))


def tag(name: str, /, *content: Content, **attributes: object) -> Markup:
    """An element.

    Attributes: `class_` and such lose the underscore at the end, others become hyphens; False and None leave one out.
    >>> tag("p", "1 < 2", class_="note", aria_hidden="true")
    '<p class="note" aria-hidden="true">1 &lt; 2</p>'
    """
    return Markup(f"<{name}{_attributes(attributes)}>{join(content)}</{name}>")


def void(name: str, /, **attributes: object) -> Markup:
    """An element that has no content and no end, such as meta."""
    return Markup(f"<{name}{_attributes(attributes)}>")


def _attributes(attributes: dict[str, object]) -> str:
    given = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    return "".join(f' {key}="{text(value)}"' for key, value in given if value is not None and value is not False)


def foreign(value: object) -> Markup:
    """A text that somebody else wrote: its direction of writing does not reach what stands around it."""
    return tag("bdi", str(value))
