// One private endpoint, and its names in the private DNS zones.

@description('Region of the network.')
param location string

@description('Tags for every resource.')
param tags object

@description('Name of the private endpoint.')
param privateEndpointName string

@description('Name of the virtual network.')
param virtualNetworkName string

@description('Id of what is reached.')
param serviceId string

@description('Which part of it: blob, vault, sites, ...')
param groupId string

@description('Names of the private DNS zones it is found in.')
param zoneNames array

resource virtualNetwork 'Microsoft.Network/virtualNetworks@2024-05-01' existing = {
  name: virtualNetworkName
}

resource endpoints 'Microsoft.Network/virtualNetworks/subnets@2024-05-01' existing = {
  parent: virtualNetwork
  name: 'endpoints'
}

resource privateEndpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = {
  name: privateEndpointName
  location: location
  tags: tags
  properties: {
    subnet: {
      id: endpoints.id
    }
    privateLinkServiceConnections: [
      {
        name: groupId
        properties: {
          privateLinkServiceId: serviceId
          groupIds: [
            groupId
          ]
        }
      }
    ]
  }
}

resource zoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = {
  parent: privateEndpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [for (zoneName, i) in zoneNames: {
      name: 'zone-${i}'
      properties: {
        privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', zoneName)
      }
    }]
  }
}
