"""Ten kinds of healthy trainings and ten of sick ones to which nothing was fitted: on real data, by other networks.

They were written down, with their rates, sizes and lengths, before any of them was run; README's values are what they
were. The data are scikit-learn's (digits, breast cancer, diabetes), and sequences.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from sklearn import datasets
from torch import nn

from bench.trainings_kit import Batch, Training, adam, of, shuffled

TOKENS, LENGTH = 16, 12
TEN, TWO = 10, 1


# Data


def epochs(x: Any, y: Any, size: int) -> Callable[[int], Batch]:
    """Batches of a data set, in another order each time that it is gone through."""
    x, y = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)
    a_pass, order = len(x) // size, torch.empty(0)

    def batch(step: int) -> Batch:
        nonlocal order
        if step % a_pass == 0:
            order = torch.randperm(len(x))
        taken = order[step % a_pass * size :][:size]
        return x[taken], y[taken]

    return batch


def digits(size: int, scale: float = 1 / 16) -> Callable[[int], Batch]:
    """Handwritten digits, 8 × 8."""
    x, y = datasets.load_digits(return_X_y=True)
    return epochs(x * scale, y, size)


def tumours(size: int) -> Callable[[int], Batch]:
    """Malignant or benign, from 30 measures."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    return epochs((x - x.mean(0)) / x.std(0), y[:, None].astype("float32"), size)


def diabetes(size: int, *, scaled: bool = True) -> Callable[[int], Batch]:
    """How the disease goes on, from ten measures: half of it is noise."""
    x, y = datasets.load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std() if scaled else y
    return epochs(x / x.std(0), y[:, None].astype("float32"), size)


def first_seen(size: int) -> Callable[[int], Batch]:
    """Sequences of which the token after the mark is to be told."""

    def batch(_step: int) -> Batch:
        tokens = torch.randint(1, TOKENS, (size, LENGTH))
        places = torch.randint(0, LENGTH - 1, (size,))
        rows = torch.arange(size)
        tokens[rows, places] = 0
        return tokens, tokens[rows, places + 1]

    return batch


def chain(size: int) -> Callable[[int], Batch]:
    """Sequences of a Markov chain, of which the next token is to be told at each place: much of it is chance."""
    moves = torch.softmax(2 * torch.randn(TOKENS, TOKENS), 1)

    def batch(_step: int) -> Batch:
        tokens = [torch.randint(0, TOKENS, (size,))]
        for _ in range(LENGTH):
            tokens.append(torch.multinomial(moves[tokens[-1]], 1)[:, 0])
        found = torch.stack(tokens, 1)
        return found[:, :-1], found[:, 1:]

    return batch


def from_step(batch: Callable[[int], Batch], first: int, change: Callable[[Batch], Batch]) -> Callable[[int], Batch]:
    """Batches that are changed from a step on."""
    return lambda step: change(batch(step)) if step >= first else batch(step)


# Models


def convolutions() -> nn.Sequential:
    """With batch normalization."""
    first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
    features = [first, nn.BatchNorm2d(16), nn.ReLU(), second, nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(2)]
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *features, nn.Flatten(), nn.Linear(128, TEN))


def layers(inside: int, outside: int, width: int = 128, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Two hidden layers."""
    hidden = [nn.Linear(inside, width), activation(), nn.Linear(width, width), activation()]
    return nn.Sequential(*hidden, nn.Linear(width, outside))


class Recurrent(nn.Module):
    """A recurrent network whose last state tells."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.cells = nn.Embedding(TOKENS, 32), nn.GRU(32, 64, batch_first=True)
        self.head = nn.Linear(64, TOKENS)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.cells(self.embedding(tokens))[0][:, -1])


class Attending(nn.Module):
    """A transformer of two layers that sees only what came before."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.places = nn.Embedding(TOKENS, 32), nn.Parameter(0.02 * torch.randn(LENGTH, 32))
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(32, 4, 64, 0.1, batch_first=True) for _ in range(2))
        self.head = nn.Linear(32, TOKENS)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        found, mask = self.embedding(tokens) + self.places, nn.Transformer.generate_square_subsequent_mask(LENGTH)
        for block in self.blocks:
            found = block(found, src_mask=mask)
        return self.head(found).transpose(1, 2)


def zeros() -> nn.Sequential:
    """A network that begins with all its weights zero."""
    model = layers(64, TEN)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


# Trainings


def cosine(steps: int, warm_up: int = 0) -> Callable[[int], float]:
    """Rises for a while, then half a cosine down to nothing."""

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2

    return share


def adamw(model: nn.Module, batch: Callable[[int], Batch], rate: float, **more: Any) -> Training:
    """A training by AdamW."""
    return Training(model, batch, torch.optim.AdamW(model.parameters(), lr=rate), **more)


def rmsprop(model: nn.Module, batch: Callable[[int], Batch], rate: float, **more: Any) -> Training:
    """A training by RMSprop."""
    return Training(model, batch, torch.optim.RMSprop(model.parameters(), lr=rate), **more)


def going_on() -> Training:
    """What a pipeline's next run does that begins with the champion: three passes by half the rate after ten."""
    model, batch = layers(64, TEN), digits(32)
    before = adam(model, batch, 0.0005)
    for step in range(10 * 56):
        before.optimizer.zero_grad()
        x, y = batch(step)
        before.loss(model(x), y).backward()
        before.optimizer.step()
    return adam(model, batch, 0.00025, steps=3 * 56)


def never_thawed() -> Training:
    """All but the last layer's biases were frozen and forgotten."""
    model = layers(64, TEN)
    for parameter in model.parameters():
        parameter.requires_grad_(parameter is model[-1].bias)
    optimizer = torch.optim.Adam([model[-1].bias], lr=0.001)
    return Training(model, digits(32), optimizer, steps=1000)


def without_numbers(batch: Batch) -> Batch:
    """An example of the batch lacks a measure."""
    x, y = batch
    x = x.clone()
    x[0, 0] = math.nan
    return x, y


def with_labels_mixed(batch: Batch) -> Batch:
    """The labels have come into another order."""
    return batch[0], batch[1][torch.randperm(len(batch[1]))]


def decided() -> nn.Module:
    """The loss of a decision between two."""
    return nn.BCEWithLogitsLoss()


HEALTHY: dict[str, Callable[[], Training]] = {
    "digits, convolutions, cosine": lambda: of(convolutions(), digits(64), 0.05, schedule=cosine(600), steps=600),
    "digits, Adam by batches of 32": lambda: adam(layers(64, TEN), digits(32), 0.001, steps=1000),
    "digits, logistic regression by batches of eight": lambda: of(nn.Linear(64, TEN), digits(8), 0.1, 0.0, steps=1500),
    "tumours, AdamW": lambda: adamw(layers(30, TWO, 32), tumours(16), 0.003, loss=decided(), steps=500),
    "diabetes, Huber's loss": lambda: adam(layers(10, 1, 32), diabetes(32), 0.01, loss=nn.SmoothL1Loss()),
    "recurrent, long nothing is learned": lambda: adam(Recurrent(), first_seen(32), 0.002, steps=1500),
    "transformer, warm-up and cosine": lambda: adamw(
        Attending(), chain(16), 0.003, schedule=cosine(1000, 200), steps=1000
    ),
    "digits, smoothed labels": lambda: rmsprop(
        layers(64, TEN, 256, nn.GELU), digits(128), 0.001, loss=nn.CrossEntropyLoss(label_smoothing=0.1), steps=700
    ),
    "digits, the rate a tenth every 300 steps": lambda: of(
        convolutions(), digits(16), 0.02, schedule=lambda step: 0.1 ** (step // 300), steps=900
    ),
    "digits, going on from a model": going_on,
}
SICK: dict[str, Callable[[], Training]] = {
    "digits, a rate a hundred times too high": lambda: of(layers(64, TEN), digits(64), 10.0, steps=600),
    "digits, Adam with a rate of one": lambda: adam(layers(64, TEN), digits(32), 1.0, steps=1000),
    "tumours, a rate of a millionth": lambda: of(layers(30, TWO, 32), tumours(16), 1e-6, loss=decided(), steps=500),
    "digits, labels mixed": lambda: adam(layers(64, TEN), shuffled(digits(32)), 0.001, steps=1000),
    "digits, layers never thawed": never_thawed,
    "digits, pictures a thousand times too bright": lambda: of(layers(64, TEN), digits(32, 1000 / 16), 0.05),
    "diabetes, a measure is missing half-way": lambda: adam(
        layers(10, 1, 32), from_step(diabetes(32), 400, without_numbers), 0.01, loss=nn.MSELoss()
    ),
    "digits, labels mixed half-way": lambda: adam(
        layers(64, TEN), from_step(digits(32), 500, with_labels_mixed), 0.001, steps=1000
    ),
    "digits, weights begin as zero": lambda: of(zeros(), digits(32), 0.05),
    "diabetes, target not scaled": lambda: of(layers(10, 1, 32), diabetes(32, scaled=False), 0.01, loss=nn.MSELoss()),
}
