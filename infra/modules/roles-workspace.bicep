// The app's roles on the workspace. To split them: two function apps, or a second identity for deployerPrincipalId.

@description('Name of the workspace.')
param workspaceName string

@description('Principal that trains.')
param trainerPrincipalId string

@description('Principal that deploys and removes.')
param deployerPrincipalId string

@description('Id of the role for training.')
param trainerRoleId string

@description('Id of the role for deploying.')
param deployerRoleId string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-06-01' existing = {
  name: workspaceName
}

// Operations: submit, look at and cancel jobs; components, environments, clusters; register models.
resource trainerOnWorkspace 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(workspace.id, trainerPrincipalId, trainerRoleId)
  scope: workspace
  properties: {
    principalId: trainerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: trainerRoleId
  }
}

// Operations: make, route, ask and remove online endpoints and deployments.
resource deployerOnWorkspace 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(workspace.id, deployerPrincipalId, deployerRoleId)
  scope: workspace
  properties: {
    principalId: deployerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: deployerRoleId
  }
}
