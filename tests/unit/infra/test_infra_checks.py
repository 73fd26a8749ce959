"""The checks of infra/: nothing to say of a folder that agrees with the code, one thing of one mistake."""

import re
import shutil
from pathlib import Path

import pytest

from tools.infra.checks import complaints
from tools.infra.complaint import Complaint

SMALL = Path(__file__).with_name("small")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a small infrastructure that agrees with the code."""
    shutil.copytree(SMALL, tmp_path / "small")
    return tmp_path / "small"


def change(folder: Path, file: str, old: str, new: str) -> int:
    """Replace what stands once in a file; returns its line."""
    path = folder / file
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{file} holds {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new), "utf-8")
    return text[: text.index(old)].count("\n") + 1


def the_one(found: list[Complaint]) -> Complaint:
    assert len(found) == 1, [str(one) for one in found]
    return found[0]


def test_nothing_is_said_of_what_agrees_with_the_code(folder: Path) -> None:
    assert [str(one) for one in complaints(folder)] == []


# mistake: (file, what stands there, what stands there instead, what is said of it, lines below the change or None)
MISTAKES: dict[str, tuple[str, str, str, str, int | None]] = {
    "a required setting is missing": (
        "infra/app.bicep",
        "    ADVANCE_SCHEDULE: '0 * * * * *'\n",
        "",
        "the setting ADVANCE_SCHEDULE is not set",
        None,
    ),
    "a setting is misspelt": ("infra/app.bicep", "IDLE_AFTER:", "IDLE_AFTR:", "nobody reads the setting IDLE_AFTR", 0),
    "a required setting is misspelt": (
        "infra/app.bicep",
        "    SWEEP_SCHEDULE:",
        "    SWEEP_SCHEDULES:",
        "nobody reads the setting SWEEP_SCHEDULES",
        0,
    ),
    "a function that is not there": (
        "infra/events.bicep",
        "/functions/job_event'",
        "/functions/job_events'",
        "no function is called 'job_events'",
        0,
    ),
    "the blob webhook of a function that is not there": (
        "infra/uploads.bicep",
        "Host.Functions.dataset_uploaded",
        "Host.Functions.dataset_upload",
        "no function is called 'dataset_upload'",
        0,
    ),
    "a role that reads where the app writes": (
        "infra/access.bicep",
        "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
        "76199698-9eea-4c19-bc75-cec21354c6b6",
        "no role of the app allows Microsoft.Storage/storageAccounts/tableServices/tables/entities/add/action, ",
        None,
    ),
    "a setting has another form": ("infra/app.bicep", "'8h'", "'8 hours'", "IDLE_AFTER is '8 hours'", 0),
    "a schedule that a parameter brings has another form": (
        "infra/main.bicep",
        "'0 */15 * * * *'",
        "'every 15 minutes'",
        "SWEEP_SCHEDULE is 'every 15 minutes'",
        0,
    ),
    "a default that azd brings has another form": (
        "infra/main.parameters.json",
        '    "location"',
        '    "sweepSchedule": {"value": "${SWEEP_SCHEDULE=hourly}"}, "location"',
        "SWEEP_SCHEDULE is 'hourly'",
        0,
    ),
    "a setting that Flex Consumption refuses": (
        "infra/app.bicep",
        "    IDLE_AFTER: '8h'\n",
        "    IDLE_AFTER: '8h'\n    FUNCTIONS_WORKER_RUNTIME: 'python'\n",
        "the setting FUNCTIONS_WORKER_RUNTIME is set",
        1,
    ),
    "a property of the site that Flex Consumption refuses": (
        "infra/app.bicep",
        "    functionAppConfig: {\n",
        "    siteConfig: { ftpsState: 'Disabled' }\n    functionAppConfig: {\n",
        "siteConfig sets ftpsState",
        0,
    ),
    "the storage's key in a setting": (
        "infra/app.bicep",
        "AzureWebJobsStorage__accountName: account.name",
        "AzureWebJobsStorage: 'DefaultEndpointsProtocol=https'",
        "AzureWebJobsStorage is a connection string",
        0,
    ),
    "a Python that the app does not run on": (
        "infra/app.bicep",
        "'3.12'",
        "'3.10'",
        "the runtime's version is 3.10",
        0,
    ),
    "a container is missing": (
        "infra/main.bicep",
        "'runs', 'deadletter'",
        "'deadletter'",
        "there is no container 'runs'",
        None,
    ),
    "a container is misspelt in the subject's prefix": (
        "infra/uploads.bicep",
        "containers/datasets/'",
        "containers/dataset/'",
        "uploads takes events of '/blobServices/default/containers/dataset/'",
        0,
    ),
    "the subject's prefix has no slash at its end": (
        "infra/uploads.bicep",
        "containers/datasets/'",
        "containers/datasets'",
        "uploads takes events of '/blobServices/default/containers/datasets'",
        0,
    ),
    "a container that nobody uses": (
        "infra/main.bicep",
        "'runs', 'deadletter'",
        "'runs', 'deadletter', 'spare'",
        "nobody uses the container 'spare'",
        None,
    ),
    "the table has another name": (
        "infra/storage.bicep",
        "  name: 'finetuneruns'",
        "  name: 'runs'",
        "nobody uses the table 'runs'",
        -2,
    ),
    "keys of the account are allowed": (
        "infra/storage.bicep",
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: true",
        "allowSharedKeyAccess of account is true",
        0,
    ),
    "half-written blobs fire": (
        "infra/uploads.bicep",
        "['PutBlob', 'PutBlockList', 'CopyBlob', 'FlushWithClose']",
        "['CreateFile', 'PutBlob', 'PutBlockList', 'CopyBlob', 'FlushWithClose']",
        "uploads takes blobs after CopyBlob, CreateFile, FlushWithClose, PutBlob, PutBlockList",
        None,
    ),
    "deleted blobs fire": (
        "infra/uploads.bicep",
        "['Microsoft.Storage.BlobCreated']",
        "['Microsoft.Storage.BlobCreated', 'Microsoft.Storage.BlobDeleted']",
        "uploads takes the event types Microsoft.Storage.BlobCreated, Microsoft.Storage.BlobDeleted",
        0,
    ),
    "the job's end is not subscribed to": (
        "infra/events.bicep",
        "        'Microsoft.MachineLearningServices.RunCompleted'\n",
        "",
        "jobEvents takes the event types Microsoft.MachineLearningServices.RunStatusChanged",
        None,
    ),
    "no retry policy": (
        "infra/events.bicep",
        "    retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }\n",
        "",
        "jobEvents does not say how often it tries again",
        None,
    ),
    "dead letters go to a container that is not there": (
        "infra/events.bicep",
        "blobContainerName: 'deadletter'",
        "blobContainerName: 'dead-letters'",
        "jobEvents leaves dead letters in ['dead-letters']",
        None,
    ),
    "an action is missing from the role": (
        "infra/access.bicep",
        "          'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/delete'\n",
        "",
        "no role of the app allows Microsoft.MachineLearningServices/workspaces/onlineEndpoints/delete",
        None,
    ),
    "an action that nothing asks for": (
        "infra/access.bicep",
        "workspaces/jobs/cancel/action'",
        "workspaces/jobs/cancel/action'\n          'Microsoft.MachineLearningServices/workspaces/delete'",
        "nothing asks for Microsoft.MachineLearningServices/workspaces/delete",
        1,
    ),
    "every action at once": (
        "infra/access.bicep",
        "workspaces/jobs/cancel/action'",
        "workspaces/jobs/cancel/action'\n          'Microsoft.MachineLearningServices/workspaces/*'",
        "Microsoft.MachineLearningServices/workspaces/* allows more than can be listed",
        1,
    ),
    "a role of Azure's that is of no use": (
        "infra/access.bicep",
        "  '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher\n",
        "  '3913510d-42f4-4e42-8a64-420c390055eb'\n  '7f951dda-4ed3-4680-a7ca-43fe172d538d'\n",
        "onResources gives AcrPull to the app",
        None,
    ),
    "a role that is not one": (
        "infra/events.bicep",
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "ba92f5b4-2d11-453d-a403-e96b0029c9ff",
        "of which nothing is known",
        None,
    ),
    "Bicep that does not parse": ("infra/app.bicep", "name: 'func-small'", "name: 'func-small", "cannot be read", None),
    "a module's file has another name": (
        "infra/main.bicep",
        "'events.bicep'",
        "'event.bicep'",
        "module 'event.bicep' is not there",
        0,
    ),
    "a parameter that main.bicep does not have": (
        "infra/main.parameters.json",
        '    "location"',
        '    "region": {"value": ""}, "location"',
        "main.bicep has no parameter 'region'",
        0,
    ),
    "a module is not given a parameter": (
        "infra/main.bicep",
        "    location: location\n    storageName: storage.outputs.name\n    appId",
        "    storageName: storage.outputs.name\n    appId",
        "events is not given the parameter 'location'",
        -4,
    ),
    "a module is given what it has no parameter for": (
        "infra/main.bicep",
        "    appId: app.outputs.id\n",
        "    appId: app.outputs.id\n    spare: ''\n",
        "infra/events.bicep has no parameter 'spare'",
        1,
    ),
    "an output that a module does not have": (
        "infra/main.bicep",
        "= app.outputs.name",
        "= app.outputs.named",
        "app has no output named",
        0,
    ),
    "a property that Azure does not know": (
        "infra/events.bicep",
        "topicType:",
        "typeOfTopic:",
        "there is no property typeOfTopic",
        0,
    ),
    "a property that Azure requires": (
        "infra/storage.bicep",
        "  sku: { name: 'Standard_LRS' }\n",
        "",
        "Microsoft.Storage/storageAccounts has no sku",
        None,
    ),
    "a property that only Azure writes": (
        "infra/events.bicep",
        "    source: workspace.id\n",
        "    source: workspace.id\n    provisioningState: 'Succeeded'\n",
        "provisioningState is read only",
        1,
    ),
    "a value that is none of the allowed": ("infra/storage.bicep", "'StorageV2'", "'StorageV3'", "'StorageV3'", 0),
    "a text for a number": ("infra/events.bicep", "maxDeliveryAttempts: 30", "maxDeliveryAttempts: '30'", "'30'", 0),
    "a list for an object": ("infra/storage.bicep", "{ name: 'Standard_LRS' }", "['Standard_LRS']", "this is [", 0),
    "a choice that Azure does not have": (
        "infra/events.bicep",
        "endpointType: 'StorageBlob'",
        "endpointType: 'Blob'",
        "endpointType is 'Blob'",
        0,
    ),
    "a choice that is not made": (
        "infra/events.bicep",
        "        endpointType: 'StorageBlob'\n",
        "",
        "DeadLetterDestination has no endpointType",
        None,
    ),
    "something is said of what is there already": (
        "infra/events.bicep",
        "  name: 'mlw-small'\n",
        "  name: 'mlw-small'\n  kind: 'Default'\n",
        "workspace says kind",
        1,
    ),
    "a property is read that is not there": (
        "infra/app.bicep",
        "primaryEndpoints.table\n",
        "primaryEndpoints.tables\n",
        "account.properties.primaryEndpoints.tables: Endpoints has no property tables",
        0,
    ),
    "a region that is known too late": (
        "infra/events.bicep",
        "\nresource jobs 'Microsoft.EventGrid/systemTopics@2022-06-15' = {\n"
        "  name: 'evgt-jobs'\n"
        "  location: location\n",
        "var place = workspace.location\n"
        "resource jobs 'Microsoft.EventGrid/systemTopics@2022-06-15' = {\n"
        "  name: 'evgt-jobs'\n"
        "  location: place\n",
        "jobs needs workspace.location before anything is deployed",
        None,
    ),
    "a type that nobody looked up": (
        "infra/storage.bicep",
        "output name string",
        "resource cache 'Microsoft.Cdn/profiles@2024-02-01' = {\n  name: 'cdn-small'\n}\n\noutput name string",
        "the type Microsoft.Cdn/profiles is not listed",
        0,
    ),
    "a hook reads what main.bicep does not put out": (
        "infra/hooks/postdeploy.sh",
        '"$AZURE_RESOURCE_GROUP"',
        '"$AZURE_WORKSPACE_GROUP"',
        "the hook reads AZURE_WORKSPACE_GROUP, which nothing sets",
        0,
    ),
    "a hook that sh cannot parse": (
        "infra/hooks/postdeploy.sh",
        "set -eu",
        "if true; then",
        "sh cannot parse it",
        None,
    ),
    "a hook that shellcheck warns of": (
        "infra/hooks/postdeploy.sh",
        '"$AZURE_RESOURCE_GROUP"',
        "$AZURE_RESOURCE_GROUP",
        "SC2086",
        0,
    ),
    "a PowerShell hook with an open block": (
        "infra/hooks/postdeploy.ps1",
        "uploads.bicep\n}",
        "uploads.bicep\n",
        "'{' is never closed",
        -1,
    ),
    "a hook's script is not there": (
        "azure.yaml",
        "postdeploy.sh",
        "postdeployed.sh",
        "postdeploy runs infra/hooks/postdeployed.sh, which is not there",
        -3,
    ),
    "tests are deployed": (".funcignore", "\ntests\n", "\n", "it lets tests/ into the package", None),
    "the lock of requirements.txt stays at home": (
        ".funcignore",
        "constraints-ml.txt",
        "constraints*.txt",
        "it keeps constraints.txt out of the package",
        0,
    ),
    "data of the app stays at home": (".funcignore", "\ndocs\n", "\ndocs\n*prices*\n", "shared/prices.json out", None),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_mistake_is_complained_of_once(folder: Path, mistake: str) -> None:
    file, old, new, said, below = MISTAKES[mistake]
    line = change(folder, file, old, new)
    found = the_one(complaints(folder))
    assert said in found.found
    if below is not None:
        assert (found.where.file, found.where.line) == (file, line + below)
    assert re.fullmatch(r"\S+:\d+: .+; expected .+\. .+\.", str(found))
