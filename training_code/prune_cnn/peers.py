"""The processes that train one network together: one on each host, or on each GPU of one, or this one alone.

torchrun starts them and says how many there are. All hold the same network and draw the same batches; each computes its
share of a batch, and DistributedDataParallel averages their gradients. A BatchNorm is over the whole batch, wherever
its pictures are. So the processes together take the steps that one alone would take, in exact arithmetic: the learning
rate and the batch stay, the model is the same, and only the time is another.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


class AloneError(Exception):
    """Several hosts, each of which would train by itself."""


class UnevenBatchError(Exception):
    """A batch that can't be shared out evenly, so that the mean of the shares' gradients wouldn't be the batch's."""


@dataclass(frozen=True)
class Peers:
    """This process's number among them, from 0, how many there are, and where it computes."""

    number: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether it is the one that measures and saves; what the others would save is the same."""
        return self.number == 0

    def share(self, batch):
        """Its share of a batch, as a DistributedSampler deals them out. Raises UnevenBatchError."""
        if len(batch) % self.count:
            raise UnevenBatchError(f"a batch of {len(batch)} can't be shared by {self.count}; choose a multiple")
        return batch[self.number :: self.count]

    def together(self, model):
        """The network on this process's device, whose backward pass averages the gradients of all."""
        if self.count == 1:
            return model
        return DistributedDataParallel(over_whole_batches(model, self))

    def mean(self, tensor):
        """The mean over all processes of a tensor that each has."""
        if self.count == 1:
            return tensor
        whole = tensor.to(self.device)
        distributed.all_reduce(whole)
        return (whole / self.count).to(tensor.device)


@contextmanager
def joined() -> Iterator[Peers]:
    """The peers as torchrun says; NCCL connects GPUs, gloo processors. Without torchrun there are none.

    Raises AloneError where there should be.
    """
    gpu = torch.cuda.is_available()
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if gpu else "cpu"
    if "WORLD_SIZE" not in os.environ:
        _check_alone()
        yield Peers(device=device)
        return
    if gpu:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield Peers(distributed.get_rank(), distributed.get_world_size(), device)
    except Exception as error:
        _say_why(error)
        raise
    finally:
        distributed.destroy_process_group()


def _check_alone():
    hosts = len(json.loads(os.environ.get("SM_HOSTS", "[]")))
    if hosts > 1:
        raise AloneError(f"there are {hosts} hosts, but no torchrun joins them: write train.distribution: torchrun")


def _say_why(error):
    """Leaves the reason where SageMaker looks for it; torchrun would tell it only that a process has failed."""
    output = Path(os.environ.get("SM_OUTPUT_DIR", "/opt/ml/output"))
    if output.is_dir():
        (output / "failure").write_text(f"{type(error).__name__}: {error}")


def over_whole_batches(model, peers):
    """The network with BatchNorms over the batches of all peers; parameters, buffers and names stay."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, WholeBatchNorm(child, peers))
    return model


class WholeBatchNorm(nn.BatchNorm2d):
    """A BatchNorm whose mean and variance are over all peers' shares; PyTorch's SyncBatchNorm is for GPUs only."""

    def __init__(self, before, peers):
        super().__init__(before.num_features, before.eps, before.momentum, device="meta")
        for name, tensor in [*before.named_parameters(), *before.named_buffers()]:
            setattr(self, name, tensor)
        self._peers = peers

    def forward(self, pictures):
        if not self.training:
            return super().forward(pictures)
        count = pictures.numel() // pictures.shape[1]
        mean, variance = self._over_all(pictures.to(torch.promote_types(pictures.dtype, torch.float32)))
        with torch.no_grad():
            of_all = count * self._peers.count
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * of_all / (of_all - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (pictures * scale[:, None, None] + shift[:, None, None]).to(pictures.dtype)

    def _over_all(self, pictures):
        """Mean and variance of each channel over all shares, from each share's own: what is large doesn't cancel."""
        own = torch.stack(torch.var_mean(pictures, (0, 2, 3), correction=0))
        dealt = own.new_zeros(self._peers.count, *own.shape)
        dealt[self._peers.number] = own
        variances, means = _Sum.apply(dealt).unbind(1)
        mean = means.mean(0)
        return mean, (variances + (means - mean) ** 2).mean(0)


class _Sum(torch.autograd.Function):
    """The sum over all processes, through which gradients flow back to each."""

    @staticmethod
    def forward(_context, tensor):
        return _Sum._summed(tensor)

    @staticmethod
    def backward(_context, gradient):
        return _Sum._summed(gradient)

    @staticmethod
    def _summed(tensor):
        whole = tensor.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(whole)
        return whole
