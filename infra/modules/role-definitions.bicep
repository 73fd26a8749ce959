// What the app may do in Azure ML, and not more. Built-in roles give far more: AzureML Data Scientist may change and delete
// everything in a workspace but its computes. Training and deploying are two roles, so that they can be given to two
// identities. Names of operations: "Azure permissions for AI + machine learning" in the documentation of Azure RBAC; what
// submitting a job needs: "Manage access to Azure Machine Learning workspaces", common scenarios.
// They can be assigned in the whole subscription, because only such roles are listed there, so that `azd down` finds them.
targetScope = 'subscription'

@description('Makes the names of the roles unique: they are one name space for the whole tenant.')
param suffix string

resource trainer 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, 'finetune-trainer', suffix)
  properties: {
    roleName: 'Finetune trainer ${suffix}'
    description: 'Submits fine-tuning jobs and registers their models.'
    type: 'CustomRole'
    assignableScopes: [
      subscription().id
    ]
    permissions: [
      {
        actions: [
          // The SDK asks for the workspace first: its region, its addresses.
          'Microsoft.MachineLearningServices/workspaces/read'
          // Submit, look at, cancel; the answer to a cancel is looked up by its own operation.
          'Microsoft.MachineLearningServices/workspaces/jobs/read'
          'Microsoft.MachineLearningServices/workspaces/jobs/write'
          'Microsoft.MachineLearningServices/workspaces/jobs/cancel/action'
          'Microsoft.MachineLearningServices/workspaces/jobs/operationresults/read'
          // A job is a run of an experiment, for the run history and for MLflow: state, failure, metrics.
          'Microsoft.MachineLearningServices/workspaces/experiments/read'
          'Microsoft.MachineLearningServices/workspaces/experiments/write'
          'Microsoft.MachineLearningServices/workspaces/experiments/runs/read'
          'Microsoft.MachineLearningServices/workspaces/experiments/runs/write'
          'Microsoft.MachineLearningServices/workspaces/experiments/runs/submit/action'
          // The steps that prepare and evaluate are components and an environment of this app's own.
          'Microsoft.MachineLearningServices/workspaces/components/read'
          'Microsoft.MachineLearningServices/workspaces/components/write'
          'Microsoft.MachineLearningServices/workspaces/components/versions/read'
          'Microsoft.MachineLearningServices/workspaces/components/versions/write'
          'Microsoft.MachineLearningServices/workspaces/environments/read'
          'Microsoft.MachineLearningServices/workspaces/environments/write'
          'Microsoft.MachineLearningServices/workspaces/environments/versions/read'
          'Microsoft.MachineLearningServices/workspaces/environments/versions/write'
          'Microsoft.MachineLearningServices/workspaces/environments/build/action'
          'Microsoft.MachineLearningServices/workspaces/environments/readSecrets/action'
          // Logs, metrics and outputs of a job are artifacts; a step with files of its own would bring them as code.
          'Microsoft.MachineLearningServices/workspaces/metadata/artifacts/read'
          'Microsoft.MachineLearningServices/workspaces/metadata/artifacts/write'
          'Microsoft.MachineLearningServices/workspaces/codes/read'
          'Microsoft.MachineLearningServices/workspaces/codes/write'
          'Microsoft.MachineLearningServices/workspaces/codes/versions/read'
          'Microsoft.MachineLearningServices/workspaces/codes/versions/write'
          // Azure checks them of whoever submits: inputs may be data assets as well.
          'Microsoft.MachineLearningServices/workspaces/data/read'
          'Microsoft.MachineLearningServices/workspaces/data/versions/read'
          'Microsoft.MachineLearningServices/workspaces/datasets/registered/read'
          'Microsoft.MachineLearningServices/workspaces/datasets/unregistered/read'
          // Inputs and outputs are named by datastore; its secrets are not asked for, there are none.
          'Microsoft.MachineLearningServices/workspaces/datastores/read'
          // Is the cluster there, and healthy; made when it is absent.
          'Microsoft.MachineLearningServices/workspaces/computes/read'
          'Microsoft.MachineLearningServices/workspaces/computes/write'
          // Register the trained model, with tags.
          'Microsoft.MachineLearningServices/workspaces/models/read'
          'Microsoft.MachineLearningServices/workspaces/models/write'
          'Microsoft.MachineLearningServices/workspaces/models/versions/read'
          'Microsoft.MachineLearningServices/workspaces/models/versions/write'
        ]
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

resource deployer 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, 'finetune-deployer', suffix)
  properties: {
    roleName: 'Finetune deployer ${suffix}'
    description: 'Makes, tests, asks and removes online endpoints.'
    type: 'CustomRole'
    assignableScopes: [
      subscription().id
    ]
    permissions: [
      {
        actions: [
          'Microsoft.MachineLearningServices/workspaces/read'
          // Make, route, look at, remove.
          'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/read'
          'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write'
          'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/delete'
          'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/read'
          'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/write'
          'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/delete'
          // The last words of a deployment that failed.
          'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/getlogs/action'
          // The smoke test and the chat: a key, or, with auth_mode aad_token, the app's own token and the right to score.
          'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/listkeys/action'
          'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action'
          // A deployment names a registered model.
          'Microsoft.MachineLearningServices/workspaces/models/read'
          'Microsoft.MachineLearningServices/workspaces/models/versions/read'
        ]
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

resource observer 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, 'finetune-observer', suffix)
  properties: {
    roleName: 'Finetune observer ${suffix}'
    description: 'Reads what is only told about a whole subscription: metrics of many endpoints at once, VM sizes, quota.'
    type: 'CustomRole'
    assignableScopes: [
      subscription().id
    ]
    permissions: [
      {
        actions: [
          // The batch API of Azure Monitor wants the right to read metrics on the subscription.
          'Microsoft.Insights/metrics/read'
          // Which VM sizes there are, and how much quota is left.
          'Microsoft.MachineLearningServices/locations/vmsizes/read'
          'Microsoft.MachineLearningServices/locations/usages/read'
          // Where Azure ML says how an operation goes that it has begun: endpoints, clusters.
          'Microsoft.MachineLearningServices/locations/mfeOperationResults/read'
          'Microsoft.MachineLearningServices/locations/mfeOperationsStatus/read'
          'Microsoft.MachineLearningServices/locations/computeoperationsstatus/read'
        ]
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

output trainerRoleId string = trainer.id
output deployerRoleId string = deployer.id
output observerRoleId string = observer.id
