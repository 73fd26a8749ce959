"""The figures an estimate rests on, each a range that is honest rather than a number that looks exact."""

from shared.dataset.page import Range

# Operations for each token and parameter: see the package.
LORA_OPERATIONS = Range(4, 6)
FULL_OPERATIONS = Range(6, 8)
TEST_OPERATIONS = 2
# The share of a GPU's peak speed that fine-tuning of chat models with Hugging Face's Trainer reaches.
UTILISATION = Range(0.15, 0.45)
# Seconds that a batch takes however small it is: starting kernels, gathering sharded weights, moving data.
BATCH_OVERHEAD_S = Range(0.05, 0.4)
# Hours for which the GPU machine is paid without training: image, download of the model, saving, converting it.
SET_UP_HOURS = Range(0.3, 1.0)
