"""What `.funcignore` lets into the deployment package: what the app needs, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pathspec

from tools.infra.app import ROOT
from tools.infra.complaint import Complaint, Where

FILE = ".funcignore"
NEEDED = ("function_app.py", "host.json", "requirements.txt", "constraints.txt")
"""requirements.txt names constraints.txt: without it the build in Azure cannot resolve anything."""
FOLDERS = ("functions", "shared")
_NEVER_THERE = {".git", "node_modules", "__pycache__"}


def packaged(root: Path, rules: str) -> list[str]:
    """Return the files under `root` that rules like .gitignore's let through, as paths with slashes."""
    spec = pathspec.GitIgnoreSpec.from_lines(rules.splitlines())
    return sorted(_files(root, "", spec))


def _files(root: Path, folder: str, spec: pathspec.GitIgnoreSpec) -> Iterator[str]:
    for path in (root / folder).iterdir():
        name = f"{folder}{path.name}"
        if path.is_dir():
            # What an ignored folder holds stays ignored; and a folder as large as node_modules is not walked.
            if not spec.match_file(f"{name}/") and path.name not in _NEVER_THERE:
                yield from _files(root, f"{name}/", spec)
        elif not spec.match_file(name):
            yield name


def check(folder: Path) -> Iterator[Complaint]:
    """Hold a folder's .funcignore against this repository's files."""
    path = folder / FILE
    if not path.is_file():
        what = "there is no such file"
        yield Complaint(Where(FILE, 1), what, "one that keeps what Azure does not need at home", "Write it")
        return
    found = packaged(ROOT, path.read_text("utf-8"))
    for name in needed():
        if name not in found:
            line = _line_that_drops(path, name)
            expected = "everything that the app imports or reads"
            yield Complaint(Where(FILE, line), f"it keeps {name} out of the package", expected, "Let it in")
    surplus = dict.fromkeys(name.partition("/")[0] for name in found)
    for top in surplus:
        if top not in NEEDED and top not in FOLDERS:
            what = f"it lets {top}{'/' if (ROOT / top).is_dir() else ''} into the package"
            yield Complaint(Where(FILE, 1), what, f"only {', '.join((*NEEDED, *FOLDERS))}", f"Add a line {top}")


def _line_that_drops(path: Path, name: str) -> int:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if pathspec.GitIgnoreSpec.from_lines([line]).match_file(name):
            return number
    return 1


def needed() -> list[str]:
    """Return what must be in the package: what function_app.py imports, early or late, and the data beside it."""
    modules = _imported("function_app.py")
    data = [
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    return sorted({*modules, *data, *NEEDED})


def _imported(start: str) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        for node in ast.walk(ast.parse((ROOT / name).read_text("utf-8"))):
            todo += [file for module in _names(node) for file in _files_of(module)]
    return found


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _files_of(module: str) -> list[str]:
    """Return the files of this repository that importing a module runs: its packages' and its own."""
    parts = module.split(".")
    if parts[0] not in FOLDERS:
        return []
    packages = ["/".join([*parts[:end], "__init__.py"]) for end in range(1, len(parts) + 1)]
    return [name for name in [*packages, f"{'/'.join(parts)}.py"] if (ROOT / name).is_file()]
