// The app's role on the subscription.
targetScope = 'subscription'

@description('Principal of the identity of the app.')
param appPrincipalId string

@description('Id of the role that reads metrics, VM sizes and quota.')
param observerRoleId string

// Operations: metrics:getBatch of Azure Monitor (how much endpoints are used), vmSizes and usages of Azure ML.
resource appOnSubscription 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, appPrincipalId, observerRoleId)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: observerRoleId
  }
}
