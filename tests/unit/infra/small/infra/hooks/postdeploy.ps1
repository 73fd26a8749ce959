# Subscribes the app to uploads.
$ErrorActionPreference = 'Stop'
if ($env:AZURE_RESOURCE_GROUP) {
    az deployment group create --resource-group "$($env:AZURE_RESOURCE_GROUP)" --template-file infra/uploads.bicep
}
