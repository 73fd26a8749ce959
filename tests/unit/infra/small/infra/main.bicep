// A small infrastructure that agrees with the code: the tests break copies of it, one mistake at a time.
targetScope = 'subscription'

param environmentName string
param location string
param sweepSchedule string = '0 */15 * * * *'
param mailAddress string?

var tags = { 'azd-env-name': environmentName }

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module storage 'storage.bicep' = {
  scope: group
  name: 'storage'
  params: {
    location: location
    containers: ['datasets', 'prepared', 'runs', 'deadletter']
  }
}

module app 'app.bicep' = {
  scope: group
  name: 'app'
  params: {
    location: location
    storageName: storage.outputs.name
    sweepSchedule: sweepSchedule
    mailAddress: mailAddress ?? ''
  }
}

module access 'access.bicep' = {
  scope: group
  name: 'access'
  params: {
    storageName: storage.outputs.name
    principalId: app.outputs.principalId
  }
}

module events 'events.bicep' = {
  scope: group
  name: 'events'
  params: {
    location: location
    storageName: storage.outputs.name
    appId: app.outputs.id
  }
}

output AZURE_FUNCTION_APP string = app.outputs.name
