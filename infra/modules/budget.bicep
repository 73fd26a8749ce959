// What all of it may cost a month. Azure Cost Management looks at the bill, some hours late, and only tells: it stops nothing.

@description('Name of the budget.')
param budgetName string

@description('Amount a month, in the currency of the billing account.')
param amount int

@description('First day of a month, yyyy-MM-01. It cannot be changed afterwards.')
param startDate string

@description('Id of the action group that is told.')
param actionGroupId string

resource budget 'Microsoft.Consumption/budgets@2023-11-01' = {
  name: budgetName
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: startDate
    }
    notifications: {
      passed: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        thresholdType: 'Actual'
        contactEmails: []
        contactGroups: [
          actionGroupId
        ]
      }
      foreseen: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: []
        contactGroups: [
          actionGroupId
        ]
      }
    }
  }
}
