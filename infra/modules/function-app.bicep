// The function app: Flex Consumption, which costs nothing while nothing is executed, and its settings.

@description('Region.')
param location string

@description('Tags for every resource.')
param tags object

@description('Name of the plan.')
param planName string

@description('Name of the function app.')
param functionAppName string

@description('Name of the service in azure.yaml, by which azd finds the app.')
param serviceName string

@description('Id of the identity of the app.')
param identityId string

@description('Client id of the identity of the app.')
param identityClientId string

@description('Name of the storage account of the app.')
param storageAccountName string

@description('Container that holds the deployed code.')
param deploymentContainerName string

@description('Name of the Application Insights resource.')
param applicationInsightsName string

@description('Version of Python.')
param pythonVersion string

@description('Memory of an instance, in MB.')
param instanceMemoryMB int

@description('Most instances.')
param maximumInstanceCount int

@description('Settings of the app: shared/settings.py.')
param appSettings object

@description('Whether the app is reached by Event Grid and through its private endpoint only.')
param privateNetwork bool

@description('Subnet through which the app calls out. Empty: none.')
param integrationSubnetId string

resource storageAccount 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

// The host's own settings. No FUNCTIONS_WORKER_RUNTIME: Flex Consumption takes it from functionAppConfig.
var hostSettings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: storageAccount.properties.primaryEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: storageAccount.properties.primaryEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: storageAccount.properties.primaryEndpoints.table
  APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
}

// The exporter does not report on itself to Microsoft, and does not ask there how to behave: docs/operations.md.
var telemetrySettings = {
  APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL: 'true'
  APPLICATIONINSIGHTS_SDKSTATS_DISABLED: 'true'
  APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED: 'true'
}

// The trigger's connection, and the app's: the same account through the same identity.
var storageSettings = {
  DATASET_STORAGE__credential: 'managedidentity'
  DATASET_STORAGE__clientId: identityClientId
  DATASET_STORAGE__blobServiceUri: storageAccount.properties.primaryEndpoints.blob
  DATASET_STORAGE__queueServiceUri: storageAccount.properties.primaryEndpoints.queue
  DATASET_STORAGE__tableServiceUri: storageAccount.properties.primaryEndpoints.table
}

// Which identity DefaultAzureCredential takes, and that it tries no other way.
var identitySettings = {
  AZURE_CLIENT_ID: identityClientId
  AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential'
}

// Event Grid has no private way to a webhook: it comes in by its service tag, everybody else by the private endpoint.
var accessRestrictions = privateNetwork ? [
  {
    name: 'event-grid'
    description: 'Deliveries of Event Grid'
    action: 'Allow'
    priority: 100
    tag: 'ServiceTag'
    ipAddress: 'AzureEventGrid'
  }
] : []

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource functionApp 'Microsoft.Web/sites@2024-04-01' = {
  name: functionAppName
  location: location
  tags: union(tags, {
    'azd-service-name': serviceName
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(integrationSubnetId) ? null : integrationSubnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storageAccount.properties.primaryEndpoints.blob}${deploymentContainerName}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: pythonVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        // None is kept ready: an event waits some seconds for a cold start, and nothing bills in between.
        alwaysReady: []
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      ipSecurityRestrictions: accessRestrictions
      ipSecurityRestrictionsDefaultAction: privateNetwork ? 'Deny' : 'Allow'
      // The deployment's door takes tokens only (below); a pipeline outside the network must still find it.
      scmIpSecurityRestrictionsUseMain: false
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: functionApp
  name: 'appsettings'
  properties: union(hostSettings, telemetrySettings, storageSettings, identitySettings, appSettings)
}

// Flex Consumption has no FTP that there could be a password for, and ftpsState is none of its settings.
resource noDeployPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: functionApp
  name: 'scm'
  properties: {
    allow: false
  }
}

output functionAppId string = functionApp.id
output uri string = 'https://${functionApp.properties.defaultHostName}'
