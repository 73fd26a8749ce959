"""What a deployment of the Azure ML emulator really runs: Azure's own inference server over a fine-tuned model."""
