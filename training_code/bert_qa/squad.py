"""Token F1 and exact match, as SQuAD's own evaluation defines them (Rajpurkar et al. 2016, section 4; 2018 for "no
answer"): lower case, without punctuation and the articles a, an, the; of several right answers the best counts.

`f1` is the gate's metric (`gate.metric: squad.f1`): it is called with the held-out `answers` and with what serve.py
answers.
"""

import re
import string
from collections import Counter
from functools import cache

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def f1(truths, answers):
    """The mean over the questions of the tokens' F1, from 0 to 1."""
    return _mean(token_f1, truths, answers)


def exact_match(truths, answers):
    """The share of the questions answered word for word, from 0 to 1."""
    return _mean(is_exact, truths, answers)


def _mean(score, truths, answers):
    scores = [score(text(answer), texts(truth)) for truth, answer in zip(truths, answers, strict=True)]
    return sum(scores) / len(scores)


def texts(truth):
    """Right answers as texts, of a list of texts or of {"text", "start"}; of none at all, that there is no answer."""
    several = truth if isinstance(truth, list) else [truth]
    return tuple(one["text"] if isinstance(one, dict) else str(one) for one in several) or ("",)


def text(answer):
    """serve.py's answer as a text; of no answer the empty one."""
    found = answer["answer"] if isinstance(answer, dict) else answer
    return "" if found is None else str(found)


@cache  # the gate's bootstrap asks for each answer two thousand times
def token_f1(answer, right):
    """How much of an answer and of the best of the right ones is in both."""
    return max(_f1(normalised(answer).split(), normalised(one).split()) for one in right)


@cache
def is_exact(answer, right):
    """1.0 if the answer is one of the right ones, 0.0 if not."""
    return float(any(normalised(answer) == normalised(one) for one in right))


def normalised(answer):
    """The words that count, with one space between them."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def _f1(found, right):
    if not found or not right:  # no answer is right or wrong as a whole
        return float(found == right)
    common = sum((Counter(found) & Counter(right)).values())
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(right)
    return 2 * precision * recall / (precision + recall)
