param location string
param containers string[]

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: 'st${uniqueString(resourceGroup().id)}'
  location: location
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource each 'containers' = [for container in union(containers, ['app-package']): {
      name: container
    }]
  }

  resource tables 'tableServices' = {
    name: 'default'
  }
}

resource runs 'Microsoft.Storage/storageAccounts/tableServices/tables@2023-05-01' = {
  parent: account::tables
  name: 'finetuneruns'
}

output name string = account.name
