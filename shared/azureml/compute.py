"""Where to train and to serve: every check that spares a person a failed, paid-for job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """Where the job runs. name: `serverless` or the cluster."""

    name: str
    instance_type: str
    gpus_per_node: int


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
    return _checked(name, str(cluster.size), allowed_sizes, sizes)


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


def choose_serving_size(azureml: AzureML, *, wanted_size: str, allowed_sizes: Sequence[str] | None) -> str:
    """Return the VM size to serve on: the wanted one, else the first allowed that the region offers for endpoints.

    Raises: ComputeSizeNotAllowedError, ComputeSizeUnknownError.
    """
    sizes = {key: size for key, size in _sizes(azureml).items() if _can_serve(size)}
    size = wanted_size or _first_available(allowed_sizes, sizes, "serve")
    if allowed_sizes is not None and size.lower() not in {allowed.lower() for allowed in allowed_sizes}:
        raise ComputeSizeNotAllowedError(
            f"VM size {size} cannot serve this model. Allowed: {', '.join(allowed_sizes)}. Set SERVING_INSTANCE_TYPE."
        )
    if size.lower() not in sizes:
        raise ComputeSizeUnknownError(f"VM size {size} is not offered for online endpoints in the workspace's region.")
    return str(sizes[size.lower()].name)


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
    with understood("listing the region's VM sizes"):
        return {str(size.name).lower(): size for size in azureml.workspace.compute.list_sizes()}


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
