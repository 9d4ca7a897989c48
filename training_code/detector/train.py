"""Teaches a detector to find things in pictures, from a backbone that has learned something else.

By hand, without any AWS, where PyTorch is installed:

    python cells.py /tmp/cells
    pip install -r requirements.txt
    PYTHONPATH=.. RATCHET_TENSORS=/tmp/tensors python train.py --train /tmp/cells/train --model-dir /tmp/model

The knobs stand in knobs.py: they are SageMaker's own.
"""

import sys
from dataclasses import dataclass

import detection_metrics
import knobs
import learning
import network
import numpy as np
import pictures
import pretrained
import torch
import views

from toolkit.errors import ToolkitError
from toolkit.probe import Probe
from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
WARM = 0.1  # of the steps, in which the learning rate rises: Adam knows nothing of the gradients yet
CLIPPED = 10.0  # the gradients' norm: a box that is far off mustn't throw all others
SHOWN = 4  # pictures that judge, drawn with what is found in them after each epoch
TOLD = 5  # of what was left out, so many are named
# ---------------------------------------------------------------------------------------------------------------------


def main():
    args = knobs.parse()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    data, labels = read(args)
    model, arch = begin(args, labels)
    told = f"{network.parameters(model)} parameters to learn, {len(data.learned)} pictures to learn from"
    print(f"{told}, {len(data.judged)} to judge by, {len(labels)} classes: {', '.join(labels)}", flush=True)
    learn(model, arch, data, args)
    network.save(args.model_dir, arch, model)
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


@dataclass(frozen=True)
class Data:
    """Pictures as bytes, what is in each (boxes in pixels, classes), and which of them are learned and which judge."""

    images: np.ndarray
    truths: list
    learned: np.ndarray
    judged: np.ndarray


def read(args):
    """The channel's pictures, and the labels of its classes."""
    channel = pictures.load(args.train)
    images, kept, unread = pictures.pixels(channel.pictures, args.size)
    for what, sentences in {"boxes": channel.left_out, "pictures": unread}.items():
        for sentence in sentences[:TOLD]:
            print(f"left out: {sentence}", flush=True)
        if sentences:
            print(f"left out {len(sentences)} {what}", flush=True)
    if len(kept) < 2:
        raise SystemExit(
            f"{args.train} has {len(kept)} picture that can be read; one is to learn from, another to judge"
        )
    order = np.random.default_rng(args.seed).permutation(len(kept))
    judging = min(max(1, round(len(kept) * args.validation)), len(kept) - 1)
    truths = [(torch.from_numpy(one.boxes) * args.size, torch.from_numpy(one.classes)) for one in kept]
    return Data(images, truths, order[judging:], order[:judging]), channel.labels


def begin(args, labels):
    """The network, with the weights that the channel `pretrained` holds, if there is one; its architecture."""
    weights, name = pretrained.load(args.pretrained) if args.pretrained else ({}, "")
    arch = network.Architecture(labels, args.size, pretrained.width(weights) or args.width)
    model = network.build(arch)
    if args.pretrained:
        print(pretrained.begin(model, weights, name, anew=args.reinitialize_top_layer), flush=True)
    elif args.train_only_top_layer:
        raise SystemExit("train_only_top_layer is True, but there is no channel pretrained: nothing would have learned")
    if args.train_only_top_layer:
        model.backbone.requires_grad_(requires_grad=False)
    return model, arch


def learn(model, arch, data, args):
    """Trains in place while the probe saves losses and what is found; keeps the best epoch where it stops early."""
    training = Training(model, arch, data, args)
    probe = Probe.from_environment()
    probe.watch(model, optimizer=training.optimizer)
    best = Best(args)
    for epoch in range(1, args.epochs + 1):
        loss = training.epoch(probe)
        with probe.mode("eval"):
            judged = judge(model, arch, data, probe)
        told = " ".join(f"{name}={value:.4f}" for name, value in judged.items())
        print(f"epoch={epoch} loss={loss:.4f} {told}", flush=True)
        if best.stops(epoch, judged["validation:map50"], model):
            break
    probe.close()


class Training:
    """A network with its loss and its optimizer, trained in place by one learning rate's cycle."""

    def __init__(self, model, arch, data, args):
        self.model, self.data, self.args = model, data, args
        self.loss = learning.DetectionLoss(arch, model.places, model.steps)
        self.learned = [one for one in model.parameters() if one.requires_grad]
        self.optimizer = knobs.optimizer(args, self.learned)
        self.batches = max(1, len(data.learned) // args.batch_size)
        steps = args.epochs * self.batches
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, args.learning_rate, total_steps=steps + 1, pct_start=WARM, cycle_momentum=False
        )
        self.generator = torch.Generator().manual_seed(args.seed)

    def epoch(self, probe):
        """All pictures once, but for what doesn't fill a last batch; the mean of the batches' losses."""
        self.model.train()
        if self.args.train_only_top_layer:
            self.model.backbone.eval()  # what it has counted of other pictures stays, too
        order = self.data.learned[torch.randperm(len(self.data.learned), generator=self.generator).numpy()]
        size, values = self.args.batch_size, []
        for start in range(0, self.batches * size, size):
            values.append(self.step(order[start : start + size]))
            probe.loss("loss", values[-1])
        return sum(values) / len(values)

    def step(self, numbers):
        """Learns from the pictures of these numbers; their loss before."""
        given = pictures.tensor(self.data.images[numbers]), [self.data.truths[number] for number in numbers]
        seen, truths = learning.varied(*given, self.generator, self.args.strength, mirrored=self.args.mirrored)
        value = self.loss(self.model(seen), truths)
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.learned, CLIPPED)
        self.optimizer.step()
        self.schedule.step()
        return value.item()


def judge(model, arch, data, probe):
    """What pipeline.yaml's train.metrics read, of the pictures that judge; saves some of them with what is found."""
    answers = found(model, arch, data.images[data.judged])
    truths = [
        {"boxes": (right / arch.size).tolist(), "labels": [arch.classes[number] for number in classes.tolist()]}
        for right, classes in (data.truths[number] for number in data.judged)
    ]
    shown = data.judged[:SHOWN]
    views.save(probe, data.images[shown], truths[:SHOWN], answers[:SHOWN], arch.classes)
    scores = {"map50": detection_metrics.map50, "map": detection_metrics.map50_95}
    return {f"validation:{name}": score(truths, answers) for name, score in scores.items()}


def found(model, arch, images):
    """What the network finds in pictures, as serve.py answers it."""
    answers = []
    for start in range(0, len(images), 16):
        batch = pictures.tensor(images[start : start + 16])
        for places, scores, classes in network.found(model, batch):
            named = [arch.classes[number] for number in classes.tolist()]
            boxes = (places / arch.size).tolist()
            answers.append({"normalized_boxes": boxes, "scores": scores.tolist(), "labels": named})
    return answers


class Best:
    """The best epoch so far, and whether training stops: after so many epochs that were no better (early_stopping)."""

    def __init__(self, args):
        self.args, self.score, self.epoch, self.state = args, -1.0, 0, None

    def stops(self, epoch, score, model):
        """Whether it does after this epoch; then the network has the weights of the best one again."""
        if not self.args.early_stopping:
            return False
        if score > self.score + self.args.early_stopping_min_delta or self.state is None:
            self.score, self.epoch = score, epoch
            self.state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        is_over = epoch - self.epoch >= self.args.early_stopping_patience
        if is_over or epoch == self.args.epochs:
            model.load_state_dict(self.state)
            print(f"the best epoch was {self.epoch}" + (f"; stopped after {epoch}" if is_over else ""), flush=True)
        return is_over


if __name__ == "__main__":
    try:
        main()
    except ToolkitError as error:
        sys.exit(str(error))
