param location string
param storageName string
param sweepSchedule string
param mailAddress string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageName
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-app'
  location: location
}

var connection = {
  DATASET_STORAGE__blobServiceUri: account.properties.primaryEndpoints.blob
  DATASET_STORAGE__queueServiceUri: account.properties.primaryEndpoints.queue
  DATASET_STORAGE__tableServiceUri: account.properties.primaryEndpoints.table
}
var settings = union(
  connection,
  {
    AzureWebJobsStorage__accountName: account.name
    AZURE_CLIENT_ID: identity.properties.clientId
    AZURE_SUBSCRIPTION_ID: subscription().subscriptionId
    AZURE_RESOURCE_GROUP: resourceGroup().name
    AZUREML_WORKSPACE_NAME: 'mlw-small'
    ADVANCE_SCHEDULE: '0 * * * * *'
    SWEEP_SCHEDULE: sweepSchedule
    IDLE_AFTER: '8h'
  },
  empty(mailAddress) ? {} : { EVENT_TOPIC_ENDPOINT: 'https://topic.example' }
)

resource site 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-small'
  location: location
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  properties: {
    functionAppConfig: {
      runtime: { name: 'python', version: '3.12' }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${account.properties.primaryEndpoints.blob}app-package'
        }
      }
    }
  }

  resource config 'config' = {
    name: 'appsettings'
    properties: settings
  }
}

output id string = site.id
output name string = site.name
output principalId string = identity.properties.principalId
