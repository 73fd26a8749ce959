// An Azure Machine Learning workspace with what it must have: a storage account, a key vault, a container registry.
// None of them takes a key or a password.

@description('Region.')
param location string

@description('Tags for every resource.')
param tags object

@description('Name of the workspace.')
param workspaceName string

@description('Name of the storage account of the workspace: outputs of jobs, models, logs. Not the one of the app.')
param storageAccountName string

@description('Name of the key vault.')
param keyVaultName string

@description('Name of the container registry.')
param containerRegistryName string

@description('Id of the Application Insights resource.')
param applicationInsightsId string

@description('Principal of the identity of the jobs.')
param jobsPrincipalId string

@description('Name of the storage account of the app, which the managed network must reach.')
param appStorageAccountName string

@description('Whether the workspace and what belongs to it are reached through private endpoints only.')
param privateNetwork bool

@description('Cluster that builds images where the registry is private. Empty: Azure builds them.')
param imageBuildCompute string

var storageBlobDataContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
var acrPull = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '7f951dda-4ed3-4680-a7ca-43fe172d538d')
var networkConnectionApprover = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'b556d68e-0be0-4f35-a333-ad7ee1ce17ea')
var publicNetworkAccess = privateNetwork ? 'Disabled' : 'Enabled'

resource appStorageAccount 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: appStorageAccountName
}

resource storageAccount 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: storageAccountName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
    }
  }
}

// The workspace must have one; with identities everywhere, nothing of ours lies in it.
resource keyVault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: keyVaultName
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    accessPolicies: []
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
    }
  }
}

resource containerRegistry 'Microsoft.ContainerRegistry/registries@2023-07-01' = {
  name: containerRegistryName
  location: location
  tags: tags
  sku: {
    // Private endpoints are a feature of Premium.
    name: privateNetwork ? 'Premium' : 'Basic'
  }
  properties: {
    adminUserEnabled: false
    publicNetworkAccess: publicNetworkAccess
    networkRuleBypassOptions: 'AzureServices'
  }
}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-06-01' = {
  name: workspaceName
  location: location
  tags: tags
  kind: 'Default'
  sku: {
    name: 'Basic'
    tier: 'Basic'
  }
  identity: {
    // Azure gives this identity its roles; of one that was attached, that would be for us to do.
    type: 'SystemAssigned'
  }
  properties: {
    friendlyName: workspaceName
    storageAccount: storageAccount.id
    keyVault: keyVault.id
    containerRegistry: containerRegistry.id
    applicationInsights: applicationInsightsId
    systemDatastoresAuthMode: 'Identity'
    publicNetworkAccess: publicNetworkAccess
    imageBuildCompute: empty(imageBuildCompute) ? null : imageBuildCompute
    managedNetwork: privateNetwork ? {
      isolationMode: 'AllowInternetOutbound'
      outboundRules: {
        'prepared-data': {
          type: 'PrivateEndpoint'
          category: 'UserDefined'
          destination: {
            serviceResourceId: appStorageAccount.id
            subresourceTarget: 'blob'
            sparkEnabled: false
          }
        }
      }
    } : {
      isolationMode: 'Disabled'
    }
  }
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
resource jobsOnContainerRegistry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(containerRegistry.id, jobsPrincipalId, acrPull)
  scope: containerRegistry
  properties: {
    principalId: jobsPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: acrPull
  }
}

// Operation: the managed network's private endpoint to the prepared data is approved by the workspace itself.
resource workspaceOnAppStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (privateNetwork) {
  name: guid(appStorageAccount.id, workspace.id, networkConnectionApprover)
  scope: appStorageAccount
  properties: {
    principalId: workspace.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: networkConnectionApprover
  }
}
