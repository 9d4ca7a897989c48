"""Fine-tunes a pretrained BERT until it answers questions about a text with the words of that text.

By hand, without any AWS, where PyTorch is installed:

    python facts.py /tmp/facts
    pip install -r requirements.txt
    PYTHONPATH=.. RATCHET_TENSORS=/tmp/tensors python train.py --train /tmp/facts/train --model-dir /tmp/model

It learns from short windows around the answers, each epoch from others, and answers by longer ones: a step costs what
its tokens do, and what tells an answer mostly stands near it.
"""

import argparse
import os
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import answering
import pretrained
import questions
import squad
import torch
from answering import Settings
from attention import Watched
from windows import Batch, Encoder, Pair, alike

from toolkit.hyperparameters import number, whole
from toolkit.probe import Probe
from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
PRETRAINED = pretrained.MINILM  # or tiny: random weights, which learn facts.py's sentences in seconds
EPOCHS = 4
SHORT = 224  # tokens of a window that it learns from
LENGTH = 384  # of one that it answers by; a longer context goes into several
STRIDE = 192  # between two of them: each answer of up to 192 tokens is whole in one
BATCH = 16
LEARNING_RATE = 2e-4
WARM_UP = 0.1  # of the steps; then it falls to nothing
WITHOUT_ANSWER = 0.1  # so many questions, as a share, are also asked of another article's context, which can't answer
VALIDATION = 0.08  # of the training questions judge the training and choose the threshold; whole articles
PART = 40  # validation questions judge an epoch, all of them the last
RIGHT = 0.5  # an answer with such a token F1 counts as right where the threshold is chosen
ANSWERED = 0.98  # of the validation questions that it answers rightly stay above the threshold
THRESHOLD = None  # or a score from 0 to 1: then that
WATCH = 20  # steps between two looks at the attention of one sentence, which views draw
SEED = 0
THREADS = 1  # of the processor
# ---------------------------------------------------------------------------------------------------------------------


def main():
    args = parse_arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    learned, judged = questions.split(questions.load(args.train), args.validation, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer = pretrained.begin(args.pretrained, words(learned), folder)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{args.pretrained}: {count} parameters, {len(learned)} questions to learn from", flush=True)

    settings = learn(args, model, tokenizer, learned, judged)
    pretrained.save(model, tokenizer, args.model_dir)
    settings.save(args.model_dir)
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pretrained", default=PRETRAINED, choices=pretrained.CHOICES)
    parser.add_argument("--epochs", type=whole(), default=EPOCHS)
    parser.add_argument("--short", type=whole(least=96, most=512), default=SHORT)
    parser.add_argument("--length", type=whole(least=96, most=512), default=LENGTH)
    parser.add_argument("--stride", type=whole(least=16), default=STRIDE)
    parser.add_argument("--batch", type=whole(), default=BATCH)
    parser.add_argument("--learning-rate", type=number(above=0), default=LEARNING_RATE)
    parser.add_argument("--warm-up", type=number(least=0, below=1), default=WARM_UP)
    parser.add_argument("--without-answer", type=number(least=0, most=1), default=WITHOUT_ANSWER)
    parser.add_argument("--validation", type=number(above=0, below=1), default=VALIDATION)
    parser.add_argument("--answered", type=number(above=0, most=1), default=ANSWERED)
    parser.add_argument("--threshold", type=number(least=0, most=1), default=THRESHOLD)
    parser.add_argument("--watch", type=whole(), default=WATCH)
    parser.add_argument("--seed", type=whole(least=0), default=SEED)
    parser.add_argument("--threads", type=whole(), default=THREADS)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    # What a question of 64 tokens leaves of a window; what lies between two windows nobody would read.
    if args.stride > args.length - 67:
        parser.error(f"--stride {args.stride} leaves gaps between windows of {args.length}: {args.length - 67} at most")
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


def words(learned):
    """The texts that tiny's vocabulary is of."""
    return [text for question in learned for text in (question.question, question.context)]


def learn(args, model, tokenizer, learned, judged):
    """Trains while the probe saves losses, and the attention of one sentence; returns how the model answers."""
    encoder, chance = Encoder(tokenizer), random.Random(args.seed)  # noqa: S311
    asked = [(encoder.pair(one.question, one.context), one) for one in learned]
    settings, loss = Settings(args.length, args.stride), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(trained(model), lr=args.learning_rate, weight_decay=0.01, fused=True)
    steps = args.epochs * -(-round(len(asked) * (1 + args.without_answer)) // args.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: pace(step / steps, args.warm_up))
    probe = Probe.from_environment()
    probe.watch(model, loss=loss, optimizer=optimizer)
    watched = Watched(model, tokenizer, probe)
    for epoch in range(1, args.epochs + 1):
        began, losses = time.monotonic(), []
        for batch, places in batches(args, encoder, asked, chance):
            if schedule.last_epoch % args.watch == 0:
                watched.look()
            model.train()
            value = loss(batch.logits(model), places)
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(value.item())
        part = judged if epoch == args.epochs else chance.sample(judged, min(PART, len(judged)))
        found = answered(probe, model, tokenizer, pairs(part), settings)
        seconds = time.monotonic() - began
        print(f"epoch={epoch} train:loss={sum(losses) / len(losses):.4f} seconds={seconds:.0f}", flush=True)
        report(probe, part, found)
        watched.look()
    settings = replace(settings, threshold=chosen_threshold(args, judged, found))
    say_refused(judged, answered(probe, model, tokenizer, elsewhere(judged), settings), settings.threshold)
    probe.close()
    return settings


def trained(model):
    """All parameters but the embeddings: a few hundred questions meet few of the words, and would pull these away from
    all others."""
    model.bert.embeddings.requires_grad_(model.bert.config.num_hidden_layers < 3)  # tiny's are random
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def pace(done, warm_up):
    """The learning rate's share when so much of the training is done: up from nothing, then down to it."""
    return done / warm_up if done < warm_up else max(0.0, (1 - done) / (1 - warm_up))


def batches(args, encoder, asked, chance):
    """An epoch's batches, and the places (windows, 2) of their answers' first and last tokens: a window a question, and
    of some of them another one, of a context that has no answer."""
    made = []
    for pair, question in asked:
        answer = chance.choice(question.answers) if question.answers else None
        made.append(encoder.around(pair, answer, args.short, chance))
    for pair, question in chance.sample(asked, round(len(asked) * args.without_answer)):
        other, about = chance.choice(asked)
        if about.article != question.article:
            mixed = Pair(pair.question, other.context, other.places)
            made.append(encoder.around(mixed, None, args.short, chance))
    windows, places = [window for window, _ in made], torch.tensor([place for _, place in made])
    for batch in alike(windows, args.batch, chance):
        yield Batch([windows[place] for place in batch], encoder.pad), places[batch]


def answered(probe, model, tokenizer, asked, settings):
    """The model's spans, of (question, context) each."""
    # In the training's mode, since pipeline.yaml has the attention of whatever is read in evaluation saved.
    with probe.mode("train"):
        return answering.spans(model, tokenizer, asked, settings)


def pairs(questions):
    """Questions, each with its context."""
    return [(one.question, one.context) for one in questions]


def report(probe, judged, found):
    """Saves and prints what the answers come to, in pipeline.yaml's words."""
    answers = [span.answer(one.context, 0.0) for span, one in zip(found, judged, strict=True)]
    truths = [list(one.texts) for one in judged]
    f1, exact = squad.f1(truths, answers), squad.exact_match(truths, answers)
    with probe.mode("eval"):
        probe.scalar("validation/f1", f1)
        probe.scalar("validation/exact_match", exact)
    print(f"validation:f1={f1:.4f}\nvalidation:exact_match={exact:.4f}", flush=True)


def chosen_threshold(args, judged, found):
    """The score below which there is no answer: so that of the validation questions that are answered rightly the share
    `answered` stays answered."""
    if args.threshold is not None:
        return args.threshold
    right = sorted(
        span.score
        for span, one in zip(found, judged, strict=True)
        if one.answers and squad.token_f1(one.context[span.start : span.end], one.texts) >= RIGHT
    )
    return right[min(int((1 - args.answered) * len(right)), len(right) - 1)] if right else 0.0


def elsewhere(judged):
    """The questions, each with the context of the next one that is of another article; the empty one where none is."""
    return [
        (one.question, next((other.context for other in judged[place:] + judged if other.article != one.article), ""))
        for place, one in enumerate(judged)
    ]


def say_refused(judged, found, threshold):
    """Prints the threshold, and the share of questions that it refuses about texts which can't answer them."""
    refused = sum(span.score < threshold for span in found) / len(judged)
    print(f"threshold={threshold:.4f} refused={refused:.4f}", flush=True)


if __name__ == "__main__":
    main()
