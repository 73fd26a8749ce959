// Clusters that cost nothing while no job runs: no node is kept, and a node that falls idle goes after two minutes.
// A cluster, because its identity is what a job reads and writes a datastore without credentials with. Serverless compute
// has none of its own, and the catalog's pipeline component cannot be told one.

@description('Region of the workspace.')
param location string

@description('Tags for every resource.')
param tags object

@description('Name of the workspace.')
param workspaceName string

@description('Id of the identity of the jobs.')
param jobsIdentityId string

@description('Name of the cluster that trains and evaluates.')
param trainingClusterName string

@description('VM size of the training cluster; one of the sizes that the foundation model allows.')
param trainingVmSize string

@description('Most nodes of the training cluster.')
param trainingMaxNodes int

@description('Name of the cluster that prepares large datasets.')
param preparationClusterName string

@description('VM size of the preparation cluster; its local disk holds the dataset.')
param preparationVmSize string

@description('Whether nodes have no public address.')
param privateNetwork bool

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-06-01' existing = {
  name: workspaceName
}

resource trainingCluster 'Microsoft.MachineLearningServices/workspaces/computes@2025-06-01' = {
  parent: workspace
  name: trainingClusterName
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${jobsIdentityId}': {}
    }
  }
  properties: {
    computeType: 'AmlCompute'
    description: 'Trains and evaluates models of finetune-functions'
    disableLocalAuth: true
    properties: {
      osType: 'Linux'
      vmSize: trainingVmSize
      vmPriority: 'Dedicated'
      enableNodePublicIp: !privateNetwork
      remoteLoginPortPublicAccess: 'Disabled'
      scaleSettings: {
        minNodeCount: 0
        maxNodeCount: trainingMaxNodes
        nodeIdleTimeBeforeScaleDown: 'PT2M'
      }
    }
  }
}

resource preparationCluster 'Microsoft.MachineLearningServices/workspaces/computes@2025-06-01' = {
  parent: workspace
  name: preparationClusterName
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${jobsIdentityId}': {}
    }
  }
  properties: {
    computeType: 'AmlCompute'
    description: 'Prepares large datasets of finetune-functions'
    disableLocalAuth: true
    properties: {
      osType: 'Linux'
      vmSize: preparationVmSize
      vmPriority: 'Dedicated'
      enableNodePublicIp: !privateNetwork
      remoteLoginPortPublicAccess: 'Disabled'
      scaleSettings: {
        minNodeCount: 0
        maxNodeCount: 1
        nodeIdleTimeBeforeScaleDown: 'PT2M'
      }
    }
  }
}
