# Before `azd down`: takes away what deleting the resource group leaves behind. That is custom roles, and either the
# workspace (deleted with its group it is kept for 14 days, and its name with it), or what lies in a workspace that was
# there before.
$ErrorActionPreference = 'Stop'

foreach ($name in 'AZURE_SUBSCRIPTION_ID', 'AZUREML_RESOURCE_GROUP', 'AZUREML_WORKSPACE_NAME', 'FINETUNE_ROLE_SUFFIX') {
    if (-not [Environment]::GetEnvironmentVariable($name)) {
        Write-Error "$name is not set: nothing was provisioned, or I was not run through azd: azd hooks run predown"
        exit 1
    }
}
$subscription = $env:AZURE_SUBSCRIPTION_ID
$group = "/subscriptions/$subscription/resourceGroups/$env:AZUREML_RESOURCE_GROUP"
$workspace = "$group/providers/Microsoft.MachineLearningServices/workspaces/$env:AZUREML_WORKSPACE_NAME"
$version = '2025-06-01'

function Test-Resource($id, $apiVersion) {
    az resource show --ids $id --api-version $apiVersion --output none 2>$null
    return $LASTEXITCODE -eq 0
}

# Succeeds when there is nothing to remove.
function Remove-Resource($id, $apiVersion) {
    if (Test-Resource $id $apiVersion) {
        Write-Host "Removing $($id.Split('/')[-1]) ..."
        az resource delete --ids $id --api-version $apiVersion --output none
        if ($LASTEXITCODE -ne 0) { exit 1 }
    }
}

if ($env:AZUREML_WORKSPACE_IS_OURS -eq 'true') {
    if (Test-Resource $workspace $version) {
        Write-Host "Deleting the workspace $env:AZUREML_WORKSPACE_NAME for good, with its endpoints, clusters and models ..."
        # Parameters one by one: cmd.exe behind az would take an ampersand for its own.
        az rest --method delete --url $workspace --url-parameters "api-version=$version" 'forceToPurge=true' --output none
        if ($LASTEXITCODE -ne 0) { exit 1 }
        $tries = 0
        while (Test-Resource $workspace $version) {
            $tries++
            if ($tries -ge 120) {
                Write-Error 'The workspace is still there after 30 minutes. Look at it in the portal, then: azd down'
                exit 1
            }
            Start-Sleep -Seconds 15
        }
    }
}
else {
    $answer = az rest --method get --url "$workspace/onlineEndpoints" --url-parameters "api-version=$version" --output json
    if ($LASTEXITCODE -ne 0) { exit 1 }
    $endpoints = @(($answer | Out-String | ConvertFrom-Json).value | Where-Object { $_.tags -and $_.tags.'finetune.run' })
    if ($endpoints.Count -gt 0) {
        Write-Host "Endpoints of this app are alive in $env:AZUREML_WORKSPACE_NAME. They would bill on, with nobody to remove them:"
        $endpoints | ForEach-Object { Write-Host $_.name }
        Write-Error "Remove them first (docs/deploy.md, 'Clean up'), then: azd down"
        exit 1
    }
    $topic = "$group/providers/Microsoft.EventGrid/systemTopics/$env:AZURE_WORKSPACE_TOPIC_NAME"
    Remove-Resource "$topic/eventSubscriptions/jobs" '2022-06-15'
    if ($env:AZURE_WORKSPACE_TOPIC_IS_OURS -eq 'true') {
        Remove-Resource $topic '2022-06-15'
    }
    foreach ($cluster in "$env:FINETUNE_CLUSTERS".Split(' ', [StringSplitOptions]::RemoveEmptyEntries)) {
        Remove-Resource "$workspace/computes/$cluster" $version
    }
    Remove-Resource "$workspace/datastores/$env:FINETUNE_DATASTORE" $version
}

foreach ($kind in 'trainer', 'deployer', 'observer') {
    $role = "Finetune $kind $env:FINETUNE_ROLE_SUFFIX"
    $assignments = az role assignment list --all --subscription $subscription --output json | Out-String | ConvertFrom-Json
    foreach ($assignment in @($assignments | Where-Object { $_.roleDefinitionName -eq $role })) {
        az role assignment delete --ids $assignment.id --output none
        if ($LASTEXITCODE -ne 0) { exit 1 }
    }
    $found = az role definition list --custom-role-only true --subscription $subscription --name $role --query '[].name' --output tsv
    if ($found) {
        Write-Host "Removing the role $role ..."
        az role definition delete --subscription $subscription --name $role --output none
        if ($LASTEXITCODE -ne 0) { exit 1 }
    }
}
