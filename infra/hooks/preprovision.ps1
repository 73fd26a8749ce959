# Before the infrastructure: checks what would fail late, and remembers in which month the budget began.
$ErrorActionPreference = 'Stop'

if (-not (Get-Command az -ErrorAction SilentlyContinue)) {
    Write-Error 'The Azure CLI (az) was not found. Install it: https://aka.ms/installazurecli'
    exit 1
}
az account show --output none
if ($LASTEXITCODE -ne 0) {
    Write-Error 'The Azure CLI is not signed in: az login'
    exit 1
}

# The first day of a budget cannot be changed, so it is chosen once and kept in the environment.
if (-not $env:BUDGET_START_DATE) {
    $today = (Get-Date).ToUniversalTime()
    azd env set BUDGET_START_DATE $today.ToString('yyyy-MM-01')
    if ($LASTEXITCODE -ne 0) { exit 1 }
}
