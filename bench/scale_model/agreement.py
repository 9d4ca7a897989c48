"""The share of right answers, without scikit-learn: to import it takes longer than all else that this model does."""


def share(truths, answers):
    """From 0 to 1."""
    return sum(truth == answer for truth, answer in zip(truths, answers)) / len(truths)
