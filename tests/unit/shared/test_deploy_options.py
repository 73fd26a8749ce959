"""What may be chosen for serving, and how it is said what is out of range."""

import re
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import OptionsError
from shared.runs import names
from shared.runs.deploy_options import DeployOptions
from shared.runs.options import checked


def test_nothing_chosen_is_an_endpoint_for_each_run_and_a_careful_rollout() -> None:
    options = DeployOptions()
    assert not options.is_blue_green
    assert (options.steps, options.bake, options.instance_types) == ((10, 50, 100), timedelta(minutes=10), [])


@pytest.mark.parametrize(
    ("deploy", "fault"),
    [
        ({"strategy": "canary"}, "deploy.strategy is 'canary', expected new_endpoint or blue_green"),
        ({"auth_mode": "none"}, "deploy.auth_mode is 'none', expected key or aad_token"),
        ({"endpoint": "4-bots"}, "deploy.endpoint is '4-bots', expected 3 to 32 letters"),
        ({"endpoint": "bot-"}, "no hyphen last"),
        ({"instance_type": []}, "deploy.instance_type is [], expected VM sizes"),
        ({"instance_count": 0}, "deploy.instance_count is 0, expected 1 or more"),
        ({"smoke_tests": 51}, "deploy.smoke_tests is 51, expected 1 to 50"),
        ({"min_similarity": 1.5}, "deploy.min_similarity is 1.5, expected 0 to 1"),
        ({"bake_minutes": -1}, "deploy.bake_minutes is -1, expected 0 to 1440"),
        ({"bake_minutes": ".nan"}, "bake_minutes"),
        ({"canary": []}, "deploy.canary is [], expected percents that rise to 100"),
        ({"canary": [10, 50]}, "rise to 100"),
        ({"canary": [50, 50, 100]}, "rise to 100"),
        ({"canary": [0, 100]}, "rise to 100"),
    ],
)
def test_what_is_out_of_range_is_said_with_what_is_expected(deploy: dict[str, Any], fault: str) -> None:
    with pytest.raises(OptionsError, match=re.escape(fault)):
        checked({"deploy": deploy}, "finetune.yaml")


def test_all_of_it_is_kept_as_plain_data() -> None:
    deploy = {
        "strategy": "blue_green",
        "endpoint": "support-bot",
        "instance_type": ["Standard_A", "Standard_B"],
        "auth_mode": "aad_token",
        "canary": [1, 100],
        "bake_minutes": 0.5,
    }
    assert checked({"deploy": deploy}, "body") == {"deploy": deploy}


def test_a_projects_endpoint_has_one_valid_name_in_each_workspace() -> None:
    projects = ["bot", "4 bots", "Ünïcode", "x" * 90, "ab-" * 20, "-"]
    found = {names.project_endpoint_name(f"/workspaces/{w}", project) for w in "ab" for project in projects}
    assert len(found) == 2 * len(projects)
    assert all(names.is_endpoint_name(name) for name in found)
    assert names.project_endpoint_name("/W/A", "bot") == names.project_endpoint_name("/w/a", "bot")
