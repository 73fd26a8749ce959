// One page about runs, money and endpoints.

@description('Region.')
param location string

@description('Tags for every resource.')
param tags object

@description('Id of the Log Analytics workspace that is asked.')
param logAnalyticsId string

resource workbook 'Microsoft.Insights/workbooks@2022-04-01' = {
  name: guid(resourceGroup().id, 'finetune-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Fine-tuning: runs, endpoints, money'
    category: 'workbook'
    version: 'Notebook/1.0'
    sourceId: logAnalyticsId
    serializedData: loadTextContent('../workbook.json')
  }
}
