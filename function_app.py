"""The Functions host's way in: registers the triggers. Nothing else."""

import azure.functions as func

from functions import dataset_uploaded, http_api, job_events, timers

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for _module in (dataset_uploaded, job_events, timers, http_api):
    app.register_functions(_module.bp)
