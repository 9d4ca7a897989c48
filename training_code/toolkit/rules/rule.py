"""A rule: a class that looks at the tensors of one step at a time and says when something is wrong.

A rule of your own is a class in the model's folder, `rule: my_rules.LossTooHigh` in pipeline.yaml:

    from toolkit.rules import Parameter, Rule, Verdict

    class LossTooHigh(Rule):
        parameters = (Parameter("limit", "number", 10.0, "the greatest loss that is fine"),)
        default = Selection(collections=("losses",))

        def evaluate(self, step, mode):
            for name in self.selected(step, mode):
                loss = self.number(name, step, mode)
                if loss > self.limit:
                    return Verdict(step, loss, f"{name} is {loss:g}")
            return None

It is called once a saved step, in the order in which the job saved them, and no more after its first verdict.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from toolkit.probe.errors import NotSavedError
from toolkit.probe.layers import names_of
from toolkit.probe.layout import TRAIN
from toolkit.rules import parameters as reading
from toolkit.rules.parameters import Parameter, RuleError

if TYPE_CHECKING:
    import numpy as np

PAGE = "https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html"

COLLECTION_NAMES = Parameter("collection_names", "strings", (), "the collections whose tensors are inspected")
TENSOR_REGEX = Parameter("tensor_regex", "regexes", (), "regular expressions of the tensors' names that are inspected")


@dataclass(frozen=True)
class Verdict:
    """A rule has found an issue: at which step, the value that it judged (None if it has none), and a sentence.

    mode: whose step it is, where that isn't the mode in which the rule was called.
    """

    step: int
    value: float | None
    reason: str
    mode: str | None = None


@dataclass(frozen=True)
class Saved:
    """One tensor as saved at one step. whole: its values are there, not only reductions of them. layer: the type
    of the layer whose input or output it is."""

    name: str
    kind: str
    collections: tuple[str, ...] = ()
    whole: bool = True
    layer: str | None = None


class Tensors(Protocol):
    """A job's tensors so far, as a rule reads them."""

    def at(self, step: int, mode: str) -> Sequence[Saved]: ...

    def value(self, name: str, step: int, mode: str) -> np.ndarray[Any, Any]: ...

    def reduction(self, name: str, step: int, reduction: str, mode: str) -> float: ...


@dataclass(frozen=True)
class Selection:
    """Tensors in one of the collections, or one of whose names an expression finds; all, where it has neither."""

    collections: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.collections or self.regexes)

    def takes(self, saved: Saved) -> bool:
        if not self:
            return True
        if any(name in saved.collections for name in self.collections):
            return True
        names = names_of(saved.name, saved.layer)
        return any(re.search(regex, name) for regex in self.regexes for name in names)

    def unmatched(self, seen: Sequence[Saved]) -> list[str]:
        """Its parts that take none of the tensors, in words."""
        parts = [Selection(collections=(name,)) for name in self.collections]
        parts += [Selection(regexes=(regex,)) for regex in self.regexes]
        return [str(part) for part in parts if not any(part.takes(saved) for saved in seen)]

    def __str__(self) -> str:
        parts = [f"the collection {name!r}" for name in self.collections]
        parts += [f"tensors named like {regex!r}" for regex in self.regexes]
        return " or ".join(parts) or "any tensor"


class Rule:
    """A rule; see the module. A built-in one's class docstring holds its formula, its `source` the page it comes from.

    parameters: what pipeline.yaml may set; each is an attribute of the instance.
    default: the tensors that it inspects unless the parameters say otherwise.
    modes: in which it is called; training steps alone unless it says so.
    one_of: parameters of which one must be given.
    saves: the probe's collections that a pipeline with this rule saves, besides what its spec says.
    not_taken: parameters that Debugger's rule has and this one doesn't need, with what to do instead.
    """

    parameters: ClassVar[tuple[Parameter, ...]] = ()
    default: ClassVar[Selection] = Selection()
    modes: ClassVar[tuple[str, ...]] = (TRAIN,)
    one_of: ClassVar[tuple[str, ...]] = ()
    not_taken: ClassVar[Mapping[str, str]] = {"base_trial": "it is always the job's own tensors; leave it out"}
    saves: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    source: ClassVar[str] = ""

    def __init__(self, trial: Tensors, given: Mapping[str, Any] | None = None, name: str = "") -> None:
        """Raises RuleError when a parameter is unknown, wrong or missing."""
        self.trial = trial
        self.rule_name = name or type(self).__name__
        for parameter, value in self._read(given or {}).items():
            setattr(self, parameter, value)
        self.judgements = 0
        self.last: tuple[int, float | None] | None = None
        self.skipped: dict[str, str] = {}
        self.skips = 0
        self.prepare()

    def prepare(self) -> None:
        """Called once, when the parameters are attributes; the place for a rule's own state and checks."""

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        """The step's verdict: an issue, or None. Called once a saved step."""
        raise NotImplementedError(f"{type(self).__name__} has no evaluate(self, step, mode)")

    def finish(self) -> Verdict | None:
        """The verdict that only the end of training allows, such as on an evaluation pass that nothing followed."""
        return None

    def idle(self, _step: int, _seconds: float) -> Verdict | None:
        """The verdict on a pause: nothing has been saved for so many seconds, since that step."""
        return None

    @property
    def selection(self) -> Selection:
        """The tensors that it inspects."""
        given = Selection(getattr(self, "collection_names", ()), getattr(self, "tensor_regex", ()))
        return given or self.default

    # What evaluate() is made of

    def selected(self, step: int, mode: str, selection: Selection | None = None) -> list[str]:
        """Names of the selected tensors that this step has."""
        taken = self.selection if selection is None else selection
        return [saved.name for saved in self.trial.at(step, mode) if taken.takes(saved)]

    def array(self, name: str, step: int, mode: str) -> np.ndarray[Any, Any] | None:
        """A tensor's values as numbers, or None, noted, where they can't be judged: only reductions, NaN, infinity."""
        import numpy as np

        try:
            found = np.asarray(self.trial.value(name, step, mode))
        except NotSavedError as error:
            return self.skip(name, str(error))
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            return self.skip(name, not_finite(step))
        return found.astype(float) if found.dtype.kind in "fbiu" and found.dtype != float else found

    def number(self, name: str, step: int, mode: str) -> float:
        """A scalar, or the mean of a tensor; NaN and infinity as they are. Raises NotSavedError."""
        import numpy as np

        return float(np.mean(np.asarray(self.trial.value(name, step, mode), dtype=float)))

    def scalar(self, name: str, step: int, mode: str) -> float | None:
        """A scalar, NaN and infinity as they are; None, noted, for a tensor of more than one number."""
        import numpy as np

        try:
            found = np.asarray(self.trial.value(name, step, mode))
        except NotSavedError as error:  # a tensor of which only reductions were saved
            return self.skip(name, str(error))
        if found.size != 1:
            advice = 'save one number instead: probe.loss("loss", losses.mean())'
            return self.skip(name, f"it is a tensor of shape {found.shape}, no scalar; {advice}")
        return float(found.reshape(()))

    def skip(self, name: str, why: str) -> None:
        """Notes that a tensor couldn't be judged; where no step could be, the rule ends in an error that says so."""
        self.skips += 1
        self.skipped.setdefault(name, why)

    def judged(self, step: int, value: float | None) -> None:
        """Notes that there was something to judge, and the value."""
        self.judgements += 1
        self.last = (step, value if value is None or math.isfinite(value) else None)

    def missing(self, seen: Sequence[Saved]) -> str | None:
        """A sentence when what it needs was never saved, or could never be judged. seen: all that was saved."""
        unmatched = self.selection.unmatched(seen) if self._asked() else []
        if self.judgements and not unmatched:
            return None
        if unmatched:
            return f"nothing was saved that matches {' and '.join(unmatched)}{_instead(seen)}"
        if self.skipped:
            name, why = next(iter(self.skipped.items()))
            return f"nothing could be judged: {name}: {why}"
        return self.nothing(seen)

    def nothing(self, seen: Sequence[Saved]) -> str:
        """The sentence when there was nothing to judge."""
        if any(self.selection.takes(saved) for saved in seen):
            modes = " and ".join(self.modes)
            return f"there were too few steps in mode {modes} to judge {self.selection}"
        return f"it needs {self.selection}, which was never saved{_instead(seen)}"

    def _asked(self) -> bool:
        """Whether the user chose the tensors; then each collection and each expression must match something."""
        return bool(self._given.get("collection_names") or self._given.get("tensor_regex"))

    def _read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        name = type(self).__name__
        for parameter, instead in self.not_taken.items():
            if parameter in given:
                raise RuleError(f"{name} takes no {parameter}: {instead}")
        if self.one_of and not any(given.get(parameter) for parameter in self.one_of):
            raise RuleError(f"{name} needs {' or '.join(self.one_of)}, to say what it inspects")
        self._given = dict(given)
        return reading.read(name, self.parameters, given)


def not_finite(step: int) -> str:
    """The reason why a tensor with NaN or infinity isn't judged."""
    return f"it holds NaN or infinity at step {step} (ExplodingTensor judges that)"


def _instead(seen: Sequence[Saved]) -> str:
    if not seen:
        return "; nothing was saved at all: does train.py make a Probe (toolkit.probe)?"
    names = list(dict.fromkeys(saved.name for saved in seen))
    few = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"; saved were {few} (pipeline.yaml says what is, in probe: collections)"
