"""A run: one fine-tuning of one version of one dataset with one configuration."""
