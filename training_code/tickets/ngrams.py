"""A classifier of averaged n-gram embeddings, in NumPy: fastText's ("Bag of Tricks for Efficient Text Classification",
Joulin et al. 2016).

Each word and each pair of neighbouring words has a vector, found by the hash of its letters; a text is the mean of its
vectors, and a linear layer with a softmax says the category. Both are learned by stochastic gradient descent, at a rate
that falls to nothing.
"""

import re
import zlib
from itertools import pairwise

import numpy as np

WORD = re.compile(r"\w+")
END = "</s>"  # every text has it, so that one without a word has a vector, too


class NgramEmbeddings:
    """fit(texts, labels), predict_proba(texts) and classes_, as scikit-learn's classifiers have them."""

    def __init__(self, *, dim, buckets, epochs, rate, batch, seed):  # noqa: PLR0913 - its knobs
        self.dim, self.buckets, self.epochs = dim, buckets, epochs
        self.rate, self.batch, self.seed = rate, batch, seed

    def fit(self, texts, labels):
        random = np.random.default_rng(self.seed)
        self.classes_, target = np.unique(labels, return_inverse=True)
        self.vectors = random.uniform(-1 / self.dim, 1 / self.dim, (self.buckets, self.dim)).astype(np.float32)
        self.weights = np.zeros((self.dim, len(self.classes_)), np.float32)
        grams = [self._hashed(text) for text in texts]
        steps = self.epochs * -(-len(grams) // self.batch)
        for step, chosen in enumerate(self._batches(len(grams), random)):
            self._step([grams[index] for index in chosen], target[chosen], self.rate * (1 - step / steps))
        return self

    def predict_proba(self, texts):
        grams = [self._hashed(text) for text in texts]
        parts = [grams[start : start + 256] for start in range(0, len(grams), 256)]
        return np.concatenate([_softmax(self._means(part) @ self.weights) for part in parts]).astype(float)

    def _batches(self, count, random):
        for _ in range(self.epochs):
            order = random.permutation(count)
            yield from (order[start : start + self.batch] for start in range(0, count, self.batch))

    def _step(self, grams, target, rate):
        """One step down the cross-entropy of a few texts."""
        means, lengths = self._means(grams), np.array([len(each) for each in grams])
        wrong = _softmax(means @ self.weights)
        wrong[np.arange(len(target)), target] -= 1
        to_means = wrong @ self.weights.T
        self.weights -= rate * means.T @ wrong
        # Every n-gram has its share of its text's gradient; those of one bucket are added up.
        buckets = np.concatenate(grams)
        shares = np.repeat(to_means / lengths[:, None], lengths, axis=0)
        order = np.argsort(buckets, kind="stable")
        touched, starts = np.unique(buckets[order], return_index=True)
        self.vectors[touched] -= rate * np.add.reduceat(shares[order], starts, axis=0)

    def _means(self, grams):
        starts = np.cumsum([0, *(len(each) for each in grams[:-1])])
        sums = np.add.reduceat(self.vectors[np.concatenate(grams)], starts, axis=0)
        return sums / np.array([len(each) for each in grams], np.float32)[:, None]

    def _hashed(self, text):
        """The buckets of a text's words and pairs of words. crc32 is the same in every process, as hash() is not."""
        words = [*WORD.findall(text.lower()), END]
        grams = [*words, *map(" ".join, pairwise(words))]
        return np.array([zlib.crc32(gram.encode()) % self.buckets for gram in grams])


def _softmax(scores):
    raised = np.exp(scores - scores.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)
