"""Trains the candidate `tf-idf`: phrases, weighted by how rare they are and for what they speak, and a linear model.

By hand, without any AWS, from the folder above:

    python tickets/example_tickets.py /tmp/tickets
    PYTHONPATH=. python tickets/tfidf.py --train /tmp/tickets/train --model-dir /tmp/model
"""

import argparse
import os
from pathlib import Path

import joblib
import numpy as np
import routing
import tickets
from phrases import phrases
from ratios import RatioClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from toolkit.hyperparameters import number, whole
from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's hyperparameters override them.
MIN_TICKETS = 2  # in which a phrase must stand to be one
C = 0  # how little the weights are held back; 0: whichever of CHOICES is best in cross-validation
CHOICES = (1, 3, 10)
FOLDS = 5  # of the cross-validation, by which confidences are known, too
SEED = 0
# ---------------------------------------------------------------------------------------------------------------------

MODEL = "model.joblib"


def main():
    args = parse_arguments()
    texts, labels = tickets.load(args.train)
    print(f"training on {len(texts)} tickets of {len(set(labels))} categories")

    def make(c):
        # sublinear_tf: a word that stands there ten times doesn't count tenfold.
        weighted = TfidfVectorizer(analyzer=phrases, sublinear_tf=True, min_df=args.min_tickets)
        return make_pipeline(weighted, RatioClassifier(c))

    choices = [args.c] if args.c else CHOICES
    judged = {c: routing.out_of_fold(lambda c=c: make(c), texts, labels, args.folds, args.seed) for c in choices}
    c = max(judged, key=lambda c: (np.unique(labels)[judged[c].argmax(1)] == labels).mean())
    print(f"c={c:g}")
    learned = routing.learned(judged[c], labels)
    routing.report(learned, judged[c], labels)
    joblib.dump({"classifier": make(c).fit(texts, labels), "routing": learned}, args.model_dir / MODEL)
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--min-tickets", type=whole(), default=MIN_TICKETS)
    parser.add_argument("--c", type=number(least=0), default=C)
    parser.add_argument("--folds", type=whole(least=2, most=tickets.FEWEST), default=FOLDS)
    parser.add_argument("--seed", type=whole(least=0, most=2**32 - 1), default=SEED)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    main()
