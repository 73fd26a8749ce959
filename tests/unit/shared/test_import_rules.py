"""Rules of import that a linter of packages cannot see: which module may name which part of Azure's SDK."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
APP = [ROOT / "function_app.py", *ROOT.glob("functions/**/*.py"), *ROOT.glob("shared/**/*.py")]


def imported(path: Path, *, at_module_level: bool) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if at_module_level else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", APP, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_shared_azureml_names_the_azure_ml_sdk(path: Path) -> None:
    allowed = path.is_relative_to(ROOT / "shared" / "azureml")
    found = [name for name in imported(path, at_module_level=False) if name.startswith("azure.ai.ml")]
    assert allowed or found == []


@pytest.mark.parametrize("path", APP, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_imports_an_sdk_when_it_is_imported(path: Path) -> None:
    light = ("azure.functions", "azurefunctions.extensions.base")
    found = [
        name
        for name in imported(path, at_module_level=True)
        if name.startswith(("azure", "cramjam", "pandas", "requests", "yaml")) and name not in light
    ]
    assert found == []


@pytest.mark.parametrize("path", APP, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_reads_parquet_is_imported_by_nothing_else_when_it_is_imported(path: Path) -> None:
    found = [name for name in imported(path, at_module_level=True) if name.startswith("shared.dataset.parquet")]
    assert found == [] or path.parent.name == "parquet"


@pytest.mark.parametrize("path", APP, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_shared_typed_hands_types_to_msgspec(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    found = [
        name
        for call in calls
        if (name := ast.unparse(call.func)) == "msgspec.convert"
        or (name == "msgspec.json.Decoder" and call.args)
        or (name == "msgspec.json.decode" and call.keywords)
    ]
    assert found == [] or path == ROOT / "shared" / "typed.py"


@pytest.mark.parametrize("path", APP, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_names_pyarrow_which_only_the_tests_have(path: Path) -> None:
    assert [name for name in imported(path, at_module_level=False) if name.startswith("pyarrow")] == []
