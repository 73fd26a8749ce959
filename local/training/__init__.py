"""What a job of the Azure ML emulator really does: fine-tune a small chat model on this machine's CPU.

`python -m local.training JOB_DIR` runs the five steps of the component `chat_completion_pipeline` under their names.
Runs in the machine-learning environment (requirements-ml.txt), as a job on Azure runs in its own image.
"""
