"""The run history service: runs, their children, their details. The only place that tells why a job failed."""
