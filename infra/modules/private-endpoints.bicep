// Private endpoints for all that belongs to the app, and for the workspace if it was made here. Only with privateNetwork.

@description('Region of the network.')
param location string

@description('Tags for every resource.')
param tags object

@description('Makes the names of the endpoints unique.')
param suffix string

@description('Name of the virtual network.')
param virtualNetworkName string

@description('Name of the storage account of the app.')
param storageAccountName string

@description('Name of the function app.')
param functionAppName string

@description('Whether the workspace was made here.')
param ofWorkspace bool

@description('Name of the workspace.')
param workspaceName string

@description('Name of the storage account of the workspace.')
param workspaceStorageAccountName string

@description('Name of the key vault of the workspace.')
param keyVaultName string

@description('Name of the container registry of the workspace.')
param containerRegistryName string

var zones = loadJsonContent('../private-zones.json')[environment().name]
var storageId = resourceId('Microsoft.Storage/storageAccounts', storageAccountName)
var workspaceStorageId = resourceId('Microsoft.Storage/storageAccounts', workspaceStorageAccountName)

var appEndpoints = [
  {
    name: 'storage-blob'
    serviceId: storageId
    groupId: 'blob'
    zoneNames: [
      'privatelink.blob.${environment().suffixes.storage}'
    ]
  }
  {
    name: 'storage-queue'
    serviceId: storageId
    groupId: 'queue'
    zoneNames: [
      'privatelink.queue.${environment().suffixes.storage}'
    ]
  }
  {
    name: 'storage-table'
    serviceId: storageId
    groupId: 'table'
    zoneNames: [
      'privatelink.table.${environment().suffixes.storage}'
    ]
  }
  {
    name: 'app'
    serviceId: resourceId('Microsoft.Web/sites', functionAppName)
    groupId: 'sites'
    zoneNames: [
      zones.sites
    ]
  }
]

var workspaceEndpoints = [
  {
    name: 'workspace'
    serviceId: resourceId('Microsoft.MachineLearningServices/workspaces', workspaceName)
    groupId: 'amlworkspace'
    zoneNames: [
      zones.workspace
      zones.notebooks
    ]
  }
  {
    name: 'workspace-blob'
    serviceId: workspaceStorageId
    groupId: 'blob'
    zoneNames: [
      'privatelink.blob.${environment().suffixes.storage}'
    ]
  }
  {
    name: 'workspace-file'
    serviceId: workspaceStorageId
    groupId: 'file'
    zoneNames: [
      'privatelink.file.${environment().suffixes.storage}'
    ]
  }
  {
    name: 'workspace-vault'
    serviceId: resourceId('Microsoft.KeyVault/vaults', keyVaultName)
    groupId: 'vault'
    zoneNames: [
      zones.vault
    ]
  }
  {
    name: 'workspace-registry'
    serviceId: resourceId('Microsoft.ContainerRegistry/registries', containerRegistryName)
    groupId: 'registry'
    zoneNames: [
      zones.registry
    ]
  }
]

// One after the other: two private endpoints at once in one subnet get into each other's way.
@batchSize(1)
module endpoints 'private-endpoint.bicep' = [for endpoint in (ofWorkspace ? concat(appEndpoints, workspaceEndpoints) : appEndpoints): {
  name: 'private-endpoint-${endpoint.name}'
  params: {
    location: location
    tags: tags
    privateEndpointName: 'pe-${endpoint.name}-${suffix}'
    virtualNetworkName: virtualNetworkName
    serviceId: endpoint.serviceId
    groupId: endpoint.groupId
    zoneNames: endpoint.zoneNames
  }
}]
