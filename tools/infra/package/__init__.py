"""The deployment package: what goes into it, and that it starts with requirements.txt alone."""
