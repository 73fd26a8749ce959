"""What training on a dataset will take: steps, GPU hours, and a range of the price. Estimates only, and pure.

    conversation  = its tokens, cut at max_seq_length; in a batch, padded to the longest one of it
    step          = batch size x gradient accumulation x GPUs conversations
    work          = tokens x operations a token x parameters x (1 + attention)
    hours         = work / (GPUs x peak speed x utilisation), and a moment for each batch, and the set-up
    price         = hours x nodes x list price of the VM size

Operations a token and parameter: 2 forward and 4 backward. LoRA computes no gradients of the frozen weights: only 2
backward. Computing activations again to save memory, as many configurations do, costs 2 more. Hence 4 to 6 with LoRA,
6 to 8 without; testing takes 2. The component packs no two conversations into one sequence: each is one of its own.

    training = estimate(workload_of(report), TrainingPlan())
"""

from shared.costs.estimates import estimate, workload_of
from shared.costs.plan import DEFAULT_INSTANCE_TYPE, DEFAULT_MODEL, TrainingPlan, Workload

__all__ = ["DEFAULT_INSTANCE_TYPE", "DEFAULT_MODEL", "TrainingPlan", "Workload", "estimate", "workload_of"]
