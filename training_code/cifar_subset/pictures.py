"""Pictures with their classes in .npz files, and as a dataset that hands out whole batches."""

import numpy as np
import torch
from network import SIZE

from toolkit import picture_arrays
from toolkit.picture_arrays import LABELS, PICTURES

MOVED = 4  # pixels at most, in each direction


class Pictures(torch.utils.data.Dataset):
    """Pictures, uint8 (n, 32, 32, 3), with the numbers of their classes (n,).

    varied: each is moved, and mirrored or not, whenever it is asked for, by chance.
    """

    def __init__(self, images, classes, varied=False):
        self.images, self.targets, self.varied = images, classes.astype(np.int64), varied

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, place):
        x, y = self.__getitems__([place])
        return x[0], y[0]

    def __getitems__(self, places):
        """A batch at once: pass `whole` as the loader's collate_fn."""
        chosen = self.images[places]
        return tensor(shifted(chosen) if self.varied else chosen), torch.from_numpy(self.targets[places])


def whole(batch):
    """A batch as the dataset has made it."""
    return batch


def shifted(images):
    """Each picture moved by up to 4 pixels and mirrored by chance; torch's generator draws, which checkpoints keep."""
    count = len(images)
    down, right = torch.randint(2 * MOVED + 1, (2, count, 1)).numpy()
    mirrored = torch.rand(count, 1).numpy() < 0.5
    places = np.arange(SIZE)
    rows, columns = down + places, right + np.where(mirrored, places[::-1], places)
    padded = np.pad(images, ((0, 0), (MOVED, MOVED), (MOVED, MOVED), (0, 0)))
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def tensor(images):
    """Pictures as bytes -> (n, 3, 32, 32), about -2 to 2."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(63.75).sub_(2.0).contiguous()


def load(folder):
    """All .npz files of a channel -> pictures (n, 32, 32, 3) as bytes, labels (n,) as texts. Raises PicturesError."""
    found = picture_arrays.load(folder, SIZE, example="shapes.py")
    return found[PICTURES], found[LABELS]


def checked(pictures, name):
    """The pictures, uint8 (n, 32, 32, 3). Raises PicturesError."""
    return picture_arrays.checked(pictures, SIZE, name)


def split(classes, shares, seed):
    """Places of each share of the examples, and of those that are left, last; each has its part of every class."""
    random = np.random.default_rng(seed)
    parts = [[] for _ in (*shares, None)]
    for number in np.unique(classes):
        places = random.permutation(np.flatnonzero(classes == number))
        ends = [round(len(places) * sum(shares[: at + 1])) for at in range(len(shares))]
        for part, some in zip(parts, np.split(places, ends), strict=True):
            part.append(some)
    return [np.sort(np.concatenate(part)) for part in parts]
