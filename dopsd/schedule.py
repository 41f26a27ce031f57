"""What changes with the iteration: how far a step goes, and how long the teacher's memory is.

>>> learning_rate(Training(learning_rate=1e-4, learning_rate_warmup=10), step=0)  # 1e-5
"""

from dopsd.recipe import Training


def learning_rate(training: Training, step: int) -> float:
    """Grow to the full rate over the first iterations, in equal parts; `step` counts from 0."""
    if step >= training.learning_rate_warmup:
        return training.learning_rate
    return training.learning_rate * (step + 1) / training.learning_rate_warmup


def ema_decay(training: Training, step: int) -> float:
    """Lengthen the memory 1 / (1 - decay) to its full length over the first iterations, in equal parts, from 1 on."""
    if step >= training.ema_warmup:
        return training.ema_decay
    return max(0.0, 1 - (1 - training.ema_decay) * training.ema_warmup / (step + 1))
