"""The workspace's MLflow tracking server: the part of MLflow's REST API that jobs and their readers use."""
