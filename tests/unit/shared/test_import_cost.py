"""Importing the app is what a cold start begins with: nothing heavy, no client, no setting."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HEAVY = (
    "azure.ai.ml",
    "cramjam",
    "pandas",
    "pyarrow",
    "torch",
    "azure.identity",
    "azure.storage",
    "azure.data",
    "azure.mgmt",
    "azure.monitor",
    "requests",
    "yaml",
    "opentelemetry",
)


def test_importing_the_app_in_an_empty_environment_loads_nothing_heavy() -> None:
    code = "import sys, json, function_app; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={}, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert "function_app" in loaded
    assert [name for name in loaded if name.startswith(HEAVY)] == []
