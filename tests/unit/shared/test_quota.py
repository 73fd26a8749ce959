"""Reading Azure's usages, and every decision about quota just under and just over its bound."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError

from shared.azureml.quota import Limit, Quota, instances_reserved, limits_of, machines_of
from shared.runs import quotas
from shared.runs.context import Context, Held, Waiting
from shared.runs.parts import DatasetVersion, TrainingPlan
from shared.runs.record import Run, new_run

NOW = datetime(2026, 11, 24, tzinfo=UTC)
A100, T4, CPU = "Standard_NC24ads_A100_v4", "Standard_NC4as_T4_v3", "Standard_F4s_v2"
SIZES = machines_of(
    [
        {"name": A100, "family": "standardNCADSA100v4Family", "vCPUs": 24},
        {"name": T4, "family": "standard NCASv3_T4 Family", "vCPUs": 4},
        {"name": CPU, "family": "standardFSv2Family", "v_cp_us": 4},
        {"name": "Standard_Odd", "family": None, "vCPUs": 1},
    ]
)
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"


def usage(name: str, limit: int, used: int = 0, *, kind: str = "vmFamily", value: str = "", at: str = "") -> Any:
    """One usage as in the official example (`Usage/list.json`, 2024-10-01); `value` as Microsoft's SDKs expect it."""
    return {
        "id": f"{SUBSCRIPTION}{at}/usages",
        "type": f"Microsoft.MachineLearningServices/{kind}/usages",
        "currentValue": used,
        "limit": limit,
        "name": {"value": value or name, "localizedValue": name},
        "unit": "Count",
    }


def quota(*usages: Any) -> Quota:
    return Quota(limits_of(usages), SIZES)


A100_FAMILY = "Standard NCADSA100v4 Family Cluster Dedicated vCPUs"
FSV2_FAMILY = "Standard FSv2 Family Cluster Dedicated vCPUs"
TOTAL = "Total Cluster Dedicated Regional vCPUs"
TOTAL_LOW = "Total Cluster LowPriority Regional vCPUs"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (A100_FAMILY, A100_FAMILY),  # the official example
        (A100_FAMILY, "standardNCADSA100v4Family"),  # what Microsoft's SDKs compare with the size's family
        (A100_FAMILY, "StandardNCADSA100v4Family"),
    ],
)
def test_a_family_is_found_under_any_of_its_names(name: str, value: str) -> None:
    found = quota(usage(name, 24, 3, value=value)).room_to_train(A100, 1, low_priority=False)
    assert (found.needed, found.lacking) == (24, None)
    assert found.busy == Limit(A100_FAMILY, "standardncadsa100v4", False, 24, 3)


def test_a_family_with_blanks_in_its_name_is_found() -> None:
    found = quota(usage("Standard NCASv3_T4 Family Cluster Dedicated vCPUs", 3))
    assert found.room_to_train(T4, 1, low_priority=False).lacking is not None


def test_parts_of_the_subscription_are_not_taken_for_it() -> None:
    limits = limits_of(
        [
            usage(A100_FAMILY, 0, at="/resourceGroups/rg/providers/X/workspaces/w"),
            usage(A100_FAMILY, 0, at="/resourceGroups/rg/providers/X/workspaces/w/computes/c"),
            usage("Clusters", 200, 1, kind="totalCores"),
            {"id": "x", "type": "y", "name": None, "limit": 1},
            {"id": "x", "type": "y", "name": {"value": "z"}, "limit": None},
        ]
    )
    assert [limit.name for limit in limits] == ["Clusters"]
    assert not Quota(limits, SIZES).room_to_train(A100, 1, low_priority=False).is_known


@pytest.mark.parametrize(
    ("limit", "used", "lacking", "busy"),
    [(48, 0, False, False), (47, 0, True, False), (100, 52, False, False), (100, 53, False, True), (0, 0, True, False)],
)
def test_nodes_times_cores_have_to_fit_into_the_family(limit: int, used: int, lacking: bool, busy: bool) -> None:
    room = quota(usage(A100_FAMILY, limit, used)).room_to_train(A100, 2, low_priority=False)
    assert (room.needed, bool(room.lacking), bool(room.busy)) == (48, lacking, busy)


def test_all_families_together_have_a_limit_too() -> None:
    both = quota(usage(A100_FAMILY, 96), usage(TOTAL, 20, kind="dedicatedCores"))
    lacking = both.room_to_train(A100, 1, low_priority=False).lacking
    assert lacking is not None
    assert lacking.name == TOTAL


def test_low_priority_has_a_limit_of_its_own_and_none_for_a_family() -> None:
    both = quota(
        usage(A100_FAMILY, 0),
        usage("Standard NCADSA100v4 Family Cluster LowPriority vCPUs", -1, 18),
        usage(TOTAL_LOW, 24, kind="lowPriorityCores"),
    )
    assert both.room_to_train(A100, 1, low_priority=True).lacking is None
    assert both.room_to_train(A100, 2, low_priority=True).lacking is not None
    assert both.room_to_train(A100, 1, low_priority=False).lacking is not None


@pytest.mark.parametrize(("instances", "reserved"), [(1, 2), (2, 3), (5, 6), (6, 8), (10, 12), (11, 14)])
def test_azure_keeps_a_fifth_more_instances_in_reserve(instances: int, reserved: int) -> None:
    # "10 instances of Standard_DS3_v2 need a quota for 48 cores", and the quoted refusal of one F4s_v2 asks for 8.
    assert instances_reserved(CPU, instances) == reserved
    assert instances_reserved(A100, instances) == instances


@pytest.mark.parametrize(("limit", "lacking"), [(8, False), (7, True)])
def test_serving_needs_the_reserve(limit: int, lacking: bool) -> None:
    assert bool(quota(usage(FSV2_FAMILY, limit)).room_to_serve(CPU, 1).lacking) == lacking


# --- what a run does about it


@dataclass
class Options:
    serving_instance_count: int = 1


@dataclass
class Situation:
    """What `decide` looks at of a context."""

    run: Run
    options: Options = field(default_factory=Options)
    in_state_for: timedelta = timedelta()
    services: Any = None


def situation(*, compute: str = "serverless", sizes: list[str] | None = None, approved: str = "") -> Situation:
    dataset = DatasetVersion(container="datasets", blob="bot/a.jsonl", etag="0x1", modified_at=NOW, size=1)
    run = new_run("bot-20261124000000-0123abcd", "bot", dataset, {}, now=NOW, trigger="blob")
    run.approved = [approved] if approved else []
    run.plan = TrainingPlan(
        foundation_model="Phi-4:8",
        foundation_model_id="x",
        component="c:1",
        compute=compute,
        instance_type=A100,
        gpus_per_node=1,
        hyperparameters={"num_nodes_finetune": "2"},
        serving_instance_type=CPU,
        serving_instance_types=sizes or [],
        display_name="d",
    )
    return Situation(run)


def decide(found: Situation, *usages: Any) -> Held | Waiting | None:
    return quotas.decide(cast(Context, found), quota(*usages))


def family(a100: tuple[int, int] = (96, 0), cpu: tuple[int, int] = (96, 0)) -> list[Any]:
    return [usage(A100_FAMILY, *a100), usage(FSV2_FAMILY, *cpu)]


def test_enough_quota_lets_a_run_go_on_without_a_word() -> None:
    found = situation()
    assert decide(found, *family()) is None
    assert found.run.notes == []


def test_a_limit_too_low_to_train_holds_the_run_and_says_what_to_ask_for() -> None:
    held = decide(situation(), *family(a100=(47, 0)))
    assert isinstance(held, Held)
    assert held.reason == "training_quota"
    assert held.message.startswith(
        f"Training on 2 x {A100} needs 48 cores of {A100_FAMILY}, of which there are 47. Ask for at least 48 cores"
    )
    assert decide(situation(approved="training_quota"), *family(a100=(47, 0))) is None


def test_a_limit_too_low_to_serve_holds_the_run_before_the_training() -> None:
    held = decide(situation(), *family(cpu=(7, 0)))
    assert isinstance(held, Held)
    assert held.reason == "serving_quota"
    assert f"Serving on 1 x {CPU} needs 8 cores of {FSV2_FAMILY}, of which there are 7." in held.message
    assert decide(situation(approved="serving_quota"), *family(cpu=(7, 0))) is None


def test_one_size_with_quota_of_several_is_enough_to_serve() -> None:
    assert decide(situation(sizes=[CPU, A100]), *family(cpu=(0, 0))) is None
    held = decide(situation(sizes=[CPU, T4]), *family(cpu=(0, 0)), usage(TOTAL, 1))
    assert isinstance(held, Held)


@pytest.mark.parametrize(("used", "waits"), [(48, False), (49, True)])
def test_cores_in_use_are_waited_for(used: int, waits: bool) -> None:
    waiting = decide(situation(), *family(a100=(96, used)))
    assert isinstance(waiting, Waiting) == waits
    if isinstance(waiting, Waiting):
        assert waiting.for_what.startswith(f"48 cores of {A100_FAMILY} for 2 x {A100}: 49 of 96 are in use")
        assert waiting.again_in == timedelta(minutes=1)


def test_a_cluster_queues_its_jobs_itself() -> None:
    assert decide(situation(compute="gpu"), *family(a100=(96, 96))) is None


@pytest.mark.parametrize(("used", "noted"), [(88, False), (89, True)])
def test_cores_in_use_that_serving_needs_are_only_noted(used: int, noted: bool) -> None:
    found = situation()
    assert decide(found, *family(cpu=(96, used))) is None
    assert [note[:20] for note in found.run.notes] == (["Serving on 1 x Stand"] if noted else [])


def test_a_family_that_azure_does_not_list_stops_nobody() -> None:
    found = situation()
    assert decide(found, usage(A100_FAMILY, 96)) is None
    assert found.run.notes == [f"Azure lists no quota for 1 x {CPU}, so nobody looked whether it is enough."]


class Unreadable:
    """Azure that does not say what is used, when it is asked through `services.azureml.workspace.compute`."""

    vm_sizes = ()

    def __init__(self, fault: AzureError) -> None:
        self.azureml = self.workspace = self.compute = self
        self._fault = fault

    def list_usage(self) -> list[Any]:
        raise self._fault


def forbidden() -> HttpResponseError:
    fault = HttpResponseError("The client does not have authorization to perform action.")
    fault.status_code = 403
    return fault


@pytest.mark.parametrize("fault", [forbidden(), HttpResponseError("Bad gateway"), ServiceRequestError("no route")])
def test_usage_that_cannot_be_read_stops_nobody(fault: AzureError) -> None:
    found = situation()
    found.services = Unreadable(fault)
    assert quotas.check(cast(Context, found)) is None
    (note,) = found.run.notes
    assert note.startswith("The region's quota could not be read")


@pytest.mark.parametrize(("waited", "minutes"), [(0, 1), (4, 1), (8, 2), (40, 10), (60, 15), (600, 15)])
def test_the_longer_it_waits_the_later_it_looks_again(waited: int, minutes: int) -> None:
    assert quotas.pause(timedelta(minutes=waited)) == timedelta(minutes=minutes)
