"""Training that goes on where it was interrupted: what a spot job needs, in three lines of train.py.

    from toolkit.checkpoint import Batches, Checkpoints

    batches = Batches(len(examples), size=64, seed=args.seed)
    checkpoints = Checkpoints(every=100, model=model, optimizer=optimizer, batches=batches)
    for step in checkpoints.steps(args.steps):
        train_on(examples[batches.next()])

A new container begins after the last step that was saved, with the state it had then: the parts, and the random state
of Python, NumPy and PyTorch. So it ends with the very model that it would have ended with undisturbed, as far as the
framework computes the same twice.

A part is anything with state_dict and load_state_dict (models, optimizers, schedulers and scalers of PyTorch, the
probe, Batches), a NumPy array, list or dict that is changed in place, a random.Random or NumPy Generator, or an
estimator of scikit-learn that learns by partial_fit.
"""

from __future__ import annotations

from toolkit.checkpoint.batches import Batches
from toolkit.checkpoint.files import CheckpointError
from toolkit.checkpoint.loop import Checkpoints

__all__ = ["Batches", "CheckpointError", "Checkpoints"]
