"""What every resource of the emulator is given: its configuration, its store, its clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from local.azureml.store import Store
from local.tls import Tls


@dataclass(frozen=True)
class Config:
    """How one emulator was started. `speed` divides the delays that Azure itself would add.

    `metrics_lag_s`: how long ago a minute must have ended to show in metrics; at 0 a request shows at once.
    """

    port: int
    identity_port: int
    state_dir: Path
    cache_dir: Path
    storage: str
    engine: str
    ml_python: Path
    eventgrid: str | None
    speed: float
    tls: Tls
    metrics_lag_s: float = 0

    @property
    def base_url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@dataclass
class Services:
    config: Config
    store: Store
    now: Callable[[], datetime]
