"""Every setting of the app, read once from the environment; all faults are reported together."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared import setting_forms as forms
from shared.errors import SettingsError
from shared.idle.policy import Action, parse_action
from shared.idle.windows import Blackouts, BusinessHours

CLOUDS: dict[str, dict[str, str]] = {
    # Source: azure/ai/ml/_azure_environments.py. Only what the app itself needs to know; the SDK knows the rest.
    # "metrics" is Azure Monitor's batch API; without the region it is the audience of its tokens, too.
    # Source: MetricsClient's samples (azure-monitor-querymetrics); for China, Azure's page about the batch API there.
    "AzureCloud": {
        "resource_manager": "https://management.azure.com/",
        "metrics": "https://{region}.metrics.monitor.azure.com",
    },
    "AzureUSGovernment": {
        "resource_manager": "https://management.usgovcloudapi.net/",
        "metrics": "https://{region}.metrics.monitor.azure.us",
    },
    "AzureChinaCloud": {
        "resource_manager": "https://management.chinacloudapi.cn/",
        "metrics": "https://{region}.metrics.monitor.azure.cn",
    },
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


parse_duration = forms.duration


@dataclass(frozen=True)
class Cloud:
    """Where Azure is: the public cloud, a sovereign one, or one that AZURE_CLOUD describes itself."""

    name: str
    metadata: Mapping[str, str] | None = None
    custom_metrics: str | None = None
    """Of a custom cloud: where Azure Monitor's batch API is; `{region}` stands for the region, if it is in there."""

    @property
    def resource_manager(self) -> str:
        """Return Azure Resource Manager's URL, with its trailing slash."""
        return (self.metadata or CLOUDS[self.name])["resource_manager"]

    @property
    def metrics(self) -> str | None:
        """Return the URL of Azure Monitor's batch API with `{region}` in it; None: this cloud has none."""
        return self.custom_metrics if self.metadata else CLOUDS[self.name]["metrics"]


@dataclass(frozen=True)
class StorageAddress:
    """How to reach the storage account: a connection string, or service URLs with an identity."""

    connection_string: str | None = field(default=None, repr=False)
    blob_url: str | None = None
    table_url: str | None = None


def parse_cloud(text: str) -> Cloud:
    """Read a cloud's name, or a custom cloud as JSON."""
    if text in CLOUDS:
        return Cloud(text)
    form = f"one of {', '.join(CLOUDS)}, or a JSON object with name, {', '.join(CUSTOM_CLOUD_KEYS)}"
    try:
        value = json.loads(text)
    except ValueError:
        raise ValueError(form) from None
    if not isinstance(value, dict) or not all(isinstance(value.get(k), str) for k in ("name", *CUSTOM_CLOUD_KEYS)):
        raise ValueError(form)
    metrics = value.get("metrics")
    if metrics is not None and not (isinstance(metrics, str) and metrics.startswith("https://")):
        raise ValueError(
            f"{form}; metrics, if it is there, is an https:// URL, such as https://{{region}}.metrics.here"
        )
    return Cloud(value["name"], {key: value[key] for key in CUSTOM_CLOUD_KEYS}, metrics)


def setting(
    variable: str, parse: Callable[[str], Any], default: str | None, about: str, *, secret: bool = False
) -> Any:
    """Declare one setting: its variable, the form of its value, the default's text (None: required), and what it is."""
    meta = {"variable": variable, "parse": parse, "default": default, "about": about}
    return field(metadata=meta, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The app's settings. `Settings.load()` reads them; everything else receives them."""

    subscription_id: str = setting("AZURE_SUBSCRIPTION_ID", forms.text, None, "Subscription of the Azure ML workspace")
    resource_group: str = setting("AZURE_RESOURCE_GROUP", forms.text, None, "Resource group of the workspace")
    workspace_name: str = setting("AZUREML_WORKSPACE_NAME", forms.text, None, "Name of the workspace")
    cloud: Cloud = setting(
        "AZURE_CLOUD", parse_cloud, "AzureCloud", "Azure cloud: a known name, or a custom cloud as JSON"
    )
    storage: StorageAddress = field(metadata={"about": "Storage account of datasets, prepared data and runs"})
    prepared_datastore: str = setting(
        "PREPARED_DATASTORE",
        forms.text,
        "finetune_prepared",
        "Workspace datastore that points to the container `prepared`",
    )
    model_registry: str = setting(
        "MODEL_REGISTRY", forms.text, "azureml", "Registry of foundation models and components"
    )
    pipeline_component: str = setting(
        "PIPELINE_COMPONENT", forms.text, "chat_completion_pipeline", "Fine-tuning component, `name` or `name:version`"
    )
    foundation_model: str = setting(
        "FOUNDATION_MODEL",
        forms.text,
        "Phi-4",
        "Model to fine-tune, `name` or `name:version`, unless the dataset says so",
    )
    training_compute: str = setting(
        "TRAINING_COMPUTE", forms.text, "serverless", "`serverless`, or a cluster's name (made when absent)"
    )
    prepare_in_function_max_mb: int = setting(
        "PREPARE_IN_FUNCTION_MAX_MB", forms.megabytes, "256", "A larger dataset (million bytes) is prepared in the job"
    )
    preparation_compute: str = setting(
        "PREPARATION_COMPUTE", forms.text, "serverless", "Where the job prepares a large dataset, as TRAINING_COMPUTE"
    )
    preparation_instance_type: str = setting(
        "PREPARATION_INSTANCE_TYPE", forms.text, "Standard_E4ds_v4", "VM size to prepare on; its disk holds the dataset"
    )
    training_instance_type: str = setting(
        "TRAINING_INSTANCE_TYPE", forms.text, "", "VM size to train on; empty: the first that the model allows"
    )
    serving_instance_type: str = setting(
        "SERVING_INSTANCE_TYPE", forms.text, "", "VM size to serve on; empty: the smallest that the model allows"
    )
    serving_instance_count: int = setting("SERVING_INSTANCE_COUNT", forms.count, "1", "Instances of a deployment")
    hyperparameters: Mapping[str, Any] = setting(
        "HYPERPARAMETERS", forms.hyperparameters, "{}", "Hyperparameters for every run, as JSON"
    )
    sample_percent: float = setting("SAMPLE_PERCENT", forms.percent, "100", "Share of a dataset's prompts to use")
    test_fraction: float = setting("TEST_FRACTION", forms.fraction, "0.05", "Share of the prompts held out for testing")
    smoke_tests: int = setting("SMOKE_TESTS", forms.count, "3", "Held-out questions a new deployment must answer")
    max_active_runs: int = setting(
        "MAX_ACTIVE_RUNS", forms.count, "4", "Runs that may be under way at once; others wait, oldest first"
    )
    max_live_endpoints: int = setting(
        "MAX_LIVE_ENDPOINTS",
        forms.count,
        "10",
        "Endpoints that may be alive at once; trained models wait for their turn",
    )
    supersede: bool = setting(
        "SUPERSEDE", forms.flag, "true", "A newer upload of a dataset cancels older runs on it that do not train yet"
    )
    hold_above: float | None = setting(
        "HOLD_ABOVE",
        forms.optional(forms.dollars),
        "",
        "US dollars: a training that may cost more waits for approval; empty: none does",
    )
    max_per_run: float | None = setting(
        "MAX_PER_RUN", forms.optional(forms.dollars), "", "US dollars that a training may cost at most; empty: no limit"
    )
    evaluate: bool = setting(
        "EVALUATE", forms.flag, "true", "Whether the job evaluates the base model and the trained one"
    )
    max_training_time: timedelta = setting(
        "MAX_TRAINING_TIME", forms.duration, "24h", "A job running longer is cancelled, because it costs"
    )
    idle_after: timedelta = setting("IDLE_AFTER", forms.span, "8h", "An endpoint without a request for so long is idle")
    idle_grace: timedelta = setting(
        "IDLE_GRACE", forms.duration, "1h", "An endpoint younger than this, or changed within it, is never idle"
    )
    idle_warn_for: timedelta = setting(
        "IDLE_WARN_FOR", forms.duration, "1h", "Time between the warning and what it warns of; `0s`: no warning"
    )
    idle_action: Action = setting(
        "IDLE_ACTION",
        parse_action,
        "delete_endpoint",
        "What becomes of an idle endpoint; or `delete_deployment`, `scale_down`, `report`",
    )
    business_hours: BusinessHours = setting(
        "BUSINESS_HOURS", BusinessHours.parse, "", "Hours in which idle endpoints stay; empty: none"
    )
    blackouts: Blackouts = setting(
        "BLACKOUT_WINDOWS", Blackouts.parse, "", "Periods in which the sweep neither warns nor acts; empty: none"
    )
    sweep_scope: forms.SweepScope = setting(
        "SWEEP_SCOPE",
        forms.sweep_scope,
        "app",
        "`app`: endpoints that this app made; `workspace`: others too, if they opt in",
    )
    prepared_retention: timedelta = setting(
        "PREPARED_RETENTION", forms.span, "30d", "Prepared data older than this is deleted once its run has ended"
    )
    rejected_retention: timedelta | None = setting(
        "REJECTED_RETENTION",
        forms.optional(forms.span),
        "",
        "Rejected uploads older than this are deleted; empty: kept",
    )
    sweeps_retention: timedelta = setting(
        "SWEEPS_RETENTION", forms.span, "90d", "Records of sweeps older than this are deleted"
    )
    prices: Mapping[str, float] = setting(
        "PRICES", forms.prices, "{}", "US dollars an hour by VM size, as JSON, over the list prices"
    )
    run_lease: timedelta = setting(
        "RUN_LEASE", forms.duration, "2m", "How long one worker may hold a run without a sign of life"
    )
    event_topic_endpoint: str = setting(
        "EVENT_TOPIC_ENDPOINT", forms.https_url, "", "Event Grid custom topic for the app's own events; empty: none"
    )
    # The Functions host puts these two into the timers' bindings and knows no default: without them, no timer runs.
    advance_schedule: str = setting(
        "ADVANCE_SCHEDULE", forms.schedule, None, "When unfinished runs are moved on, such as 0 * * * * *"
    )
    sweep_schedule: str = setting(
        "SWEEP_SCHEDULE", forms.schedule, None, "When idle endpoints are looked for, such as 0 */15 * * * *"
    )

    def price(self, size: str) -> float | None:
        """Return what PRICES says an hour of a VM size costs, None where the list price holds."""
        return next((usd for name, usd in self.prices.items() if name.lower() == size.lower()), None)

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
    try:
        return declared_field.metadata["parse"](text)
    except ValueError as fault:
        shown = "its value" if variable in ("HYPERPARAMETERS", "PRICES", "AZURE_CLOUD") else repr(text)
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
