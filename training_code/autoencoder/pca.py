"""Principal components: the best that any linear encoder and decoder can do with so many numbers.

No other linear encoding of the pictures that it is fitted to loses less (Eckart and Young 1936), so an autoencoder that
does better has found something that isn't linear.
"""

from __future__ import annotations

import numpy as np


class PcaError(Exception):
    """Pictures to which no principal components can be fitted that mean anything."""


# Fewer pictures a component, and hardly anything is left to lose: n pictures lie in n - 1 dimensions.
LEAST_EACH = 10


class Pca:
    """The mean of pictures and the directions in which they vary most.

    Args:
        pictures: numbers (n, …), at least ten a component.

    Raises:
        PcaError: fewer.
    """

    def __init__(self, pictures, components):
        if len(pictures) < LEAST_EACH * components:
            raise PcaError(
                f"{len(pictures)} pictures are too few for {components} principal components, which would explain "
                f"nearly all of them; {LEAST_EACH * components} are needed"
            )
        flat = _flat(pictures)
        self.mean = flat.mean(axis=0)
        _, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
        self.directions = vectors[:, ::-1][:, :components].T  # eigh gives the largest last

    def encode(self, pictures):
        """Their components, (n, components)."""
        return (_flat(pictures) - self.mean) @ self.directions.T

    def reconstruct(self, pictures):
        """The pictures, from their components alone; of their shape."""
        return (self.encode(pictures) @ self.directions + self.mean).reshape(np.shape(pictures))


def _flat(pictures):
    return np.asarray(pictures, np.float64).reshape(len(pictures), -1)
