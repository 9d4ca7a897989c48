"""Trains the candidate `embedding`: fastText's way to classify texts, averaged embeddings of words and pairs of words.

By hand, without any AWS, from the folder above:

    python tickets/example_tickets.py /tmp/tickets
    PYTHONPATH=. python tickets/embedding.py --train /tmp/tickets/train --model-dir /tmp/model
"""

import argparse
import os
from pathlib import Path

import joblib
import routing
import tickets
from ngrams import NgramEmbeddings

from toolkit.hyperparameters import number, whole
from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's hyperparameters override them.
DIM = 64  # numbers of an n-gram's vector
BUCKETS = 1 << 18  # vectors; n-grams of one hash share one
EPOCHS = 10
RATE = 0.5  # at the beginning; it falls to nothing
BATCH = 8  # texts a step
FOLDS = 5  # of the cross-validation by which confidences are known
SEED = 0
# ---------------------------------------------------------------------------------------------------------------------

MODEL = "model.joblib"


def main():
    args = parse_arguments()
    texts, labels = tickets.load(args.train)
    print(f"training on {len(texts)} tickets of {len(set(labels))} categories")

    def make():
        knobs = ("dim", "buckets", "epochs", "rate", "batch", "seed")
        return NgramEmbeddings(**{knob: getattr(args, knob) for knob in knobs})

    judged = routing.out_of_fold(make, texts, labels, args.folds, args.seed)
    learned = routing.learned(judged, labels)
    routing.report(learned, judged, labels)
    joblib.dump({"classifier": make().fit(texts, labels), "routing": learned}, args.model_dir / MODEL)
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dim", type=whole(), default=DIM)
    parser.add_argument("--buckets", type=whole(), default=BUCKETS)
    parser.add_argument("--epochs", type=whole(), default=EPOCHS)
    parser.add_argument("--rate", type=number(above=0), default=RATE)
    parser.add_argument("--batch", type=whole(), default=BATCH)
    parser.add_argument("--folds", type=whole(least=2, most=tickets.FEWEST), default=FOLDS)
    parser.add_argument("--seed", type=whole(least=0, most=2**32 - 1), default=SEED)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    main()
