"""Whether a PowerShell script's brackets, strings and comments are closed. That it runs is not said by that."""

from __future__ import annotations

from collections.abc import Iterator

_CLOSES = {")": "(", "]": "[", "}": "{"}


def unbalanced(text: str) -> list[tuple[int, str]]:
    """Return (line, what is not closed or closes nothing), in the order of the script.

    Known: '...' and "..." (a doubled quote is a quote, a backtick takes the next letter, $( ) within "..." is code),
    here-strings (@' and @" to a line that begins with '@ or "@), # and <# #> comments.
    """
    return list(_Script(text).faults())


class _Script:
    def __init__(self, text: str) -> None:
        self._text, self._at, self._open = text, 0, list[tuple[str, int]]()

    def faults(self) -> Iterator[tuple[int, str]]:
        while self._at < len(self._text):
            yield from self._step()
        for mark, at in self._open:
            yield self._line(at), f"{mark!r} is never closed"

    def _line(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    def _step(self) -> Iterator[tuple[int, str]]:
        text, at = self._text, self._at
        two = text[at : at + 2]
        if two == "<#":
            yield from self._until("#>", at + 2)
        elif two in ("@'", '@"') and text[at + 2 : at + 4].lstrip("\r")[:1] == "\n":
            yield from self._until(f"\n{two[::-1]}", at + 2)
        elif text[at] == "#" and (at == 0 or text[at - 1] in " \t\r\n;({"):
            end = text.find("\n", at)
            self._at = len(text) if end < 0 else end
        elif text[at] == "`":
            self._at += 2
        elif text[at] == "'":
            yield from self._single(at)
        elif text[at] == '"':
            yield from self._double(at)
        else:
            self._at += 1
            yield from self._bracket(text[at], at)

    def _bracket(self, mark: str, at: int) -> Iterator[tuple[int, str]]:
        if mark in "([{":
            self._open.append((mark, at))
        elif mark in _CLOSES:
            if self._open and self._open[-1][0] == _CLOSES[mark]:
                self._open.pop()
            else:
                inner = f"; line {self._line(self._open[-1][1])} opened {self._open[-1][0]!r}" if self._open else ""
                yield self._line(at), f"{mark!r} closes nothing{inner}"

    def _until(self, end: str, start: int) -> Iterator[tuple[int, str]]:
        found = self._text.find(end, start)
        if found < 0:
            yield self._line(start), f"{end.strip()!r} is missing"
        self._at = len(self._text) if found < 0 else found + len(end)

    def _single(self, at: int) -> Iterator[tuple[int, str]]:
        end = self._text.find("'", at + 1)
        if end < 0:
            yield self._line(at), "a string in single quotes is never closed"
        # A doubled quote opens the next string where this one ends: the same text either way.
        self._at = len(self._text) if end < 0 else end + 1

    def _double(self, at: int) -> Iterator[tuple[int, str]]:
        place = at + 1
        while place < len(self._text):
            letter = self._text[place]
            if letter == "`":
                place += 2
            elif self._text.startswith("$(", place):
                place = self._subexpression(place + 2)
            elif letter == '"':
                self._at = place + 1
                return
            else:
                place += 1
        yield self._line(at), "a string in double quotes is never closed"
        self._at = len(self._text)

    def _subexpression(self, start: int) -> int:
        """Return where the code of a $( ) within a string ends; its own strings may hold brackets."""
        inner = _Script(self._text)
        inner._at, inner._open = start, [("(", start - 1)]
        while inner._at < len(self._text) and inner._open:
            for _ in inner._step():
                pass
        return inner._at
