"""The only place that talks to Azure ML: the real azure-ai-ml SDK, imported when it is first needed."""
