"""A linear classifier of weighted words, each weighted anew for every category by how much it speaks for it.

The weight is the logarithm of how often the phrase stands in the category's texts, over how often in all others: naive
Bayes's evidence, on which a logistic regression learns (Wang and Manning 2012, "Baselines and Bigrams: Simple, Good
Sentiment and Topic Classification"). Of short texts it is better than either alone.
"""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression


class RatioClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of scikit-learn's kind, over a matrix (texts, phrases). c: how little its weights are held back."""

    def __init__(self, c):
        self.c = c

    def fit(self, matrix, labels):
        self.classes_ = np.unique(labels)
        present = (matrix > 0).astype(float)
        self.ratios = [_ratios(present, labels == label) for label in self.classes_]
        self.models = [
            # liblinear's descent takes a fraction of a second where others take ten.
            LogisticRegression(C=self.c, solver="liblinear").fit(matrix.multiply(ratios).tocsr(), labels == label)
            for label, ratios in zip(self.classes_, self.ratios, strict=True)
        ]
        return self

    def predict_proba(self, matrix):
        """Each category against all others; made to sum up to one."""
        found = [
            model.predict_proba(matrix.multiply(ratios).tocsr())[:, 1]
            for model, ratios in zip(self.models, self.ratios, strict=True)
        ]
        return np.stack(found, 1) / np.sum(found, 0)[:, None]


def _ratios(present, inside):
    """Of each phrase; one is added to its counts, so that what stands nowhere speaks for nothing."""
    counts = [1 + np.asarray(present[those].sum(0)).ravel() for those in (inside, ~inside)]
    within, without = (count / count.sum() for count in counts)
    return np.log(within / without)
