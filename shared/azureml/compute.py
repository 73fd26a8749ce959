"""Where to train and to serve: every check that spares a person a failed, paid-for job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.azureml.client import AzureML, plain
from shared.azureml.trouble import understood
from shared.errors import (
    ComputeFailedError,
    ComputeSizeNotAllowedError,
    ComputeSizeUnknownError,
    ComputeSizeUnsupportedError,
    QuotaError,
    RefusedByAzureError,
    ResourceGoneError,
    TransientError,
)

SERVERLESS = "serverless"
# K80 sizes: too little memory and no current driver. Source: the tutorial's own list.
UNSUPPORTED_SIZES = frozenset({"standard_nc6", "standard_nc12", "standard_nc24", "standard_nc24r"})
_SERVES = "MIR"  # the compute type that stands for managed online endpoints in a size's list
_IDLE_BEFORE_SCALE_DOWN_S = 120


@dataclass(frozen=True)
class TrainingCompute:
    """Where the job runs. name: `serverless` or the cluster. low_priority: on nodes that may be taken away."""

    name: str
    instance_type: str
    gpus_per_node: int
    low_priority: bool = False


def choose_training_compute(
    azureml: AzureML, *, name: str, wanted_size: str, allowed_sizes: Sequence[str] | None
) -> TrainingCompute:
    """Find, or begin to make, the compute to train on, and check it as the tutorial does.

    Raises: ComputeFailedError, ComputeSizeNotAllowedError, ComputeSizeUnsupportedError, ComputeSizeUnknownError;
    TransientError: a new cluster is still being made.
    """
    sizes = _sizes(azureml)
    if name.lower() == SERVERLESS:
        size = wanted_size or _first_available(allowed_sizes, sizes, "train")
        return _checked(SERVERLESS, size, allowed_sizes, sizes)
    cluster = _find_cluster(azureml, name)
    if cluster is None:
        size = wanted_size or _first_available(allowed_sizes, sizes, "train")
        _checked(name, size, allowed_sizes, sizes)
        _begin_cluster(azureml, name, size)
        raise TransientError(f"cluster {name} ({size}) is being made")
    _check_ready(cluster, name, "TRAINING_COMPUTE")
    checked = _checked(name, str(cluster.size), allowed_sizes, sizes)
    return replace(checked, low_priority=plain(cluster.tier).lower() == "low_priority")


def choose_preparation_compute(azureml: AzureML, *, name: str, size: str) -> str:
    """Find, or begin to make, the compute that prepares large datasets; any size of the region will do.

    Returns: its size. Raises: ComputeFailedError, ComputeSizeUnknownError; TransientError: a new cluster is being made.
    """
    if name.lower() == SERVERLESS:
        return _known_size(azureml, size, SERVERLESS)
    cluster = _find_cluster(azureml, name)
    if cluster is None:
        _begin_cluster(azureml, name, _known_size(azureml, size, name))
        raise TransientError(f"cluster {name} ({size}) is being made")
    _check_ready(cluster, name, "PREPARATION_COMPUTE")
    return str(cluster.size)


def _known_size(azureml: AzureML, size: str, compute: str) -> str:
    known = _sizes(azureml).get(size.lower())
    if known is None:
        raise ComputeSizeUnknownError(
            f"VM size {size} of {compute} is not offered in the workspace's region. Set PREPARATION_INSTANCE_TYPE."
        )
    return str(known.name)


def choose_serving_sizes(
    azureml: AzureML, *, wanted_sizes: Sequence[str], allowed_sizes: Sequence[str] | None
) -> list[str]:
    """Return the VM sizes to serve on, in the order in which they are tried: those of the wanted ones that the model
    may have and the region offers for endpoints; without a wish, the smallest that the model may have.

    Raises: ComputeSizeNotAllowedError, ComputeSizeUnknownError: none of them will do.
    """
    sizes = {key: size for key, size in _sizes(azureml).items() if _can_serve(size)}
    if not wanted_sizes:
        return [_smallest_available(allowed_sizes, sizes)]
    allowed = wanted_sizes if allowed_sizes is None else _common(wanted_sizes, allowed_sizes)
    if not allowed:
        raise ComputeSizeNotAllowedError(
            f"VM size {_any_of(wanted_sizes)} cannot serve this model. Allowed: {', '.join(allowed_sizes or ())}. "
            "Set deploy.instance_type or SERVING_INSTANCE_TYPE."
        )
    offered = [str(sizes[size.lower()].name) for size in allowed if size.lower() in sizes]
    if not offered:
        raise ComputeSizeUnknownError(
            f"VM size {_any_of(allowed)} is not offered for online endpoints in the workspace's region."
        )
    return list(dict.fromkeys(offered))


def _common(wanted: Sequence[str], allowed: Sequence[str]) -> list[str]:
    known = {size.lower() for size in allowed}
    return [size for size in wanted if size.lower() in known]


def _any_of(sizes: Sequence[str]) -> str:
    return " or ".join(sizes)


def _smallest_available(allowed_sizes: Sequence[str] | None, sizes: Mapping[str, Any]) -> str:
    """Return the smallest size that the model may serve on: the fewest GPUs, then cores, then memory."""
    _first_available(allowed_sizes, sizes, "serve")
    offered = [sizes[size.lower()] for size in allowed_sizes or () if size.lower() in sizes]
    return str(min(offered, key=_extent).name)


def _extent(size: Any) -> tuple[float, float, float]:
    """Return what a size is compared by. The SDK leaves cores and memory, too, under their wire names."""
    cores, memory = getattr(size, "vCPUs", None) or size.v_cp_us, getattr(size, "memoryGB", None) or size.memory_gb
    return size.gpus or 0, cores or 0, memory or 0


def _can_serve(size: Any) -> bool:
    """Tell whether a size is offered for online endpoints; a size that does not say is taken to be.

    The SDK leaves this answer under its wire name, beside an attribute that stays None.
    """
    kinds = getattr(size, "supportedComputeTypes", None) or size.supported_compute_types
    return kinds is None or _SERVES in kinds


def _checked(compute: str, size: str, allowed_sizes: Sequence[str] | None, sizes: Mapping[str, Any]) -> TrainingCompute:
    if allowed_sizes is not None:
        if size.lower() not in {allowed.lower() for allowed in allowed_sizes}:
            raise ComputeSizeNotAllowedError(
                f"VM size {size} of {compute} is not in the model's list of sizes for fine-tuning: "
                f"{', '.join(allowed_sizes)}. Set TRAINING_INSTANCE_TYPE, or TRAINING_COMPUTE to another cluster."
            )
    elif size.lower() in UNSUPPORTED_SIZES:
        raise ComputeSizeUnsupportedError(f"VM size {size} of {compute} cannot be used for fine-tuning (K80 GPUs).")
    known = sizes.get(size.lower())
    if known is None:
        raise ComputeSizeUnknownError(
            f"VM size {size} of {compute} is not offered in the workspace's region. "
            f"Offered with a GPU: {', '.join(sorted(s.name for s in sizes.values() if s.gpus)) or 'none'}."
        )
    # A size without a GPU trains nothing in Azure; where the model's own list allows it, one process is right.
    return TrainingCompute(compute, str(known.name), max(1, int(known.gpus or 0)))


def _check_ready(cluster: Any, name: str, variable: str) -> None:
    state = plain(cluster.provisioning_state).lower()
    if state == "failed":
        raise ComputeFailedError(
            f"The provisioning of cluster {name} has failed. Delete it, or set {variable} to another one."
        )
    if state in ("creating", "updating", "deleting"):
        raise TransientError(f"cluster {name} is {state}")


def _sizes(azureml: AzureML) -> dict[str, Any]:
    return {str(size.name).lower(): size for size in azureml.vm_sizes}


def _first_available(allowed_sizes: Sequence[str] | None, sizes: Mapping[str, Any], purpose: str) -> str:
    candidates = [size for size in allowed_sizes or () if size.lower() in sizes]
    if not candidates:
        variable = "TRAINING_INSTANCE_TYPE" if purpose == "train" else "SERVING_INSTANCE_TYPE"
        listed = f" ({', '.join(allowed_sizes)})" if allowed_sizes else ""
        raise ComputeSizeUnknownError(
            f"None of the VM sizes that the model may {purpose} on{listed} is offered in the workspace's region. "
            f"Set {variable}, or use a workspace in another region."
        )
    return candidates[0]


def _find_cluster(azureml: AzureML, name: str) -> Any:
    try:
        with understood(f"looking up cluster {name}"):
            return azureml.workspace.compute.get(name)
    except ResourceGoneError:
        return None


def _begin_cluster(azureml: AzureML, name: str, size: str) -> None:
    """Begin to make a cluster that scales to zero: dedicated nodes, low-priority ones when those are refused."""
    from azure.ai.ml.entities import AmlCompute

    for tier in ("dedicated", "low_priority"):
        cluster = AmlCompute(
            name=name,
            size=size,
            tier=tier,
            min_instances=0,
            max_instances=1,
            idle_time_before_scale_down=_IDLE_BEFORE_SCALE_DOWN_S,
        )
        try:
            with understood(f"creating cluster {name} ({size}, {tier})"):
                azureml.workspace.compute.begin_create_or_update(cluster)
            return
        except (QuotaError, RefusedByAzureError):
            if tier == "low_priority":
                raise


@dataclass(frozen=True)
class Cluster:
    """A cluster of the workspace, whoever made it. min_instances: nodes that it keeps when nothing runs."""

    name: str
    size: str
    min_instances: int


def list_clusters(azureml: AzureML) -> list[Cluster]:
    """Return the workspace's clusters."""
    with understood("listing the clusters"):
        found = [one for one in azureml.workspace.compute.list() if str(one.type).lower() == "amlcompute"]
    return [Cluster(str(one.name), str(one.size), int(one.min_instances or 0)) for one in found]
