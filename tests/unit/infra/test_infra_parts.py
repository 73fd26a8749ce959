"""The smaller parts: brackets of PowerShell, what is packaged, the list of operations, the command."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.infra.app import ROOT
from tools.infra.balance import unbalanced
from tools.infra.operations import operations
from tools.infra.package.contents import needed, packaged

SMALL = Path(__file__).with_name("small")


@pytest.mark.parametrize(
    "script",
    [
        "if ($a) { 'it''s (' } # {\n",
        'Write-Host "a ) $(Get-Thing -Name \'}\') `" (b"\n',
        "<# { ( #>\n$x = @'\n{ \" (\n'@\n",
        '$x = @"\n{ $(1)\n"@\n',
        "$a[0] = @{ b = @(1, 2) }",
        "echo `{",
        "$x = 'a'#b",
    ],
)
def test_what_powershell_closes_is_closed(script: str) -> None:
    assert unbalanced(script) == []


@pytest.mark.parametrize(
    ("script", "line", "said"),
    [
        ("if ($a) {\n", 1, "'{' is never closed"),
        ("a\n}\n", 2, "'}' closes nothing"),
        ("(\n]", 2, "']' closes nothing; line 1 opened '('"),
        ("x\n'a", 2, "a string in single quotes is never closed"),
        ('"a $(b "c") d', 1, "a string in double quotes is never closed"),
        ("<# a", 1, "'#>' is missing"),
        ("$x = @'\na '@\n", 1, '"\'@" is missing'),
    ],
)
def test_what_powershell_does_not_close_is_said(script: str, line: int, said: str) -> None:
    assert (line, said) in unbalanced(script)


def test_the_rules_of_a_package_are_those_of_gitignore(tmp_path: Path) -> None:
    for name in ("a.py", "b.txt", "tests/c.py", "deep/tests/d.py", "deep/e.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert packaged(tmp_path, "# a comment\n/tests\n*.txt\n!deep\n*.pyc\n") == ["a.py", "deep/tests/d.py"]


def test_the_app_needs_what_it_imports_late_and_the_data_beside_it() -> None:
    found = needed()
    assert {"function_app.py", "functions/http_api.py", "shared/azureml/endpoints.py", "shared/prices.json"} <= {*found}
    assert not [name for name in found if name.startswith(("local/", "tests/", "tools/"))]


def test_no_operation_is_listed_twice_and_each_says_why() -> None:
    listed = [(one.who, one.name.lower(), one.data) for one in operations()]
    assert len(listed) == len(set(listed))
    assert all(one.why for one in operations())


@pytest.mark.parametrize(("mend", "code"), [(True, 0), (False, 1)])
def test_the_command_says_by_its_exit_code_whether_all_is_well(tmp_path: Path, mend: bool, code: int) -> None:
    folder = SMALL if mend else tmp_path
    command = [sys.executable, "-m", "tools.infra", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert bool(done.stderr) == bool(code)
