"""Questions and contexts as tokens, in windows that a model can take: [CLS] question [SEP] part of the context [SEP].

A context that is too long goes into several windows, each of which begins `stride` tokens after the one before it.
"""

from dataclasses import dataclass

import torch
from pretrained import CLS, PAD, SEP

# Of a question, in tokens; what is longer is cut. SQuAD's longest has 60.
QUESTION = 64


@dataclass(frozen=True)
class Pair:
    """A question and its context as tokens' numbers; places: each of the context's in its characters, (first, end)."""

    question: list
    context: list
    places: list


@dataclass(frozen=True)
class Window:
    """What the model reads at once. ids: its tokens; first: the first of the context's among them; places: theirs."""

    ids: list
    first: int
    places: list

    def __len__(self):
        return len(self.ids)


class Encoder:
    """Makes windows, by a tokenizer."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.pad, self.cls, self.sep = (tokenizer.token_to_id(token) for token in (PAD, CLS, SEP))

    def pair(self, question, context):
        """A question and its context as tokens."""
        asked, text = self.tokenizer.encode_batch([question, context], add_special_tokens=False)
        return Pair(asked.ids[:QUESTION], text.ids, text.offsets)

    def windows(self, pair, length, stride):
        """The windows of at most `length` tokens that hold the whole context."""
        room = length - len(pair.question) - 3
        last = max(0, len(pair.context) - room)
        starts = [*range(0, last, stride), last] if last else [0]
        return [self.window(pair, start, room) for start in starts]

    def window(self, pair, start, room):
        """The window from a token of the context on."""
        head, part = [self.cls, *pair.question, self.sep], slice(start, start + room)
        return Window([*head, *pair.context[part], self.sep], len(head), pair.places[part])

    def around(self, pair, answer, length, chance):
        """A window of at most `length` tokens that holds an answer, if it fits, at a place left to chance; and the
        first and last of the answer's tokens in it. No answer is [CLS], as SQuAD 2 has it."""
        room = length - len(pair.question) - 3
        last = max(0, len(pair.context) - room)
        inside = answer and _tokens(pair.places, answer)
        if not inside:
            return self.window(pair, chance.randint(0, last), room), (0, 0)
        first, end = inside
        earliest, latest = max(0, end + 1 - room), min(first, last)
        start = chance.randint(min(earliest, latest), latest)
        window = self.window(pair, start, room)
        shift = window.first - start
        return window, (first + shift, min(end + shift, len(window) - 2))


def _tokens(places, answer):
    """The first and last token that an answer, (first, end) in characters, touches; None if none does."""
    touched = [number for number, (start, end) in enumerate(places) if start < answer[1] and end > answer[0]]
    return (touched[0], touched[-1]) if touched else None


class Batch:
    """Windows as tensors, padded to the longest of them."""

    def __init__(self, windows, pad):
        longest = max(map(len, windows))
        self.ids = torch.tensor([[*window.ids, *[pad] * (longest - len(window))] for window in windows])
        place = torch.arange(longest)
        lengths = torch.tensor([len(window) for window in windows])[:, None]
        firsts = torch.tensor([window.first for window in windows])[:, None]
        self.mask = (place < lengths).long()
        self.types = ((place >= firsts) & (place < lengths)).long()
        # Where an answer may start and end: in the context, or at [CLS], which says that there is none.
        self.allowed = ((place >= firsts) & (place < lengths - 1)) | (place == 0)

    def logits(self, model):
        """The model's (windows, tokens, 2): of an answer's first and last token; -inf where none may be."""
        said = model(input_ids=self.ids, attention_mask=self.mask, token_type_ids=self.types)
        both = torch.stack([said.start_logits, said.end_logits], dim=-1)
        return both.masked_fill(~self.allowed[..., None], -torch.inf)


def alike(windows, size, chance):
    """Batches of places in `windows`: those of a batch are about as long, and batches come in an order left to chance.

    A batch is as dear as its longest window, so what is padded is lost."""
    order = sorted(range(len(windows)), key=lambda place: len(windows[place]) + chance.random() * 8)
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    chance.shuffle(batches)
    return batches
