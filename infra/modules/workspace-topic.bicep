// The topic of the workspace: a job changed its state. It lies in the resource group of the workspace. A workspace has one
// topic at most: of an existing workspace that has one, give its name, and this file says what it is already.

@description('Region of the workspace: a topic lies where its source does.')
param location string

@description('Tags for every resource.')
param tags object

@description('Name of the workspace.')
param workspaceName string

@description('Name of the topic.')
param topicName string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-06-01' existing = {
  name: workspaceName
}

resource workspaceTopic 'Microsoft.EventGrid/systemTopics@2022-06-15' = {
  name: topicName
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: workspace.id
    topicType: 'Microsoft.MachineLearningServices.Workspaces'
  }
}

output topicId string = workspaceTopic.id
output principalId string = workspaceTopic.identity.principalId
