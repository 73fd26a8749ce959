#!/bin/sh
# Before the infrastructure: checks what would fail late, and remembers in which month the budget began.
set -eu

command -v az >/dev/null || {
    echo "The Azure CLI (az) was not found. Install it: https://aka.ms/installazurecli" >&2
    exit 1
}
az account show --output none 2>/dev/null || {
    echo "The Azure CLI is not signed in: az login" >&2
    exit 1
}

# The first day of a budget cannot be changed, so it is chosen once and kept in the environment.
if [ -z "${BUDGET_START_DATE:-}" ]; then
    azd env set BUDGET_START_DATE "$(date -u +%Y-%m-01)"
fi
