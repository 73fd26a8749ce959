// Everything that `azd up` makes. Small files by concern: infra/modules. docs/deploy.md explains the parameters.
targetScope = 'subscription'

// --- what azd gives ---------------------------------------------------------------------------------------------------

@description('Name of the azd environment; part of the names of all resources.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of all resources. GPU quota is per region.')
@minLength(1)
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@description('Who deploys, and may upload datasets afterwards. Empty: nobody is given a role.')
param principalId string = ''

@description('Kind of that principal: User, Group, ServicePrincipal.')
@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param principalType string = 'User'

// --- the function app -------------------------------------------------------------------------------------------------

@description('Version of Python of the function app.')
@allowed([
  '3.11'
  '3.12'
  '3.13'
])
param pythonVersion string = '3.12'

@description('Memory of an instance of the function app, in MB. Less than 2048 is refused by this API version.')
@allowed([
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Most instances of the function app.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

// --- Azure ML ---------------------------------------------------------------------------------------------------------

@description('Name of a workspace that is there already, in the same subscription and region. Empty: one is made.')
param existingWorkspaceName string = ''

@description('Resource group of that workspace.')
param existingWorkspaceResourceGroup string = ''

@description('Name of its storage account, in its resource group; the jobs get a role there. Empty: give it by hand.')
param existingWorkspaceStorageAccount string = ''

@description('Name of its container registry, in its resource group. Empty: it has none.')
param existingWorkspaceContainerRegistry string = ''

@description('Name of its Event Grid system topic, if it has one: there can be one only. Empty: one is made.')
param existingWorkspaceTopic string = ''

@description('cluster: two clusters with an identity, 0 nodes while no job runs. serverless: none; see docs/deploy.md first.')
@allowed([
  'cluster'
  'serverless'
])
param computeMode string = 'cluster'

@description('VM size of the cluster that trains; one that the foundation model allows.')
param trainingVmSize string = 'Standard_NC24ads_A100_v4'

@description('Most nodes of the cluster that trains: trainings at a time.')
@minValue(1)
param trainingMaxNodes int = 1

@description('VM size of the cluster that prepares large datasets.')
param preparationVmSize string = 'Standard_E4ds_v4'

// --- how the app behaves: README.md explains each ---------------------------------------------------------------------

@description('FOUNDATION_MODEL.')
param foundationModel string = 'Phi-4'

@description('SERVING_INSTANCE_TYPE. Empty: the smallest that the model allows.')
param servingVmSize string = ''

@description('HOLD_ABOVE, US dollars: a training that may cost more waits for approval. Empty: none waits.')
param holdAbove string = '25'

@description('MAX_PER_RUN, US dollars. Empty: no limit.')
param maxPerRun string = ''

@description('IDLE_AFTER.')
param idleAfter string = '8h'

@description('IDLE_ACTION.')
@allowed([
  'delete_endpoint'
  'delete_deployment'
  'scale_down'
  'report'
])
param idleAction string = 'delete_endpoint'

@description('ADVANCE_SCHEDULE.')
param advanceSchedule string = '0 * * * * *'

@description('SWEEP_SCHEDULE. Another period than 15 minutes: change sweepAlertWindow too.')
param sweepSchedule string = '0 */15 * * * *'

@description('Any other setting of README.md, name to value.')
param appSettings object = {}

// --- who is told, what is kept ----------------------------------------------------------------------------------------

@description('Who is told of alerts by e-mail. Empty: the portal shows them.')
param alertEmail string = ''

@description('Window in which a sweep must have run: two periods and some minutes.')
param sweepAlertWindow string = 'PT45M'

@description('What all of it may cost a month, in the currency of the bill. 0: no budget.')
@minValue(0)
param monthlyBudget int = 0

@description('First day of the month in which the budget was made, yyyy-MM-01. The hook preprovision fills it in.')
param budgetStartDate string = ''

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionInDays int = 30

@description('Days after which prepared data is deleted, whatever the app does. More than PREPARED_RETENTION.')
@minValue(1)
param preparedRetentionDays int = 60

@description('Days after which dead-lettered events are deleted.')
@minValue(1)
param deadLetterRetentionDays int = 30

// --- network ----------------------------------------------------------------------------------------------------------

@description('Whether storage, workspace and app are reached through private endpoints.')
param privateNetwork bool = false

@description('Addresses of the virtual network, at least a /24.')
param virtualNetworkAddressPrefix string = '10.120.0.0/24'

@description('IPv4 addresses or ranges from which datasets may be uploaded in spite of privateNetwork.')
param allowedIpAddresses array = []

// --- names ------------------------------------------------------------------------------------------------------------

var abbreviations = loadJsonContent('abbreviations.json')
var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
}
var resourceGroupName = '${abbreviations.resourceGroups}${environmentName}'
var appIdentityName = '${abbreviations.managedIdentities}app-${token}'
var jobsIdentityName = '${abbreviations.managedIdentities}jobs-${token}'
var storageAccountName = '${abbreviations.storageAccounts}${token}'
var applicationInsightsName = '${abbreviations.insightsComponents}${token}'
var functionAppName = '${abbreviations.functionApps}${token}'
var deploymentContainerName = 'app-package'
var preparedDatastore = 'finetune_prepared'
var storageTopicName = '${abbreviations.eventGridSystemTopics}datasets-${token}'
var virtualNetworkName = '${abbreviations.networkVirtualNetworks}${token}'
var workspaceStorageAccountName = '${abbreviations.storageAccounts}ml${token}'
var keyVaultName = '${abbreviations.keyVaults}${token}'
var containerRegistryName = '${abbreviations.containerRegistry}${token}'

var makesWorkspace = empty(existingWorkspaceName)
var workspaceName = makesWorkspace ? '${abbreviations.machineLearningWorkspaces}${token}' : existingWorkspaceName
var workspaceResourceGroup = makesWorkspace ? resourceGroupName : existingWorkspaceResourceGroup
var workspaceTopicName = empty(existingWorkspaceTopic) ? '${abbreviations.eventGridSystemTopics}jobs-${token}' : existingWorkspaceTopic

var usesClusters = computeMode == 'cluster'
var trainingCluster = 'finetune-train'
var preparationCluster = 'finetune-prepare'

// --- resources --------------------------------------------------------------------------------------------------------

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: resourceGroupName
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  scope: group
  params: {
    location: location
    tags: tags
    appIdentityName: appIdentityName
    jobsIdentityName: jobsIdentityName
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    location: location
    tags: tags
    virtualNetworkName: virtualNetworkName
    addressPrefix: virtualNetworkAddressPrefix
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    location: location
    tags: tags
    storageAccountName: storageAccountName
    deploymentContainerName: deploymentContainerName
    privateNetwork: privateNetwork
    allowedIpAddresses: allowedIpAddresses
    preparedRetentionDays: preparedRetentionDays
    deadLetterRetentionDays: deadLetterRetentionDays
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    location: location
    tags: tags
    logAnalyticsName: '${abbreviations.operationalInsightsWorkspaces}${token}'
    applicationInsightsName: applicationInsightsName
    actionGroupName: '${abbreviations.insightsActionGroups}${token}'
    alertEmail: alertEmail
    logRetentionInDays: logRetentionInDays
    storageAccountName: storageAccountName
  }
  dependsOn: [
    storage
  ]
}

module storageRoles 'modules/roles-storage.bicep' = {
  name: 'roles-storage'
  scope: group
  params: {
    storageAccountName: storageAccountName
    applicationInsightsName: applicationInsightsName
    appPrincipalId: identities.outputs.appPrincipalId
    jobsPrincipalId: identities.outputs.jobsPrincipalId
    principalId: principalId
    principalType: principalType
  }
  dependsOn: [
    storage
    monitoring
  ]
}

module workspace 'modules/workspace.bicep' = if (makesWorkspace) {
  name: 'workspace'
  scope: group
  params: {
    location: location
    tags: tags
    workspaceName: workspaceName
    storageAccountName: workspaceStorageAccountName
    keyVaultName: keyVaultName
    containerRegistryName: containerRegistryName
    applicationInsightsId: monitoring.outputs.applicationInsightsId
    jobsPrincipalId: identities.outputs.jobsPrincipalId
    appStorageAccountName: storageAccountName
    privateNetwork: privateNetwork
    imageBuildCompute: privateNetwork && usesClusters ? preparationCluster : ''
  }
  dependsOn: [
    storage
  ]
}

module existingWorkspaceRoles 'modules/roles-existing-workspace.bicep' = if (!makesWorkspace && !empty(existingWorkspaceStorageAccount)) {
  name: 'roles-existing-workspace-${token}'
  scope: resourceGroup(workspaceResourceGroup)
  params: {
    jobsPrincipalId: identities.outputs.jobsPrincipalId
    storageAccountName: existingWorkspaceStorageAccount
    containerRegistryName: existingWorkspaceContainerRegistry
  }
}

module datastore 'modules/datastore.bicep' = {
  name: 'datastore-${token}'
  scope: resourceGroup(workspaceResourceGroup)
  params: {
    workspaceName: workspaceName
    datastoreName: preparedDatastore
    storageAccountName: storageAccountName
    storageResourceGroup: resourceGroupName
  }
  dependsOn: [
    storage
    workspace
  ]
}

module compute 'modules/compute.bicep' = if (usesClusters) {
  name: 'compute-${token}'
  scope: resourceGroup(workspaceResourceGroup)
  params: {
    location: location
    tags: tags
    workspaceName: workspaceName
    jobsIdentityId: identities.outputs.jobsIdentityId
    trainingClusterName: trainingCluster
    trainingVmSize: trainingVmSize
    trainingMaxNodes: trainingMaxNodes
    preparationClusterName: preparationCluster
    preparationVmSize: preparationVmSize
    privateNetwork: privateNetwork
  }
  dependsOn: [
    workspace
  ]
}

module roleDefinitions 'modules/role-definitions.bicep' = {
  name: 'role-definitions-${token}'
  params: {
    suffix: '${environmentName}-${token}'
  }
}

module subscriptionRoles 'modules/roles-subscription.bicep' = {
  name: 'roles-subscription-${token}'
  params: {
    appPrincipalId: identities.outputs.appPrincipalId
    observerRoleId: roleDefinitions.outputs.observerRoleId
  }
}

module workspaceRoles 'modules/roles-workspace.bicep' = {
  name: 'roles-workspace-${token}'
  scope: resourceGroup(workspaceResourceGroup)
  params: {
    workspaceName: workspaceName
    trainerPrincipalId: identities.outputs.appPrincipalId
    deployerPrincipalId: identities.outputs.appPrincipalId
    trainerRoleId: roleDefinitions.outputs.trainerRoleId
    deployerRoleId: roleDefinitions.outputs.deployerRoleId
  }
  dependsOn: [
    workspace
  ]
}

module events 'modules/events.bicep' = {
  name: 'events'
  scope: group
  params: {
    location: location
    tags: tags
    topicName: '${abbreviations.eventGridTopics}${token}'
    storageTopicName: storageTopicName
    storageAccountName: storageAccountName
    appPrincipalId: identities.outputs.appPrincipalId
  }
  dependsOn: [
    storage
  ]
}

module workspaceTopic 'modules/workspace-topic.bicep' = {
  name: 'workspace-topic-${token}'
  scope: resourceGroup(workspaceResourceGroup)
  params: {
    location: location
    tags: tags
    workspaceName: workspaceName
    topicName: workspaceTopicName
  }
  dependsOn: [
    workspace
  ]
}

module deadLetterRoles 'modules/roles-dead-letters.bicep' = {
  name: 'roles-dead-letters'
  scope: group
  params: {
    storageAccountName: storageAccountName
    topicPrincipalId: workspaceTopic.outputs.principalId
    topicId: workspaceTopic.outputs.topicId
  }
  dependsOn: [
    storage
  ]
}

// Every setting of shared/settings.py whose default is not right here. The rest: README.md, and appSettings.
var settings = {
  AZURE_SUBSCRIPTION_ID: subscription().subscriptionId
  AZURE_RESOURCE_GROUP: workspaceResourceGroup
  AZUREML_WORKSPACE_NAME: workspaceName
  AZURE_CLOUD: environment().name
  PREPARED_DATASTORE: preparedDatastore
  FOUNDATION_MODEL: foundationModel
  TRAINING_COMPUTE: usesClusters ? trainingCluster : 'serverless'
  TRAINING_INSTANCE_TYPE: trainingVmSize
  PREPARATION_COMPUTE: usesClusters ? preparationCluster : 'serverless'
  PREPARATION_INSTANCE_TYPE: preparationVmSize
  SERVING_INSTANCE_TYPE: servingVmSize
  HOLD_ABOVE: holdAbove
  MAX_PER_RUN: maxPerRun
  IDLE_AFTER: idleAfter
  IDLE_ACTION: idleAction
  ADVANCE_SCHEDULE: advanceSchedule
  SWEEP_SCHEDULE: sweepSchedule
  EVENT_TOPIC_ENDPOINT: events.outputs.topicEndpoint
}

module functionApp 'modules/function-app.bicep' = {
  name: 'function-app'
  scope: group
  params: {
    location: location
    tags: tags
    planName: '${abbreviations.serverFarms}${token}'
    functionAppName: functionAppName
    serviceName: 'app'
    identityId: identities.outputs.appIdentityId
    identityClientId: identities.outputs.appClientId
    storageAccountName: storageAccountName
    deploymentContainerName: deploymentContainerName
    applicationInsightsName: applicationInsightsName
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    appSettings: union(settings, appSettings)
    privateNetwork: privateNetwork
    integrationSubnetId: privateNetwork ? resourceId(subscription().subscriptionId, resourceGroupName, 'Microsoft.Network/virtualNetworks/subnets', virtualNetworkName, 'app') : ''
  }
  dependsOn: [
    network
    storageRoles
  ]
}

module privateEndpoints 'modules/private-endpoints.bicep' = if (privateNetwork) {
  name: 'private-endpoints'
  scope: group
  params: {
    location: location
    tags: tags
    suffix: token
    virtualNetworkName: virtualNetworkName
    storageAccountName: storageAccountName
    functionAppName: functionAppName
    ofWorkspace: makesWorkspace
    workspaceName: workspaceName
    workspaceStorageAccountName: workspaceStorageAccountName
    keyVaultName: keyVaultName
    containerRegistryName: containerRegistryName
  }
  dependsOn: [
    network
    storage
    workspace
    functionApp
  ]
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    location: location
    tags: tags
    logAnalyticsId: monitoring.outputs.logAnalyticsId
    topicIds: [
      events.outputs.storageTopicId
      workspaceTopic.outputs.topicId
    ]
    actionGroupId: monitoring.outputs.actionGroupId
    sweepWindow: sweepAlertWindow
    sweepCheckFrequency: 'PT15M'
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    location: location
    tags: tags
    logAnalyticsId: monitoring.outputs.logAnalyticsId
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0 && !empty(budgetStartDate)) {
  name: 'budget'
  scope: group
  params: {
    budgetName: 'finetune-${token}'
    amount: monthlyBudget
    startDate: budgetStartDate
    actionGroupId: monitoring.outputs.actionGroupId
  }
}

// --- what azd remembers, for hooks and people -------------------------------------------------------------------------

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = resourceGroupName
output AZURE_FUNCTION_APP_NAME string = functionAppName
output AZURE_STORAGE_ACCOUNT_NAME string = storageAccountName
output AZURE_STORAGE_TOPIC_NAME string = storageTopicName
output AZURE_WORKSPACE_TOPIC_NAME string = workspaceTopicName
output AZUREML_WORKSPACE_NAME string = workspaceName
output AZUREML_RESOURCE_GROUP string = workspaceResourceGroup
output AZURE_WORKSPACE_TOPIC_IS_OURS bool = empty(existingWorkspaceTopic)
output AZUREML_WORKSPACE_IS_OURS bool = makesWorkspace
output FINETUNE_API_URL string = '${functionApp.outputs.uri}/api'
output FINETUNE_CLUSTERS string = usesClusters ? '${trainingCluster} ${preparationCluster}' : ''
output FINETUNE_DATASTORE string = preparedDatastore
output FINETUNE_ROLE_SUFFIX string = '${environmentName}-${token}'
output EVENT_TOPIC_ENDPOINT string = events.outputs.topicEndpoint
