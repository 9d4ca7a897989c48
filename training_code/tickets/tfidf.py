"""Trains the candidate `tf-idf`: words, pairs of words and letters, weighted by how rare they are, and a linear model.

By hand, without any AWS, from the folder above:

    python tickets/example_tickets.py /tmp/tickets
    PYTHONPATH=. python tickets/tfidf.py --train /tmp/tickets/train --model-dir /tmp/model
"""

import argparse
import os
from pathlib import Path

import joblib
import routing
import tickets
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline, make_union

from toolkit.hyperparameters import number, whole
from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's hyperparameters override them.
WORDS = 2  # words of an n-gram, at most
LETTERS = 5  # letters of one, within a word, at most
MIN_TICKETS = 2  # in which an n-gram must stand to be one
C = 0  # how little the weights are held back; 0: whichever of CHOICES is best in cross-validation
CHOICES = (1, 3, 10, 30)
FOLDS = 5  # of the cross-validation by which confidences are known
SEED = 0
# ---------------------------------------------------------------------------------------------------------------------

MODEL = "model.joblib"


def main():
    args = parse_arguments()
    texts, labels = tickets.load(args.train)
    print(f"training on {len(texts)} tickets of {len(set(labels))} categories")
    c = args.c or tuned(args, texts, labels)

    def make():
        return classifier(args, c)

    judged = routing.out_of_fold(make, texts, labels, args.folds, args.seed)
    learned = routing.learned(judged, labels)
    routing.report(learned, judged, labels)
    joblib.dump({"classifier": make().fit(texts, labels), "routing": learned}, args.model_dir / MODEL)
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def classifier(args, c):
    """Texts -> category, not fitted yet. `sublinear_tf`: a word that stands there ten times doesn't count tenfold."""
    common = {"sublinear_tf": True, "min_df": args.min_tickets}
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, args.letters), **common)
    features = make_union(TfidfVectorizer(ngram_range=(1, args.words), **common), letters)
    return make_pipeline(features, LogisticRegression(C=c, max_iter=1000))


def tuned(args, texts, labels):
    """The best of CHOICES."""
    search = GridSearchCV(
        classifier(args, 1),
        {"logisticregression__C": CHOICES},
        cv=StratifiedKFold(3, shuffle=True, random_state=args.seed),
    )
    search.fit(texts, labels)
    (c,) = search.best_params_.values()
    print(f"c={c}, of {', '.join(map(str, CHOICES))}")
    return c


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--words", type=whole(most=4), default=WORDS)
    parser.add_argument("--letters", type=whole(least=2, most=8), default=LETTERS)
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
