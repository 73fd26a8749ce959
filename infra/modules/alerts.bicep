// What somebody must hear of. docs/operations.md says of each alert what it means and what to do.

@description('Region.')
param location string

@description('Tags for every resource.')
param tags object

@description('Id of the Log Analytics workspace that is asked.')
param logAnalyticsId string

@description('Ids of the Event Grid topics whose dead letters are watched.')
param topicIds array

@description('Id of the action group that is told.')
param actionGroupId string

@description('Two periods of the sweep, as an ISO 8601 duration that Azure Monitor takes as a window, and somewhat more: telemetry is minutes late.')
param sweepWindow string

@description('How often it is looked whether the sweep ran.')
param sweepCheckFrequency string

// The tables come into being with the first record; without skipQueryValidation the rules could not be made before.
var rules = [
  {
    name: 'finetune-run-failed'
    displayName: 'A fine-tuning run failed'
    description: 'A run ended in the state failed. GET /api/runs?state=failed names it, the reason, and what helps.'
    severity: 2
    frequency: 'PT5M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
    measure: 'Failed'
    query: 'AppMetrics | where Name == "finetune.runs" and tostring(Properties.state) == "failed" | summarize Failed = sum(Sum)'
  }
  {
    name: 'finetune-poison'
    displayName: 'An upload could not be processed'
    description: 'The blob trigger failed five times for an upload and put it into the queue webjobs-blobtrigger-poison.'
    severity: 1
    frequency: 'PT15M'
    window: 'PT1H'
    operator: 'GreaterThan'
    threshold: 0
    measure: 'Poisoned'
    query: 'StorageQueueLogs | where OperationName == "PutMessage" and Uri has "webjobs-blobtrigger-poison" and StatusCode startswith "2" | summarize Poisoned = count()'
  }
  {
    name: 'finetune-orphan-endpoint'
    displayName: 'An endpoint is alive without a run'
    description: 'The sweep found an online endpoint of this app that no run accounts for. It bills.'
    severity: 1
    frequency: 'PT30M'
    window: 'PT1H'
    operator: 'GreaterThan'
    threshold: 0
    measure: 'Orphans'
    query: 'AppMetrics | where Name == "finetune.orphan_endpoints" | summarize arg_max(TimeGenerated, Max) | summarize Orphans = sum(Max)'
  }
  {
    name: 'finetune-sweep-missing'
    displayName: 'The sweep has not run'
    description: 'No sweep has done its work in two periods: idle endpoints are not removed, and bill.'
    severity: 1
    frequency: sweepCheckFrequency
    window: sweepWindow
    operator: 'LessThan'
    threshold: 1
    measure: 'Sweeps'
    query: 'AppMetrics | where Name == "finetune.sweeps" and tostring(Properties.outcome) != "failed" and tostring(Properties.dry_run) =~ "false" | summarize Sweeps = sum(Sum)'
  }
]

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2021-08-01' = [for rule in rules: {
  name: rule.name
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: rule.displayName
    description: rule.description
    enabled: true
    severity: rule.severity
    scopes: [
      logAnalyticsId
    ]
    evaluationFrequency: rule.frequency
    windowSize: rule.window
    skipQueryValidation: true
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: rule.query
          metricMeasureColumn: rule.measure
          timeAggregation: 'Total'
          operator: rule.operator
          threshold: rule.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [
        actionGroupId
      ]
    }
  }
}]

resource deadLetterAlerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [for (topicId, i) in topicIds: {
  name: 'finetune-dead-letter-${i}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Event Grid could not deliver an event and wrote it into the container deadletter.'
    enabled: true
    severity: 1
    scopes: [
      topicId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'dead-lettered'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.EventGrid/systemTopics'
          metricName: 'DeadLetteredCount'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
          skipMetricValidation: true
        }
      ]
    }
    actions: [
      {
        actionGroupId: actionGroupId
      }
    ]
  }
}]
