"""When a view is due: which training steps, as they come, ask for a picture. Pure."""

from __future__ import annotations

from contract.views import PICTURES


class Due:
    """The step of which a view's next picture is due. One that comes while another waits takes its place.

    every: training steps between pictures; None for a picture at the end of each evaluation pass.
    """

    def __init__(self, every: int | None) -> None:
        self._every = every
        self._last: int | None = None
        self._pass: int | None = None
        self._sparser = 0
        self.step: int | None = None
        self.skipped = 0

    def trained(self, step: int, pictures: int = 0) -> None:
        """A training step was saved; all that was saved before it is there. pictures: how many there are already."""
        if self._pass is not None and step >= self._pass:
            self.evaluated(pictures)
        if self._every is None:
            return
        period = self._every * (1 + pictures // PICTURES)
        newest = step - step % period
        if self._last is None and newest != step:
            self._last = newest  # a job that goes on from a checkpoint: that step's picture was another's
        if self._last is None or newest > self._last:
            self._last = newest
            self._ask(newest)

    def evaluating(self, train_step: int, pictures: int = 0) -> None:
        """A step of evaluation was saved, after so many training steps."""
        if self._every is not None:
            return
        if self._pass is not None and self._pass != train_step:
            self.evaluated(pictures)
        self._pass = train_step

    def evaluated(self, pictures: int = 0) -> None:
        """The evaluation pass is over, if one was going on."""
        if self._pass is None:
            return
        step, self._pass = self._pass, None
        self._sparser += 1
        if self._sparser % (1 + pictures // PICTURES) == 0:
            self._ask(step)

    def take(self) -> int:
        """The due step, which is taken care of. Raises ValueError where none is due."""
        step, self.step = self.step, None
        if step is None:
            raise ValueError("no step is due")
        return step

    def give_up(self) -> None:
        """The due step isn't drawn."""
        if self.step is not None:
            self.step = None
            self.skipped += 1

    def _ask(self, step: int) -> None:
        self.give_up()
        self.step = step
