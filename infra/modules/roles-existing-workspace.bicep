// What the jobs need of a workspace that was there before: its storage account and its registry. A workspace that is made
// here gives these roles itself.

@description('Principal of the identity of the jobs.')
param jobsPrincipalId string

@description('Name of the storage account of the workspace.')
param storageAccountName string

@description('Name of the container registry of the workspace. Empty: it has none yet.')
param containerRegistryName string

var storageBlobDataContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
var acrPull = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '7f951dda-4ed3-4680-a7ca-43fe172d538d')

resource storageAccount 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource containerRegistry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: empty(containerRegistryName) ? 'none00' : containerRegistryName
}

// Operations: a job writes its logs, its outputs and the model into the workspace's default datastore, and reads them.
resource jobsOnWorkspaceStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storageAccount.id, jobsPrincipalId, storageBlobDataContributor)
  scope: storageAccount
  properties: {
    principalId: jobsPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: storageBlobDataContributor
  }
}

// Operation: a node pulls the image in which a step runs.
resource jobsOnContainerRegistry 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(containerRegistryName)) {
  name: guid(containerRegistry.id, jobsPrincipalId, acrPull)
  scope: containerRegistry
  properties: {
    principalId: jobsPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: acrPull
  }
}
