"""How good is what was trained? Measured in the job, on held-out rows, beside the base model and the one now live.

Runs in Azure's curated image for fine-tuning, with whatever Python that has (3.10 or newer): it imports the standard
library only, and torch, transformers and mlflow inside functions. Of this app it imports nothing else.
"""

MOST_ROWS = 200
"""Rows of test.jsonl that are looked at, at most: chosen by their prompt's id, so the same ones for every model."""
