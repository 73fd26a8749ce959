// The workspace's way to the container `prepared`. It holds no credential: who reads through it needs a role of its own.

@description('Name of the workspace.')
param workspaceName string

@description('Name of the datastore: PREPARED_DATASTORE.')
param datastoreName string

@description('Name of the storage account of the app.')
param storageAccountName string

@description('Resource group of that storage account.')
param storageResourceGroup string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-06-01' existing = {
  name: workspaceName
}

resource prepared 'Microsoft.MachineLearningServices/workspaces/datastores@2025-06-01' = {
  parent: workspace
  name: datastoreName
  properties: {
    datastoreType: 'AzureBlob'
    description: 'Prepared datasets of finetune-functions'
    accountName: storageAccountName
    containerName: 'prepared'
    endpoint: environment().suffixes.storage
    protocol: 'https'
    resourceGroup: storageResourceGroup
    subscriptionId: subscription().subscriptionId
    // Nor does the workspace itself read it: previews in the studio show nothing.
    serviceDataAccessAuthIdentity: 'None'
    credentials: {
      credentialsType: 'None'
    }
  }
}
