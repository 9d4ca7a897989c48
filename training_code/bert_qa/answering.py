"""Answers with a model: the likeliest span of a context, its score, and where it stands. Training judges itself so,
and serve.py answers so.

The score of a span is the model's probability that an answer starts and ends there, of all places of the window and
[CLS], which stands for "no answer here". Of several windows the surest counts.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from windows import Batch, Encoder

SETTINGS = "answering.json"
# Windows that are read at once; and of an answer, in tokens.
BATCH = 16
LONGEST = 30


@dataclass(frozen=True)
class Settings:
    """How contexts are cut into windows, in tokens, and the score below which there is no answer."""

    length: int
    stride: int
    threshold: float = 0.0

    def save(self, folder):
        Path(folder, SETTINGS).write_text(json.dumps(asdict(self)) + "\n")

    @classmethod
    def load(cls, folder):
        return cls(**json.loads(Path(folder, SETTINGS).read_text()))


@dataclass(frozen=True)
class Span:
    """A part of a context, in characters: context[start:end]. score: how sure it is, from 0 to 1."""

    score: float
    start: int
    end: int

    def answer(self, context, threshold):
        """What a caller gets; below the threshold no answer, with the score all the same."""
        if self.score < threshold or self.start == self.end:
            return {"answer": None, "score": round(self.score, 6), "start": None, "end": None}
        text = context[self.start : self.end]
        return {"answer": text, "score": round(self.score, 6), "start": self.start, "end": self.end}


NOTHING = Span(0.0, 0, 0)


@torch.inference_mode()
def spans(model, tokenizer, asked, settings):
    """The likeliest span of each (question, context), in their order; NOTHING where a context is empty."""
    model.eval()
    encoder = Encoder(tokenizer)
    windows, owners = [], []
    for number, (question, context) in enumerate(asked):
        pair = encoder.pair(question, context)
        mine = encoder.windows(pair, settings.length, settings.stride) if pair.context else []
        windows += mine
        owners += [number] * len(mine)
    best = [NOTHING] * len(asked)
    order = sorted(range(len(windows)), key=lambda place: len(windows[place]))
    for start in range(0, len(order), BATCH):
        some = order[start : start + BATCH]
        for place, span in zip(some, _of_batch(model, encoder, [windows[place] for place in some]), strict=True):
            best[owners[place]] = max(best[owners[place]], span, key=lambda one: one.score)
    return best


def _of_batch(model, encoder, windows):
    """The likeliest span of each window."""
    batch = Batch(windows, encoder.pad)
    starts, ends = batch.logits(model).float().softmax(dim=1).unbind(dim=-1)
    scores = starts[:, :, None] * ends[:, None, :]
    # An answer ends no earlier than it starts, isn't longer than LONGEST, and isn't [CLS].
    scores = scores.triu().tril(LONGEST - 1)
    scores[:, 0, :] = 0
    flat = scores.flatten(1).max(dim=1)
    width = scores.shape[2]
    return [
        _span(window, float(score), int(place) // width, int(place) % width)
        for window, score, place in zip(windows, flat.values, flat.indices, strict=True)
    ]


def _span(window, score, first, last):
    if first < window.first:  # every probability was 0
        return NOTHING
    return Span(score, window.places[first - window.first][0], window.places[last - window.first][1])
