"""The function app's settings: every one that the code requires, none that nobody reads, each in its form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

from tools.infra.app import App
from tools.infra.complaint import Complaint, Where
from tools.infra.deployment import Deployment, Resource
from tools.infra.values import Value

SITE = "Microsoft.Web/sites"
HOST_SETTINGS = {
    # Source: https://learn.microsoft.com/azure/azure-functions/functions-app-settings, and functions-reference:
    # "Connecting to host storage with an identity", "Common properties for identity-based connections".
    "AzureWebJobsStorage__accountName": "the host's storage, with an identity, in the public cloud",
    "AzureWebJobsStorage__blobServiceUri": "the host's storage, with an identity: blobs",
    "AzureWebJobsStorage__queueServiceUri": "the host's storage, with an identity: queues (the blob trigger's)",
    "AzureWebJobsStorage__tableServiceUri": "the host's storage, with an identity: tables, for its diagnostic events",
    "AzureWebJobsStorage__credential": "the host's storage: a managed identity, not a key",
    "AzureWebJobsStorage__clientId": "the host's storage: which user-assigned identity",
    "DATASET_STORAGE__credential": "the blob trigger's connection: a managed identity",
    "DATASET_STORAGE__clientId": "the blob trigger's connection: which user-assigned identity",
    "AZURE_CLIENT_ID": "azure-identity: which user-assigned identity DefaultAzureCredential takes",
    "AZURE_TOKEN_CREDENTIALS": "azure-identity: which credentials DefaultAzureCredential tries",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "telemetry of the host and of the app",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "telemetry with an identity instead of the key in the string",
    # The next three are read by azure-monitor-opentelemetry-exporter: `true`, in any case.
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "the exporter's statistics of itself, off",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "the exporter's statistics of what it could not send, off",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "the exporter's asking how to behave, off",
    "PYTHON_ENABLE_WORKER_EXTENSIONS": "the worker's extensions",
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "the worker's own OpenTelemetry",
    "AzureFunctionsJobHost__telemetryMode": "the host's OpenTelemetry",
}
"""What the host, the worker or an SDK reads, not shared/settings.py. Prefixes below for what has an open end."""
HOST_PREFIXES = ("AzureFunctionsJobHost__", "OTEL_", "AzureWebJobs.")
FLEX_REFUSES = (
    # Source: https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_DNS_SERVER",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_VNET_ROUTE_ALL",
)
FLEX_REFUSES_OF_A_SITE = (
    # Source: the same page; else the deployment fails with "... for Flex Consumption sites is invalid".
    "alwaysOn",
    "ftpsState",
    "functionAppScaleLimit",
    "functionsRuntimeScaleMonitoringEnabled",
    "javaVersion",
    "linuxFxVersion",
    "netFrameworkVersion",
    "powerShellVersion",
    "preWarmedInstanceCount",
    "use32BitWorkerProcess",
    "windowsFxVersion",
)
_CONNECTION_STRING = "DATASET_STORAGE"
_REFERENCE = re.compile(r"\$\{")


def site_of(deployment: Deployment) -> Resource | None:
    """Return the function app."""
    return next((one for one in deployment.of(SITE) if "functionapp" in (one.at("kind") or one.name).texts[0]), None)


def settings_of(deployment: Deployment) -> dict[str, Value]:
    """Return the function app's settings, wherever they are written: in the app, or as its `appsettings`."""
    found: dict[str, Value] = {}
    for site in deployment.of(SITE):
        listed = site.at("properties", "siteConfig", "appSettings")
        for one in listed.items if listed is not None else []:
            name, value = one.at("name"), one.at("value")
            if name is not None and value is not None:
                found.update(dict.fromkeys(name.texts, replace(value, key=name.where)))
    for config in deployment.of(f"{SITE}/config"):
        properties = config.at("properties")
        if "appsettings" in config.names and properties is not None:
            found.update(properties.entries)
    return found


def check(app: App, deployment: Deployment) -> Iterator[Complaint]:
    site = site_of(deployment)
    if site is None:
        where = Where("infra/main.bicep", 1)
        yield Complaint(where, "no function app is deployed", f"a resource {SITE} of a kind functionapp", "Add it")
        return
    found = settings_of(deployment)
    unread = {name for name in found if not _is_read(app, name)}
    yield from _missing(app, found, unread, site.where)
    yield from _refused_of_a_site(site)
    for name, value in found.items():
        yield from _surplus(app, name, value, name in unread)
        yield from _malformed(app, name, value)


def _is_read(app: App, name: str) -> bool:
    return name in app.settings or name in HOST_SETTINGS or name.startswith(HOST_PREFIXES)


def _missing(app: App, found: dict[str, Value], unread: set[str], where: Where) -> Iterator[Complaint]:
    for name, default in app.settings.items():
        # A connection string is a key of the account, which infrastructure of ours never hands out.
        is_misspelt = bool(get_close_matches(name, unread, n=1, cutoff=0.9))  # which is complained of where it stands
        if default is None and name != _CONNECTION_STRING and name not in found and not is_misspelt:
            what = f"the setting {name} is not set"
            yield Complaint(where, what, "every setting that shared/settings.py has no default for", "Add it")
    if not any(name.startswith("AzureWebJobsStorage") for name in found):
        expected = "AzureWebJobsStorage__accountName, or its three URLs: the host keeps its keys and leases there"
        yield Complaint(where, "the host has no storage", expected, "Add it")


def _refused_of_a_site(site: Resource) -> Iterator[Complaint]:
    configuration = site.at("properties", "siteConfig")
    for name, value in configuration.entries.items() if configuration is not None else []:
        if name in FLEX_REFUSES_OF_A_SITE:
            expected = "none that Flex Consumption refuses"
            yield Complaint(value.key or value.where, f"siteConfig sets {name}", expected, "Remove it")


def _surplus(app: App, name: str, value: Value, is_unread: bool) -> Iterator[Complaint]:
    where = value.key or value.where
    if name in FLEX_REFUSES:
        yield Complaint(where, f"the setting {name} is set", "none that Flex Consumption refuses", "Remove it")
    elif name in (_CONNECTION_STRING, "AzureWebJobsStorage"):
        what = f"{name} is a connection string"
        yield Complaint(where, what, f"access with an identity ({name}__...)", "Set the service URLs instead")
    elif is_unread:
        near = get_close_matches(name, [*app.settings, *HOST_SETTINGS], n=1, cutoff=0.9)
        meant = f"{near[0]}, or " if near else ""
        expected = f"{meant}a setting of shared/settings.py or of the host (tools/infra/settings.py lists those)"
        yield Complaint(where, f"nobody reads the setting {name}", expected, "Remove it, or mend its name")


def _malformed(app: App, name: str, value: Value) -> Iterator[Complaint]:
    for text in value.texts:
        fault = None if _REFERENCE.search(text) else app.fault_of(name, text)
        if fault is not None:
            yield Complaint(value.where, f"{name} is {text!r}", fault, "Write it in that form")
    if not value.texts:
        yield Complaint(value.where, f"{name} is not a text", "a text: settings are environment variables", "Mend it")
