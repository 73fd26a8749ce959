"""Every setting of the app, read once from the environment; all faults are reported together."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.errors import SettingsError

CLOUDS: dict[str, dict[str, str]] = {
    # Source: azure/ai/ml/_azure_environments.py. Only what the app itself needs to know; the SDK knows the rest.
    "AzureCloud": {"resource_manager": "https://management.azure.com/"},
    "AzureUSGovernment": {"resource_manager": "https://management.usgovcloudapi.net/"},
    "AzureChinaCloud": {"resource_manager": "https://management.chinacloudapi.cn/"},
}
CUSTOM_CLOUD_KEYS = (
    "azure_portal",
    "resource_manager",
    "active_directory",
    "aml_resource_id",
    "storage_endpoint",
    "registry_discovery_endpoint",
)
_STORAGE_URLS = {
    "DATASET_STORAGE__blobServiceUri": "Blob service URL of the storage account",
    "DATASET_STORAGE__queueServiceUri": "Queue service URL; the blob trigger keeps its queue and its poison there",
    "DATASET_STORAGE__tableServiceUri": "Table service URL; the runs are there",
}
_DURATION = re.compile(r"(\d+)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Cloud:
    """Where Azure is: the public cloud, a sovereign one, or one that AZURE_CLOUD describes itself."""

    name: str
    metadata: Mapping[str, str] | None = None

    @property
    def resource_manager(self) -> str:
        """Return Azure Resource Manager's URL, with its trailing slash."""
        return (self.metadata or CLOUDS[self.name])["resource_manager"]


@dataclass(frozen=True)
class StorageAddress:
    """How to reach the storage account: a connection string, or service URLs with an identity."""

    connection_string: str | None = field(default=None, repr=False)
    blob_url: str | None = None
    table_url: str | None = None


# --- one parser per form: text -> value, ValueError says the expected form -----------------------------------


def parse_duration(text: str) -> timedelta:
    """Read "45s", "15m", "8h", "7d" or a chain such as "1h30m"."""
    compact = text.strip().lower()
    parts = _DURATION.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact.replace(" ", ""):
        raise ValueError("a duration such as 45s, 15m, 8h, 7d or 1h30m")
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


def _text(text: str) -> str:
    return text


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError("a whole number, 1 or more")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def _dollars(text: str) -> float:
    return _number_within(text, 0, 1e9, "an amount of US dollars, such as 25", low_open=False)


def _megabytes(text: str) -> int:
    if not text.isdigit():
        raise ValueError("a whole number of megabytes, 0 or more")
    return int(text)


def _percent(text: str) -> float:
    return _number_within(text, 0, 100, "a number above 0 and up to 100", low_open=True)


def _fraction(text: str) -> float:
    return _number_within(text, 0, 0.5, "a number above 0 and up to 0.5", low_open=True)


def _number_within(text: str, low: float, high: float, form: str, *, low_open: bool) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(form) from None
    if not low <= value <= high or (low_open and value == low):
        raise ValueError(form)
    return value


def _hyperparameters(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(v, str | int | float) for v in value.values()):
        raise ValueError('a JSON object of names and plain values, such as {"num_train_epochs": 2}')
    return value


def _cloud(text: str) -> Cloud:
    if text in CLOUDS:
        return Cloud(text)
    form = f"one of {', '.join(CLOUDS)}, or a JSON object with name, {', '.join(CUSTOM_CLOUD_KEYS)}"
    try:
        value = json.loads(text)
    except ValueError:
        raise ValueError(form) from None
    if not isinstance(value, dict) or not all(isinstance(value.get(k), str) for k in ("name", *CUSTOM_CLOUD_KEYS)):
        raise ValueError(form)
    return Cloud(value["name"], {key: value[key] for key in CUSTOM_CLOUD_KEYS})


def _schedule(text: str) -> str:
    if len(text.split()) not in (5, 6):
        raise ValueError("an NCRONTAB expression of six fields (seconds first), such as 0 */15 * * * *")
    return text


def _https_url(text: str) -> str:
    if not text.startswith("https://"):
        raise ValueError("an https:// URL")
    return text


# --- the settings --------------------------------------------------------------------------------------------


def setting(
    variable: str, parse: Callable[[str], Any], default: str | None, about: str, *, secret: bool = False
) -> Any:
    """Declare one setting: its variable, the form of its value, the default's text (None: required), and what it is."""
    meta = {"variable": variable, "parse": parse, "default": default, "about": about}
    return field(metadata=meta, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The app's settings. `Settings.load()` reads them; everything else receives them."""

    subscription_id: str = setting("AZURE_SUBSCRIPTION_ID", _text, None, "Subscription of the Azure ML workspace")
    resource_group: str = setting("AZURE_RESOURCE_GROUP", _text, None, "Resource group of the workspace")
    workspace_name: str = setting("AZUREML_WORKSPACE_NAME", _text, None, "Name of the workspace")
    cloud: Cloud = setting("AZURE_CLOUD", _cloud, "AzureCloud", "Azure cloud: a known name, or a custom cloud as JSON")
    storage: StorageAddress = field(metadata={"about": "Storage account of datasets, prepared data and runs"})
    prepared_datastore: str = setting(
        "PREPARED_DATASTORE", _text, "finetune_prepared", "Workspace datastore that points to the container `prepared`"
    )
    model_registry: str = setting("MODEL_REGISTRY", _text, "azureml", "Registry of foundation models and components")
    pipeline_component: str = setting(
        "PIPELINE_COMPONENT", _text, "chat_completion_pipeline", "Fine-tuning component, `name` or `name:version`"
    )
    foundation_model: str = setting(
        "FOUNDATION_MODEL", _text, "Phi-4", "Model to fine-tune, `name` or `name:version`, unless the dataset says so"
    )
    training_compute: str = setting(
        "TRAINING_COMPUTE", _text, "serverless", "`serverless`, or a cluster's name (made when absent)"
    )
    prepare_in_function_max_mb: int = setting(
        "PREPARE_IN_FUNCTION_MAX_MB", _megabytes, "256", "A larger dataset (million bytes) is prepared in the job"
    )
    preparation_compute: str = setting(
        "PREPARATION_COMPUTE", _text, "serverless", "Where the job prepares a large dataset, as TRAINING_COMPUTE"
    )
    preparation_instance_type: str = setting(
        "PREPARATION_INSTANCE_TYPE", _text, "Standard_E4ds_v4", "VM size to prepare on; its disk holds the dataset"
    )
    training_instance_type: str = setting(
        "TRAINING_INSTANCE_TYPE", _text, "", "VM size to train on; empty: the first that the model allows"
    )
    serving_instance_type: str = setting(
        "SERVING_INSTANCE_TYPE", _text, "", "VM size to serve on; empty: the smallest that the model allows"
    )
    serving_instance_count: int = setting("SERVING_INSTANCE_COUNT", _count, "1", "Instances of a deployment")
    hyperparameters: Mapping[str, Any] = setting(
        "HYPERPARAMETERS", _hyperparameters, "{}", "Hyperparameters for every run, as JSON"
    )
    sample_percent: float = setting("SAMPLE_PERCENT", _percent, "100", "Share of a dataset's prompts to use")
    test_fraction: float = setting("TEST_FRACTION", _fraction, "0.05", "Share of the prompts held out for testing")
    smoke_tests: int = setting("SMOKE_TESTS", _count, "3", "Held-out questions a new deployment must answer")
    max_active_runs: int = setting(
        "MAX_ACTIVE_RUNS", _count, "4", "Runs that may be under way at once; others wait, oldest first"
    )
    max_live_endpoints: int = setting(
        "MAX_LIVE_ENDPOINTS", _count, "10", "Endpoints that may be alive at once; trained models wait for their turn"
    )
    supersede: bool = setting(
        "SUPERSEDE", _flag, "true", "A newer upload of a dataset cancels older runs on it that do not train yet"
    )
    hold_above: float | None = setting(
        "HOLD_ABOVE", _dollars, "", "US dollars: a training that may cost more waits for approval; empty: none does"
    )
    max_per_run: float | None = setting(
        "MAX_PER_RUN", _dollars, "", "US dollars that a training may cost at most; empty: no limit"
    )
    evaluate: bool = setting("EVALUATE", _flag, "true", "Whether the job evaluates the base model and the trained one")
    max_training_time: timedelta = setting(
        "MAX_TRAINING_TIME", parse_duration, "24h", "A job running longer is cancelled, because it costs"
    )
    idle_after: timedelta = setting(
        "IDLE_AFTER", parse_duration, "8h", "An endpoint without a request for so long is idle"
    )
    idle_grace: timedelta = setting("IDLE_GRACE", parse_duration, "1h", "A younger endpoint is never idle")
    run_lease: timedelta = setting(
        "RUN_LEASE", parse_duration, "2m", "How long one worker may hold a run without a sign of life"
    )
    event_topic_endpoint: str = setting(
        "EVENT_TOPIC_ENDPOINT", _https_url, "", "Event Grid custom topic for the app's own events; empty: none"
    )
    # The Functions host puts these two into the timers' bindings and knows no default: without them, no timer runs.
    advance_schedule: str = setting(
        "ADVANCE_SCHEDULE", _schedule, None, "When unfinished runs are moved on, such as 0 * * * * *"
    )
    sweep_schedule: str = setting(
        "SWEEP_SCHEDULE", _schedule, None, "When idle endpoints are looked for, such as 0 */15 * * * *"
    )

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, *, config_dir: Path | None = None) -> Settings:
        """Read the settings from the environment, the workspace's ids also from `config.json`.

        Raises: SettingsError: names every variable that is missing or malformed, and the form it must have.
        """
        env = dict(os.environ if environment is None else environment)
        _add_workspace_config(env, config_dir or Path.cwd())
        values: dict[str, Any] = {}
        faults: list[str] = []
        for declared in fields(cls):
            if declared.name == "storage":
                values["storage"] = _storage(env, faults)
            else:
                values[declared.name] = _value(declared, env, faults)
        if faults:
            raise SettingsError(faults)
        return cls(**values)


def declared() -> list[tuple[str, str | None, str]]:
    """Return (variable, default, what it is) of every setting, for the sample file's and the README's check."""
    storage_variables = [
        ("DATASET_STORAGE", None, "Connection string of the storage account; or, with an identity, the three below"),
        *((variable, None, about) for variable, about in _STORAGE_URLS.items()),
    ]
    plain = [
        (f.metadata["variable"], f.metadata["default"], f.metadata["about"])
        for f in fields(Settings)
        if "variable" in f.metadata
    ]
    return [*plain, *storage_variables]


def _value(declared_field: Field[Any], env: Mapping[str, str], faults: list[str]) -> Any:
    variable, default = declared_field.metadata["variable"], declared_field.metadata["default"]
    text = env.get(variable, "").strip() or default
    if text is None:
        about = declared_field.metadata["about"]
        faults.append(f"{variable} is not set: {about[0].lower()}{about[1:]}")
        return None
    if text == "":
        return None if declared_field.metadata["parse"] is _dollars else ""
    try:
        return declared_field.metadata["parse"](text)
    except ValueError as fault:
        shown = "its value" if variable in ("HYPERPARAMETERS", "AZURE_CLOUD") else repr(text)
        faults.append(f"{variable}: {shown} is not {fault}")
        return None


def _storage(env: Mapping[str, str], faults: list[str]) -> StorageAddress:
    connection_string = env.get("DATASET_STORAGE", "").strip()
    urls = {variable: env[variable].strip() for variable in _STORAGE_URLS if variable in env}
    if connection_string and urls:
        # The blob trigger's extension looks at the URLs first, and takes an empty one for an address.
        faults.append(f"DATASET_STORAGE is set, and so is {', '.join(urls)}: leave one of the two ways out altogether")
    elif connection_string:
        return StorageAddress(connection_string=connection_string)
    elif all(urls.get(variable) for variable in _STORAGE_URLS):
        return StorageAddress(
            blob_url=urls["DATASET_STORAGE__blobServiceUri"], table_url=urls["DATASET_STORAGE__tableServiceUri"]
        )
    else:
        faults.append(
            "DATASET_STORAGE is not set: a storage connection string; or, for access with an identity, all of "
            + ", ".join(_STORAGE_URLS)
        )
    return StorageAddress()


def _add_workspace_config(env: dict[str, str], directory: Path) -> None:
    """Fill missing workspace ids from `config.json`, the file that Azure ML's studio offers for download."""
    path = directory / "config.json"
    names = {
        "subscription_id": "AZURE_SUBSCRIPTION_ID",
        "resource_group": "AZURE_RESOURCE_GROUP",
        "workspace_name": "AZUREML_WORKSPACE_NAME",
    }
    if all(env.get(variable) for variable in names.values()) or not path.is_file():
        return
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError as fault:
        raise SettingsError([f"{path.name}: not JSON ({fault}); download it again from Azure ML's studio"]) from fault
    for key, variable in names.items():
        if not env.get(variable) and isinstance(config.get(key), str):
            env[variable] = config[key]
