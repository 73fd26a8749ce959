"""The optimizer and the learning rate's schedule, as Hugging Face's Trainer makes them."""

from typing import Any

from local.training.options import Options


def make_optimizer(model: Any, options: Options, total_steps: int) -> tuple[Any, Any]:
    from transformers.optimization import get_scheduler

    optimizer = _adafactor(model, options) if options.optim == "adafactor" else _adamw(model, options)
    schedule = get_scheduler(
        options.lr_scheduler_type,
        optimizer,
        num_warmup_steps=min(options.warmup_steps, total_steps),
        num_training_steps=total_steps,
    )
    return optimizer, schedule


def _groups(model: Any, options: Options) -> list[dict[str, Any]]:
    """No weight decay for biases and norms (vectors): the Trainer's rule."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _adamw(model: Any, options: Options) -> Any:
    from torch.optim import AdamW

    betas = (options.adam_beta1, options.adam_beta2)
    return AdamW(_groups(model, options), lr=options.learning_rate, betas=betas, eps=options.adam_epsilon)


def _adafactor(model: Any, options: Options) -> Any:
    from transformers.optimization import Adafactor

    return Adafactor(_groups(model, options), lr=options.learning_rate, scale_parameter=False, relative_step=False)
