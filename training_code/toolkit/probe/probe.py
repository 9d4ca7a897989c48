"""The probe, as a training script holds it."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from contract import environment
from toolkit.probe import companion, debugger_hook, frameworks, layout
from toolkit.probe.catalogue import Catalogue
from toolkit.probe.problems import Problems, harmless, log
from toolkit.probe.recorder import Recorder
from toolkit.probe.settings import Settings
from toolkit.probe.steps import Steps
from toolkit.probe.worker import CLOSE_SECONDS, Worker


class Probe:
    """Saves a training's tensors. One a process; thread-safe.

    After it is made it never raises: what goes wrong inside is logged once, counted, and told at the end.

    Args:
        settings: what to save; by default losses at every step, weights, biases and their gradients every 500.
        directory: where; made if need be.
        rank: of this process among the job's.

    Raises:
        ProbeError: by `Settings.parse` and `from_environment`, for a configuration that can't be used.
    """

    def __init__(self, settings: Settings | None = None, directory: Path | str | None = None, rank: int = 0) -> None:
        self.settings = settings or Settings.parse(None)
        self.directory = Path(directory) if directory else layout.directory()
        self.problems = Problems()
        self._worker = self._opened(rank)
        self._steps = Steps(self.problems, self._worker.put if self._worker else None)
        self._recorder = Recorder(Catalogue(self.settings), self._steps)
        if self._worker is not None:
            self._worker.begin(self._recorder.catalogue.document())
            atexit.register(self._at_exit)

    @classmethod
    def from_environment(cls) -> Probe:
        """The probe as the job configures it: RATCHET_PROBE, RATCHET_TENSORS, RATCHET_RULES, RATCHET_VIEWS, and
        the launcher's rank.

        Without RATCHET_PROBE, SageMaker Debugger's hook configuration counts, if the job has one (debugger_hook.py).

        Raises:
            ProbeError: RATCHET_PROBE or the hook's configuration can't be used; the message says what is wrong.
        """
        rank = companion.rank(os.environ)
        told = environment.of_this_job(environment.PROBE, os.environ)
        hook = debugger_hook.configuration() if told is None else None
        if hook is None:
            return cls(Settings.parse(told), rank=rank)
        return cls(debugger_hook.settings(hook), debugger_hook.directory(hook), rank)

    def _opened(self, rank: int) -> Worker | None:
        try:
            return Worker(self.directory, rank, self.settings, self.problems)
        except OSError as error:
            self.problems.warn("opening", f"is off, since {self.directory} can't be written: {error}")
            return None

    # Two lines

    @harmless("watching the model")
    def watch(self, model: Any, loss: Any = None, optimizer: Any = None) -> Any:
        """Watches a model: PyTorch module, Keras 3 model, XGBoost (returns the callback), or a fitted scikit-learn one.

        Args:
            loss: PyTorch: the loss module, whose values, labels and predictions are saved.
            optimizer: PyTorch: whose steps count; by default the first that steps on the model's parameters.

        Returns:
            Of Keras and XGBoost, the callback to train with; otherwise None.
        """
        watcher = frameworks.watch(self._recorder, model, loss, optimizer)
        self._recorder.attach(watcher)
        self._tell_collections()
        for sentence in self._recorder.catalogue.unmatched():
            log.warning("probe: %s", sentence)
        return watcher.callback

    def _tell_collections(self) -> None:
        if self._worker is not None and self._steps.open:
            self._worker.tell(self._recorder.catalogue.document())

    # By hand

    @harmless("saving a scalar")
    def scalar(self, name: str, value: Any) -> None:
        """Saves a number at this step, under its own name."""
        self._recorder.offer_number(name, layout.SCALAR, value)

    @harmless("saving a loss")
    def loss(self, name: str, value: Any) -> None:
        """Saves a loss that no module computes, as `loss/<name>`."""
        self._recorder.offer_number(f"loss/{name}", layout.LOSS, value)

    @harmless("saving a tensor")
    def tensor(self, name: str, array: Any) -> None:
        """Saves a tensor at this step, under its own name: an array, or a framework's tensor."""
        self._offer(name, layout.TENSOR, array)

    @harmless("saving images")
    def image(self, name: str, images: Any) -> None:
        """Saves images, which TensorBoard shows: [n, height, width(, 1 or 3)] or [n, 1 or 3, height, width]."""
        self._offer(name, layout.IMAGE, images)

    @harmless("saving labels")
    def labels(self, labels: Any, name: str = "labels") -> None:
        """Saves the right answers, as `label/<name>`."""
        self._offer(f"label/{name}", layout.LABEL, labels)

    @harmless("saving predictions")
    def predictions(self, predictions: Any, name: str = "predictions") -> None:
        """Saves the model's answers (classes, or a score a class), as `prediction/<name>`."""
        self._offer(f"prediction/{name}", layout.PREDICTION, predictions)

    def _offer(self, name: str, kind: str, tensor: Any) -> None:
        self._recorder.offer_by_hand(name, kind, tensor, frameworks.arrays_of(tensor))

    # Steps

    def mode(self, mode: str) -> AbstractContextManager[None]:
        """The `with` block belongs to "train" or "eval". Steps of evaluation are counted by themselves."""
        return self._steps.within(mode)

    def paused(self) -> AbstractContextManager[None]:
        """Of the `with` block nothing is saved or counted: the model is asked about something beside the training."""
        return self._steps.paused()

    def step(self) -> None:
        """Ends a step. Watched optimizers and callbacks do it; a loop of one's own without them must."""
        self._recorder.step()

    def state_dict(self) -> dict[str, int]:
        """The steps so far by mode, for a checkpoint."""
        return self._steps.counts()

    @harmless("going on from a checkpoint")
    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Goes on counting from a checkpoint's steps."""
        self._steps.go_on_from(state)

    # The end

    @harmless("waiting until all is written")
    def flush(self, timeout: float = CLOSE_SECONDS) -> None:
        """Waits until the steps that have ended are in the folder, for at most `timeout` seconds."""
        if self._worker is not None and self._steps.open:
            self._worker.wait(timeout)

    @harmless("closing")
    def close(self, status: str = "finished", error: str | None = None) -> None:
        """Writes what waits and the end marker, waits for last verdicts and pictures, and copies the rest to S3."""
        if not self._steps.open:
            return
        self._steps.close()
        worker, self._worker = self._worker, None
        atexit.unregister(self._at_exit)
        self._recorder.detach()
        if worker is not None:
            worker.close(status, error, self._steps.counts(), self._recorder.catalogue.document())

    def _at_exit(self) -> None:
        error = getattr(sys, "last_value", None)  # what ended the script, if something did
        self.close("finished" if error is None else "failed", None if error is None else repr(error))
