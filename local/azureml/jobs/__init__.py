"""Pipeline jobs: taken in as Azure ML does, run as processes of this machine."""
