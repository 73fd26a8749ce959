"""Small apps written to a folder and loaded by the code under test; every app is a module of its own name."""

import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.functions_host import indexing
from local.functions_host.model import Function

_NUMBERS = itertools.count()
HEAD = "import azure.functions as func\napp = func.FunctionApp()\n"


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[..., list[Function]]]:
    """Return a function that indexes source code, by default below `app = func.FunctionApp()`."""
    before = list(sys.path)
    loaded: list[str] = []

    def index(source: str, head: str = HEAD) -> list[Function]:
        name = f"app_under_test_{next(_NUMBERS)}"
        loaded.append(name)
        (tmp_path / f"{name}.py").write_text(head + textwrap.dedent(source))
        return indexing.index(tmp_path, f"{name}.py")

    yield index
    sys.path[:] = before
    for name in loaded:
        sys.modules.pop(name, None)
