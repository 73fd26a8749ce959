#!/bin/sh
# Before `azd down`: takes away what deleting the resource group leaves behind. That is custom roles, and either the
# workspace (deleted with its group it is kept for 14 days, and its name with it), or what lies in a workspace that was
# there before.
set -eu

: "${AZURE_SUBSCRIPTION_ID:?run me through azd: azd hooks run predown}"
: "${AZUREML_RESOURCE_GROUP:?nothing was provisioned, so there is nothing to take away}"
: "${AZUREML_WORKSPACE_NAME:?nothing was provisioned, so there is nothing to take away}"
: "${FINETUNE_ROLE_SUFFIX:?nothing was provisioned, so there is nothing to take away}"

group="/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$AZUREML_RESOURCE_GROUP"
workspace="$group/providers/Microsoft.MachineLearningServices/workspaces/$AZUREML_WORKSPACE_NAME"
version=2025-06-01

exists() {
    az resource show --ids "$1" --api-version "$2" --output none 2>/dev/null
}

# Succeeds when there is nothing to remove.
remove() {
    if exists "$1" "$2"; then
        echo "Removing ${1##*/} ..."
        az resource delete --ids "$1" --api-version "$2" --output none
    fi
}

if [ "${AZUREML_WORKSPACE_IS_OURS:-}" = true ]; then
    if exists "$workspace" "$version"; then
        echo "Deleting the workspace $AZUREML_WORKSPACE_NAME for good, with its endpoints, clusters and models ..."
        az rest --method delete --url "$workspace" --url-parameters "api-version=$version" forceToPurge=true --output none
        tries=0
        while exists "$workspace" "$version"; do
            tries=$((tries + 1))
            if [ "$tries" -ge 120 ]; then
                echo "The workspace is still there after 30 minutes. Look at it in the portal, then: azd down" >&2
                exit 1
            fi
            sleep 15
        done
    fi
else
    endpoints=$(az rest --method get --url "$workspace/onlineEndpoints" --url-parameters "api-version=$version" \
        --query 'value[?tags."finetune.run"].name' --output tsv)
    if [ -n "$endpoints" ]; then
        echo "Endpoints of this app are alive in $AZUREML_WORKSPACE_NAME. They would bill on, with nobody to remove them:" >&2
        echo "$endpoints" >&2
        echo "Remove them first (docs/deploy.md, 'Clean up'), then: azd down" >&2
        exit 1
    fi
    topic="$group/providers/Microsoft.EventGrid/systemTopics/$AZURE_WORKSPACE_TOPIC_NAME"
    remove "$topic/eventSubscriptions/jobs" 2022-06-15
    if [ "${AZURE_WORKSPACE_TOPIC_IS_OURS:-}" = true ]; then
        remove "$topic" 2022-06-15
    fi
    for cluster in ${FINETUNE_CLUSTERS:-}; do
        remove "$workspace/computes/$cluster" "$version"
    done
    remove "$workspace/datastores/$FINETUNE_DATASTORE" "$version"
fi

for kind in trainer deployer observer; do
    role="Finetune $kind $FINETUNE_ROLE_SUFFIX"
    az role assignment list --all --subscription "$AZURE_SUBSCRIPTION_ID" --query "[?roleDefinitionName=='$role'].id" --output tsv |
        while read -r assignment; do
            az role assignment delete --ids "$assignment" --output none
        done
    if [ -n "$(az role definition list --custom-role-only true --subscription "$AZURE_SUBSCRIPTION_ID" --name "$role" --query '[].name' --output tsv)" ]; then
        echo "Removing the role $role ..."
        az role definition delete --subscription "$AZURE_SUBSCRIPTION_ID" --name "$role" --output none
    fi
done
