// Who the app is, and who its jobs are. Two identities, because a job runs code from a catalog and reads conversations:
// it must not be able to make endpoints, or to read the datasets of others.

@description('Region.')
param location string

@description('Tags for every resource.')
param tags object

@description('Name of the identity of the function app.')
param appIdentityName string

@description('Name of the identity of the training jobs.')
param jobsIdentityName string

resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: appIdentityName
  location: location
  tags: tags
}

resource jobs 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: jobsIdentityName
  location: location
  tags: tags
}

output appIdentityId string = app.id
output appClientId string = app.properties.clientId
output appPrincipalId string = app.properties.principalId
output jobsIdentityId string = jobs.id
output jobsPrincipalId string = jobs.properties.principalId
