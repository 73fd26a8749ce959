"""The VM sizes that models are trained on: their GPUs, and what an hour costs. Sources of the prices: `prices.json`.

Peak speeds are the makers' figures for dense matrices, in TFLOP/s.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import msgspec

from shared import typed


class Gpu(msgspec.Struct, frozen=True):
    """A kind of GPU. tf32: with the shortened 32-bit format where the GPU has one, else as fp32."""

    title: str
    memory_gb: int
    fp16: float
    tf32: float
    fp32: float


GPUS = {
    "T4": Gpu("NVIDIA T4", 16, 65, 8.1, 8.1),
    "A10": Gpu("NVIDIA A10", 24, 125, 62.5, 31.2),
    "V100-16GB": Gpu("NVIDIA V100 16 GB", 16, 112, 14, 14),
    "V100-32GB": Gpu("NVIDIA V100 32 GB", 32, 125, 15.7, 15.7),
    "A100-40GB": Gpu("NVIDIA A100 40 GB", 40, 312, 156, 19.5),
    "A100-80GB": Gpu("NVIDIA A100 80 GB", 80, 312, 156, 19.5),
    "H100-NVL": Gpu("NVIDIA H100 NVL 94 GB", 94, 835, 417, 60),
    "H100-80GB": Gpu("NVIDIA H100 80 GB", 80, 989, 494, 67),
    "H200": Gpu("NVIDIA H200 141 GB", 141, 989, 494, 67),
    "MI300X": Gpu("AMD MI300X 192 GB", 192, 1307, 654, 163),
}
# Azure's naming: family, version, and from the A100 on the GPU itself.
_KINDS_BY_NAME = (
    (r"_t4_", "T4"),
    (r"_a10_", "A10"),
    (r"_nc\d+\w*_a100_|_nd\d+am\w*_a100_", "A100-80GB"),
    (r"_nd96as\w*_v4$", "A100-40GB"),
    (r"_nc\d+\w*_h100_", "H100-NVL"),
    (r"_nd\d+\w*_h100_", "H100-80GB"),
    (r"_h200_", "H200"),
    (r"_mi300x_", "MI300X"),
    (r"_nc\d+r?s_v3$", "V100-16GB"),
)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A VM size. gpu: None when its kind is not known. usd_per_hour: None when no price is.

    region, as_of: where and when that was the list price; empty for a price of one's own.
    """

    size: str
    gpu: Gpu | None = None
    gpus: int | None = None
    usd_per_hour: float | None = None
    region: str = ""
    as_of: str = ""


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gpu: str
    gpus: int
    memory_gib: float
    usd_per_hour: float
    as_of: str
    source: str


class PriceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """prices.json. Sizes by their name; memory_gib is the machine's, not the GPU's."""

    about: list[str]
    region: str
    currency: str
    sizes: dict[str, _Row]


@cache
def price_table() -> PriceTable:
    """The table of list prices."""
    return typed.decode(files("shared").joinpath("prices.json").read_bytes(), PriceTable)


def machine(size: str, own_usd_per_hour: float | None = None) -> Machine:
    """Look a VM size up, in any spelling of capitals; of an unknown one the name may still tell its GPU.

    Args: own_usd_per_hour: a price that holds instead of the list price.
    """
    found = _listed(size)
    if own_usd_per_hour is None:
        return found
    return msgspec.structs.replace(found, usd_per_hour=own_usd_per_hour, region="", as_of="")


def _listed(size: str) -> Machine:
    table = price_table()
    for name, row in table.sizes.items():
        if name.lower() == size.lower():
            return Machine(
                size=name,
                gpu=GPUS[row.gpu],
                gpus=row.gpus,
                usd_per_hour=row.usd_per_hour,
                region=table.region,
                as_of=row.as_of,
            )
    kind = next((kind for pattern, kind in _KINDS_BY_NAME if re.search(pattern, size.lower())), None)
    return Machine(size=size, gpu=GPUS[kind] if kind else None)
