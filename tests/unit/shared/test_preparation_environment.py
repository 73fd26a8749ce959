"""The environment of the preparation step holds what the dataset package imports, in the app's own versions."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from shared.azureml.preparation import OPTIONAL, PACKAGES, component, conda_environment, environment

ROOT = Path(__file__).resolve().parents[3]


def imported() -> set[str]:
    """Return the top-level names of others that the dataset package imports, wherever in its modules."""
    names: set[str] = set()
    for path in (ROOT / "shared" / "dataset").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return {name for name in names if name.split(".")[0] not in {*sys.stdlib_module_names, "shared"}}


def test_everything_that_the_dataset_package_imports_is_in_the_steps_environment() -> None:
    # A namespace of several distributions is known by no one of them.
    distributions = {**packages_distributions(), "backports": ["backports.zstd"]}
    needed = {owner for name in imported() for owner in distributions[name.split(".")[0]]}
    assert needed - set(OPTIONAL) == set(PACKAGES)


def test_the_step_gets_the_versions_that_the_app_is_pinned_to() -> None:
    pinned = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.M))
    (pip,) = [part["pip"] for part in conda_environment()["dependencies"] if isinstance(part, dict)]
    assert pip[: len(PACKAGES)] == [f"{name}=={pinned[name]}" for name in PACKAGES]


def test_what_this_app_does_not_have_is_not_asked_for_either() -> None:
    (pip,) = [part["pip"] for part in conda_environment()["dependencies"] if isinstance(part, dict)]
    installed = {name for owners in packages_distributions().values() for name in owners}
    assert {pin.partition("==")[0] for pin in pip} == {*PACKAGES, *(set(OPTIONAL) & installed)}


def test_the_environments_version_follows_its_content() -> None:
    assert environment().version == environment().version
    assert f"python={sys.version_info.major}.{sys.version_info.minor}" in conda_environment()["dependencies"]


def test_the_command_quotes_every_path_and_names_nothing_that_is_not_declared() -> None:
    built = component().component
    placeholders = re.findall(r"'\$\{\{(inputs|outputs)\.(\w+)\}\}'", built.command)
    assert len(placeholders) == built.command.count("${{")
    assert {name for kind, name in placeholders if kind == "inputs"} == set(built.inputs)
    assert {name for kind, name in placeholders if kind == "outputs"} == set(built.outputs)
