"""One seed of bench/bert_qa.py, run where PyTorch and the model's requirements are: a line of JSON.

untrained_f1         of the network that training begins with, whose head for questions is still random
f1, exact_match      of what training_code/bert_qa comes to and serve.py answers, "no answer" counted as wrong
f1_always            the same without the threshold
unanswered           the share of questions below it
refused              the share that it refuses of the same questions about another article
attention_change     of one sentence, from the first look to the last: how much of a token's attention has moved,
                     the mean of all heads and tokens (total variation: from 0 to 1)
attention_step_change   the least of the two changes between three looks: first, middle, last
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "training_code" / "bert_qa"
# In the place of this folder, which has a platform.py that must not stand for Python's own.
sys.path[:1] = [str(FOLDER), str(FOLDER.parent)]

import answering  # noqa: E402
import letters  # noqa: E402
import numpy as np  # noqa: E402
import pretrained  # noqa: E402
import questions  # noqa: E402
import serve  # noqa: E402
import squad  # noqa: E402
import torch  # noqa: E402
import views  # noqa: E402

from toolkit.probe import Trial  # noqa: E402


def main():
    args = parse_arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        channels = {name: Path(folder, name) for name in ("train", "test", "model", "tensors")}
        write(args, channels)
        asked = questions.load(channels["test"])
        began = time.monotonic()
        done = subprocess.run(command(args, channels), env=environment(channels), stdout=sys.stderr, check=False)
        if done.returncode:
            raise SystemExit(f"train.py, seed {args.seed}, ended with exit code {done.returncode}")
        seconds = time.monotonic() - began
        found = {**served(channels["model"], asked), **moved(Trial(channels["tensors"]))}
        found["untrained_f1"] = untrained(args, channels, asked)
    print(json.dumps({"seed": args.seed, "seconds": round(seconds), **found}))


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="questions in SQuAD's format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="six articles, and a network of random weights")
    return parser.parse_args()


def write(args, channels):
    """The channels train and test: every fifth article is held out."""
    articles = json.loads(args.data.read_text())["data"]
    for channel, held_out in {"train": False, "test": True}.items():
        some = [article for number, article in enumerate(articles) if (number % 5 == 2) == held_out]
        lines = [
            json.dumps(document) for article in some[: 3 if args.small else None] for document in asked_of(article)
        ]
        channels[channel].mkdir()
        (channels[channel] / "questions.jsonl").write_text("\n".join(lines))


def asked_of(article):
    """An article's questions, as questions.py reads them."""
    for paragraph in article["paragraphs"]:
        for one in paragraph["qas"]:
            answers = [{"text": answer["text"], "start": answer["answer_start"]} for answer in one["answers"]]
            about = {"context": paragraph["context"], "article": article["title"]}
            yield {"question": one["question"], "answers": answers, **about}


def command(args, channels):
    """train.py, its knobs as they stand there."""
    knobs = {"pretrained": "tiny", "epochs": 1, "watch": 2, "batch": 4, "learning-rate": 0.002} if args.small else {}
    small = [part for name, value in knobs.items() for part in (f"--{name}", str(value))]
    folders = ["--train", str(channels["train"]), "--model-dir", str(channels["model"])]
    return [sys.executable, str(FOLDER / "train.py"), "--seed", str(args.seed), *folders, *small]


def environment(channels):
    """RATCHET_PROBE is the caller's, from pipeline.yaml."""
    return {**os.environ, "PYTHONPATH": str(FOLDER.parent), "RATCHET_TENSORS": str(channels["tensors"])}


def served(model_dir, asked):
    """What serve.py's functions answer to the held-out questions."""
    model = serve.model_fn(model_dir)
    pairs = [(one.question, one.context) for one in asked]
    truths = [list(one.texts) for one in asked]
    spans = answering.spans(model.network, model.tokenizer, pairs, model.settings)
    answers, always = (
        [span.answer(context, threshold) for span, (_, context) in zip(spans, pairs, strict=True)]
        for threshold in (model.settings.threshold, 0.0)
    )
    mixed = [(question, elsewhere(asked, place)) for place, (question, _) in enumerate(pairs)]
    refused = answering.spans(model.network, model.tokenizer, mixed, model.settings)
    return {
        "f1": squad.f1(truths, answers),
        "exact_match": squad.exact_match(truths, answers),
        "f1_always": squad.f1(truths, always),
        "exact_match_always": squad.exact_match(truths, always),
        "unanswered": mean(answer["answer"] is None for answer in answers),
        "refused": mean(span.score < model.settings.threshold for span in refused),
        "threshold": model.settings.threshold,
        "questions": len(asked),
    }


def elsewhere(asked, place):
    """The context of the next question that is about another article."""
    others = (asked[(place + more) % len(asked)] for more in range(1, len(asked)))
    return next(one.context for one in others if one.article != asked[place].article)


def untrained(args, channels, asked):
    """The token F1 before training, of the same windows."""
    torch.manual_seed(args.seed)
    texts = [one.context for one in questions.load(channels["train"])]
    with tempfile.TemporaryDirectory() as folder:
        network, tokenizer = pretrained.begin(pretrained.TINY if args.small else pretrained.MINILM, texts, folder)
    pairs = [(one.question, one.context) for one in asked]
    spans = answering.spans(network, tokenizer, pairs, answering.Settings.load(channels["model"]))
    answers = [span.answer(context, 0.0) for span, (_, context) in zip(spans, pairs, strict=True)]
    return squad.f1([list(one.texts) for one in asked], answers)


def moved(trial):
    """How the attention of the watched sentence changes from its first look to the middle one and the last."""
    looks = trial.steps(letters.TOKENS, views.EVAL)
    layers = range(views.layer_count(trial))
    first, middle, last = (
        np.stack([views.weights(trial, look, layer) for layer in layers])
        for look in (looks[0], looks[len(looks) // 2], looks[-1])
    )
    changes = [variation(first, middle), variation(middle, last)]
    return {"attention_change": variation(first, last), "attention_step_change": min(changes)}


def variation(one, other):
    """The mean, over heads and tokens, of half the sum of the differences."""
    return float(np.abs(one - other).sum(axis=-1).mean() / 2)


def mean(found):
    """The share of what is true."""
    values = list(found)
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
