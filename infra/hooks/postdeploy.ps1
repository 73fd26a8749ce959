# After the code is there: connects the events. Waits until the host has loaded it, because the key of the blob webhook
# and the function job_event exist only then. Repeating it changes nothing.
$ErrorActionPreference = 'Stop'

$names = 'AZURE_SUBSCRIPTION_ID', 'AZURE_RESOURCE_GROUP', 'AZURE_FUNCTION_APP_NAME', 'AZURE_STORAGE_ACCOUNT_NAME',
    'AZURE_STORAGE_TOPIC_NAME', 'AZURE_WORKSPACE_TOPIC_NAME', 'AZUREML_RESOURCE_GROUP'
foreach ($name in $names) {
    if (-not [Environment]::GetEnvironmentVariable($name)) {
        Write-Error "$name is not set: run me through azd: azd hooks run postdeploy"
        exit 1
    }
}
$subscription = $env:AZURE_SUBSCRIPTION_ID
$group = $env:AZURE_RESOURCE_GROUP
$appName = $env:AZURE_FUNCTION_APP_NAME
$app = "/subscriptions/$subscription/resourceGroups/$group/providers/Microsoft.Web/sites/$appName"

# Only the names of the keys are kept; the keys themselves are not shown.
function Test-Key {
    $answer = az functionapp keys list --subscription $subscription --resource-group $group --name $appName --output json 2>$null
    if ($LASTEXITCODE -ne 0) { return $false }
    $keys = ($answer | Out-String | ConvertFrom-Json).systemKeys
    return ($null -ne $keys) -and ($keys.PSObject.Properties.Name -contains 'blobs_extension')
}

function Test-Function {
    az resource show --ids "$app/functions/job_event" --api-version 2024-04-01 --output none 2>$null
    return $LASTEXITCODE -eq 0
}

Write-Host 'Waiting for the functions to be loaded ...'
$tries = 0
while (-not ((Test-Key) -and (Test-Function))) {
    $tries++
    if ($tries -ge 40) {
        Write-Error "The functions are not there after 10 minutes. Look at the log of $appName (docs/deploy.md, 'When something is wrong'), then: azd hooks run postdeploy"
        exit 1
    }
    Start-Sleep -Seconds 15
}

Write-Host 'Connecting the events ...'
az deployment group create --subscription $subscription --resource-group $group --name event-subscriptions `
    --template-file (Join-Path $PSScriptRoot '../event-subscriptions.bicep') --output none --parameters `
    "functionAppName=$appName" `
    "storageAccountName=$env:AZURE_STORAGE_ACCOUNT_NAME" `
    "storageTopicName=$env:AZURE_STORAGE_TOPIC_NAME" `
    "workspaceTopicName=$env:AZURE_WORKSPACE_TOPIC_NAME" `
    "workspaceResourceGroup=$env:AZUREML_RESOURCE_GROUP"
if ($LASTEXITCODE -ne 0) { exit 1 }

Write-Host 'Ready. Drop a dataset:'
Write-Host "  az storage blob upload --auth-mode login --account-name $env:AZURE_STORAGE_ACCOUNT_NAME --container-name datasets --name vendlebury/vendlebury.jsonl --file samples/vendlebury.jsonl"
