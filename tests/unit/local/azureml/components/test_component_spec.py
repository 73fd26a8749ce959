"""How a component's spec comes back."""

from typing import Any, cast

from local.azureml.components.routes import complete
from local.azureml.services import Services


def test_scalars_become_strings_and_jobs_vanish() -> None:
    spec = {
        "name": "c",
        "type": "pipeline",
        "is_deterministic": True,
        "inputs": {"n": {"type": "integer", "default": 3}, "m": {"type": "string", "optional": True}},
        "jobs": {"node": {}},
        "_source": "YAML.JOB",
    }
    properties, _ = complete(cast(Services, None), "c", "1", {"componentSpec": spec})
    answered: dict[str, Any] = properties["componentSpec"]
    assert answered == {
        "name": "c",
        "type": "pipeline",
        "is_deterministic": "True",
        "inputs": {
            "n": {"type": "integer", "default": "3", "optional": "False"},
            "m": {"type": "string", "optional": "True"},
        },
    }
