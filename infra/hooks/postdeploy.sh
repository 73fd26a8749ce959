#!/bin/sh
# After the code is there: connects the events. Waits until the host has loaded it, because the key of the blob webhook
# and the function job_event exist only then. Repeating it changes nothing.
set -eu

: "${AZURE_SUBSCRIPTION_ID:?run me through azd: azd hooks run postdeploy}"
: "${AZURE_RESOURCE_GROUP:?run me through azd: azd hooks run postdeploy}"
: "${AZURE_FUNCTION_APP_NAME:?run me through azd: azd hooks run postdeploy}"
: "${AZURE_STORAGE_ACCOUNT_NAME:?run me through azd: azd hooks run postdeploy}"
: "${AZURE_STORAGE_TOPIC_NAME:?run me through azd: azd hooks run postdeploy}"
: "${AZURE_WORKSPACE_TOPIC_NAME:?run me through azd: azd hooks run postdeploy}"
: "${AZUREML_RESOURCE_GROUP:?run me through azd: azd hooks run postdeploy}"

here=$(cd "$(dirname "$0")" && pwd)
app="/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$AZURE_RESOURCE_GROUP/providers/Microsoft.Web/sites/$AZURE_FUNCTION_APP_NAME"

# Only whether the key is there is asked for; the key itself stays in Azure.
has_key() {
    az functionapp keys list --subscription "$AZURE_SUBSCRIPTION_ID" --resource-group "$AZURE_RESOURCE_GROUP" \
        --name "$AZURE_FUNCTION_APP_NAME" --query "contains(keys(systemKeys || \`{}\`), 'blobs_extension')" --output tsv 2>/dev/null
}

has_function() {
    az resource show --ids "$app/functions/job_event" --api-version 2024-04-01 --query name --output tsv 2>/dev/null
}

echo "Waiting for the functions to be loaded ..."
tries=0
until [ "$(has_key)" = true ] && [ -n "$(has_function)" ]; do
    tries=$((tries + 1))
    if [ "$tries" -ge 40 ]; then
        echo "The functions are not there after 10 minutes. Look at the log of $AZURE_FUNCTION_APP_NAME (docs/deploy.md," >&2
        echo "'When something is wrong'), then: azd hooks run postdeploy" >&2
        exit 1
    fi
    sleep 15
done

echo "Connecting the events ..."
az deployment group create --subscription "$AZURE_SUBSCRIPTION_ID" --resource-group "$AZURE_RESOURCE_GROUP" \
    --name event-subscriptions --template-file "$here/../event-subscriptions.bicep" --output none --parameters \
    functionAppName="$AZURE_FUNCTION_APP_NAME" \
    storageAccountName="$AZURE_STORAGE_ACCOUNT_NAME" \
    storageTopicName="$AZURE_STORAGE_TOPIC_NAME" \
    workspaceTopicName="$AZURE_WORKSPACE_TOPIC_NAME" \
    workspaceResourceGroup="$AZUREML_RESOURCE_GROUP"

echo "Ready. Drop a dataset:"
echo "  az storage blob upload --auth-mode login --account-name $AZURE_STORAGE_ACCOUNT_NAME \\"
echo "    --container-name datasets --name vendlebury/vendlebury.jsonl --file samples/vendlebury.jsonl"
