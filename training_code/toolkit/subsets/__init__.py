"""Training on a part of the data, chosen anew as the training goes: a loader that any training with PyTorch takes.

    from toolkit.subsets import SubsetLoader

    loss = nn.CrossEntropyLoss(reduction="none")
    loader = SubsetLoader(dataset, "infobatch", 0.5, batch_size=64, seed=0, loss=loss)
    for epoch in range(loader.epoch, epochs):
        for x, y, weight in loader:
            (loss(model(x), y) * weight).mean().backward()

An epoch is `fraction` of the examples. The methods, of which docs/subsets.md says which to choose when:

    full        all examples
    fixed       a part that is drawn once
    resampled   the next part of an order that goes through all examples before it takes one again (RS2)
    infobatch   the same, skipping half of those whose last loss was below the mean; their like count twice (InfoBatch)
    trimmed     the same without the examples of the greatest losses, found anew every few epochs (ITLM)
    glister     those whose gradients of the last layer lower the loss of a validation set (GLISTER-online)

The same seed chooses the same. `state_dict` and `load_state_dict` go on in the middle of an epoch, so a loader is a
part that toolkit.checkpoint takes.
"""

from toolkit.subsets.errors import SubsetError
from toolkit.subsets.loader import SubsetLoader
from toolkit.subsets.methods import METHODS
from toolkit.subsets.settings import Settings

__all__ = ["METHODS", "Settings", "SubsetError", "SubsetLoader"]
