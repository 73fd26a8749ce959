// Who gets which events. Deployed after the code (hooks/postdeploy), because Event Grid shakes hands with a function that
// must be there, and the key of the blob webhook exists only then. The key is read here, inside Azure, and is never shown.
targetScope = 'resourceGroup'

@description('Name of the function app.')
param functionAppName string

@description('Name of the storage account of the app.')
param storageAccountName string

@description('Name of the topic of the storage account.')
param storageTopicName string

@description('Name of the topic of the workspace.')
param workspaceTopicName string

@description('Resource group of the workspace.')
param workspaceResourceGroup string

var deadLetterContainer = 'deadletter'
var maxDeliveryAttempts = 30
var eventTimeToLiveInMinutes = 1440

resource functionApp 'Microsoft.Web/sites@2024-04-01' existing = {
  name: functionAppName
}

resource storageAccount 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource storageTopic 'Microsoft.EventGrid/systemTopics@2022-06-15' existing = {
  name: storageTopicName
}

// A dataset was uploaded -> the blob trigger's webhook.
resource datasets 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2022-06-15' = {
  parent: storageTopic
  name: 'datasets'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: 'https://${functionApp.properties.defaultHostName}/runtime/webhooks/blobs?functionName=Host.Functions.dataset_uploaded&code=${listKeys('${functionApp.id}/host/default', '2024-04-01').systemKeys.blobs_extension}'
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.Storage.BlobCreated'
      ]
      subjectBeginsWith: '/blobServices/default/containers/datasets/'
      isSubjectCaseSensitive: true
      // The calls that end an upload; any other would fire for files that are half written.
      advancedFilters: [
        {
          operatorType: 'StringIn'
          key: 'data.api'
          values: [
            'PutBlob'
            'PutBlockList'
            'CopyBlob'
            'FlushWithClose'
          ]
        }
      ]
      enableAdvancedFilteringOnArrays: true
    }
    retryPolicy: {
      maxDeliveryAttempts: maxDeliveryAttempts
      eventTimeToLiveInMinutes: eventTimeToLiveInMinutes
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storageAccount.id
          blobContainerName: deadLetterContainer
        }
      }
    }
  }
}

// A job changed its state -> the Event Grid trigger. In the resource group of the workspace, as its topic is.
module jobs 'modules/job-subscription.bicep' = {
  name: 'job-subscription'
  scope: resourceGroup(workspaceResourceGroup)
  params: {
    workspaceTopicName: workspaceTopicName
    functionId: '${functionApp.id}/functions/job_event'
    deadLetterStorageAccountId: storageAccount.id
    deadLetterContainer: deadLetterContainer
    maxDeliveryAttempts: maxDeliveryAttempts
    eventTimeToLiveInMinutes: eventTimeToLiveInMinutes
  }
}
