"""How the story looks in a terminal: chapters with the time they took, a loss curve, questions and answers."""

import sys
import textwrap
import time
from collections.abc import Sequence

WIDTH = 96
_BARS = "▁▂▃▄▅▆▇█"


class Story:
    """Prints; nothing else. Colours and rewritten lines only where a person watches."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._colour = sys.stdout.isatty()
        self._open_line = False

    @property
    def elapsed_s(self) -> float:
        """Seconds since the story began."""
        return time.monotonic() - self._began

    def title(self, text: str) -> None:
        """Print the title."""
        print(self._in("1", text), flush=True)

    def chapter(self, text: str) -> None:
        """Begin a part of the story."""
        self._close_line()
        minutes, seconds = divmod(int(self.elapsed_s), 60)
        print(f"\n{self._in('2', f'{minutes}:{seconds:02d}')}  {self._in('1;36', text)}", flush=True)

    def say(self, text: str) -> None:
        """Print a paragraph under the chapter."""
        self._close_line()
        print(textwrap.fill(text, WIDTH, initial_indent="      ", subsequent_indent="      "), flush=True)

    def lines(self, text: str) -> None:
        """Print lines as they are."""
        self._close_line()
        print(textwrap.indent(text, "      "), flush=True)

    def progress(self, text: str) -> None:
        """Show something that changes: rewritten in a terminal, left out elsewhere."""
        if self._colour:
            print(f"\r\x1b[2K      {text[: WIDTH - 6]}", end="", flush=True)
            self._open_line = True

    def question(self, text: str) -> None:
        """Print a question."""
        self._close_line()
        print(textwrap.fill(f"Q: {text}", WIDTH, initial_indent="      ", subsequent_indent="         "), flush=True)

    def answer(self, who: str, text: str, good: bool | None) -> None:
        """Print an answer, marked when it is known to be right or wrong."""
        mark = {True: self._in("32", " ✓"), False: self._in("31", " ✗"), None: ""}[good]
        shown = textwrap.shorten(text.replace("\n", " ") or "(nothing)", 220, placeholder=" …")
        print(
            textwrap.fill(f"{who}: {shown}", WIDTH, initial_indent="      ", subsequent_indent="         ") + mark,
            flush=True,
        )

    def curve(self, losses: Sequence[tuple[int, float]]) -> None:
        """Draw the training loss."""
        self._close_line()
        for line in chart(losses):
            print(f"      {line}", flush=True)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _close_line(self) -> None:
        if self._open_line:
            print("\r\x1b[2K", end="")
            self._open_line = False


def chart(losses: Sequence[tuple[int, float]], rows: int = 6, columns: int = 64) -> list[str]:
    """Draw (step, loss) pairs as a bar chart of a few lines.

    >>> print(chart([(0, 2.0), (1, 1.0), (2, 0.0)], rows=2, columns=3)[0])
    2.00 ┤██
    """
    if not losses:
        return []
    values = [loss for _, loss in losses]
    picked = [
        values[round(i * (len(values) - 1) / max(1, min(columns, len(values)) - 1))]
        for i in range(min(columns, len(values)))
    ]
    top = max(max(picked), 1e-9)
    lines = []
    for row in range(rows, 0, -1):
        cells = "".join(_cell(value / top * rows - (row - 1)) for value in picked)
        label = f"{top * row / rows:.2f}" if row in (rows, rows // 2) else ""
        lines.append(f"{label:>5} ┤{cells.rstrip()}")
    lines.append(f"{'0':>5} └{'─' * len(picked)}")
    first, last = f"step {losses[0][0]}", f"step {losses[-1][0]}"
    lines.append(f"{'':>7}{first}  {last:>{max(0, len(picked) - len(first) - 2)}}")
    return lines


def _cell(filled: float) -> str:
    """Return the block that fills a cell from 0 (empty) to 1 (full)."""
    if filled <= 0:
        return " "
    return _BARS[min(len(_BARS) - 1, int(filled * len(_BARS)))]
