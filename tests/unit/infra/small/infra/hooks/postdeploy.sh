#!/bin/sh
# Subscribes the app to uploads.
set -eu
az deployment group create --resource-group "$AZURE_RESOURCE_GROUP" --template-file infra/uploads.bicep
