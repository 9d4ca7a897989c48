"""The hyperparameters, by the names and with the defaults of SageMaker's "Object Detection - TensorFlow".

Source: developer guide, "Object Detection - TensorFlow Hyperparameters". What each optimizer doesn't use is ignored, as
there; a name that means nothing here is refused, with the reason.
"""

import argparse
import os
from pathlib import Path

import torch

from toolkit.hyperparameters import number, whole

OPTIMIZERS = ("adam", "sgd", "nesterov", "rmsprop", "adagrad", "adadelta")
# Of SageMaker's detectors, TensorFlow's older one and MXNet's: what is said otherwise here, or can't be said.
REFUSED = {
    "num_classes": "the data say it (categories, or the category_ids that occur)",
    "num_training_samples": "they are counted",
    "base_network": "the backbone is a ResNet-18; width says how wide",
    "use_pretrained_model": "the channel `pretrained` is there, or it isn't",
    "mini_batch_size": "it is called batch_size",
    "image_shape": "it is called size",
    "weight_decay": "the original's optimizers have none",
    "lr_scheduler_step": "the learning rate follows half a cosine",
    "lr_scheduler_factor": "the learning rate follows half a cosine",
    "freeze_layer_pattern": "it is all of the backbone or nothing: train_only_top_layer",
    "nms_threshold": "of two boxes of a class that overlap by more than half the surer stays",
    "overlap_threshold": "a place answers for a thing by where its middle is, not by an overlap",
    "kv_store": "one host trains",
    "label_width": "annotations.json may be of any length",
}


def parse(arguments=None):
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name, reason in REFUSED.items():
        parser.add_argument(f"--{name}", type=_refusal(reason), help=argparse.SUPPRESS)
    _original(parser)
    parser.add_argument("--size", type=whole(), default=192, help="pixels; a multiple of 32")
    parser.add_argument("--width", type=whole(), default=16, help="of the backbone; a pretrained one brings its own")
    parser.add_argument("--strength", type=number(least=0, most=1), default=1.0, help="of what varies the pictures")
    parser.add_argument("--mirrored", type=switch, default=True, help="whether pictures may be seen in a mirror")
    parser.add_argument("--validation", type=number(above=0, below=1), default=0.1, help="of the pictures, for judging")
    parser.add_argument("--seed", type=whole(least=0), default=0)
    parser.add_argument("--threads", type=whole(), default=1, help="small batches gain little from more")
    channels = "/opt/ml/input/data"
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", f"{channels}/train"))
    parser.add_argument("--pretrained", type=Path, default=os.environ.get("SM_CHANNEL_PRETRAINED"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args(arguments)
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


def _original(parser):
    share = number(least=0, most=1)
    parser.add_argument("--batch_size", type=whole(), default=3)
    parser.add_argument("--epochs", type=whole(), default=5)
    parser.add_argument("--learning_rate", type=number(above=0, most=1), default=0.001)
    parser.add_argument("--optimizer", type=_one_of(OPTIMIZERS), default="adam")
    parser.add_argument("--momentum", type=share, default=0.9, help="of sgd and nesterov")
    parser.add_argument("--beta_1", type=number(least=0, below=1), default=0.9, help="of adam")
    parser.add_argument("--beta_2", type=number(least=0, below=1), default=0.999, help="of adam")
    parser.add_argument("--rho", type=share, default=0.95, help="of rmsprop and adadelta")
    parser.add_argument("--epsilon", type=share, default=1e-7, help="of all but sgd and nesterov")
    parser.add_argument("--initial_accumulator_value", type=share, default=0.1, help="of adagrad")
    # The guide has the longer name, the original's notebook the shorter one.
    top = ("--train_only_top_layer", "--train_only_on_top_layer")
    parser.add_argument(*top, type=switch, default=False, help="the backbone stays as it is")
    again = _one_of(("Auto", "True", "False"))
    parser.add_argument("--reinitialize_top_layer", type=again, default="Auto", help="of a detector in `pretrained`")
    parser.add_argument("--early_stopping", type=switch, default=False)
    parser.add_argument("--early_stopping_patience", type=whole(), default=5, help="epochs without improvement")
    parser.add_argument("--early_stopping_min_delta", type=share, default=0.0, help="what counts as one")


def switch(text):
    """`True` or `False`, as the original writes them, in any case."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"is {text}; it must be True or False")
    return text.lower() == "true"


def _one_of(words):
    def chosen(text):
        found = next((word for word in words if word.lower() == text.lower()), None)
        if found is None:
            raise argparse.ArgumentTypeError(f"is {text}; it must be one of {', '.join(words)}")
        return found

    return chosen


def _refusal(reason):
    def refuse(_):
        raise argparse.ArgumentTypeError(f"can't be said: {reason}")

    return refuse


def optimizer(args, parameters):
    """The optimizer that the hyperparameters describe."""
    rate = args.learning_rate
    if args.optimizer in ("sgd", "nesterov"):
        # Without momentum there is nothing that could look ahead.
        ahead = args.optimizer == "nesterov" and args.momentum > 0
        return torch.optim.SGD(parameters, rate, momentum=args.momentum, nesterov=ahead)
    if args.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, alpha=args.rho, eps=args.epsilon)
    if args.optimizer == "adagrad":
        start = args.initial_accumulator_value
        return torch.optim.Adagrad(parameters, rate, initial_accumulator_value=start, eps=args.epsilon)
    if args.optimizer == "adadelta":
        return torch.optim.Adadelta(parameters, rate, rho=args.rho, eps=args.epsilon)
    return torch.optim.Adam(parameters, rate, betas=(args.beta_1, args.beta_2), eps=args.epsilon)
