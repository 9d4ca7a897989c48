"""Rules over what goes into the model: images that aren't normalized, sequences full of padding."""

from __future__ import annotations

from typing import Any

from toolkit.probe.layers import EMBEDDING_INPUT
from toolkit.rules.parameters import Parameter, RuleError
from toolkit.rules.rule import PAGE, Rule, Selection, Verdict

IMAGES = r"^(model/)?input$|^images?$"


class CheckInputImages(Rule):
    """Images aren't centred: after threshold_samples of them, |mean of a channel| > threshold_mean for some channel.
    Needs the input tensor, of shape (images, …) with `channel` the colour's axis."""

    parameters = (
        Parameter("threshold_mean", "number", 0.2, "how far a channel's mean may be from 0", minimum=0),
        Parameter("threshold_samples", "integer", 500, "images that are seen before it judges", minimum=1),
        Parameter("regex", "regex", IMAGES, "names the images' tensor"),
        Parameter("channel", "integer", 1, "which axis is the colour", minimum=0),
    )
    saves = {"input_image": {"include": [IMAGES]}}  # noqa: RUF012 - read only
    source = f"{PAGE}#checkinput-mages"
    threshold_mean: float
    threshold_samples: int
    regex: str
    channel: int

    def prepare(self) -> None:
        self._sums: Any = 0.0
        self._pixels = 0
        self._images = 0

    @property
    def selection(self) -> Selection:
        return Selection(regexes=(self.regex,))

    def _asked(self) -> bool:
        return "regex" in self._given

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        import numpy as np

        for name in self.selected(step, mode):
            images = self.array(name, step, mode)
            if images is None:
                continue
            if images.ndim <= max(1, self.channel):
                self.skip(name, f"it has {images.ndim} axes; there is no axis {self.channel} of colours")
                continue
            by_channel = np.moveaxis(images, self.channel, 0).reshape(images.shape[self.channel], -1)
            self._sums = self._sums + by_channel.sum(axis=1)
            self._pixels += by_channel.shape[1]
            self._images += images.shape[0]
            if found := self._judge(name, step):
                return found
        return None

    def _judge(self, name: str, step: int) -> Verdict | None:
        import numpy as np

        if self._images < self.threshold_samples:
            return None
        means = self._sums / self._pixels
        worst = int(np.abs(means).argmax())
        self.judged(step, float(means[worst]))
        if abs(means[worst]) <= self.threshold_mean:
            return None
        said = f"channel {worst} of {name} has mean {means[worst]:.3g} over {self._images} images"
        return Verdict(step, float(means[worst]), f"{said}, more than {self.threshold_mean:g} from 0: normalize them")

    def nothing(self, seen: Any) -> str:
        if self._images:
            return f"{self._images} images were seen; it judges from {self.threshold_samples} on (threshold_samples)"
        return super().nothing(seen)


class NLPSequenceRatio(Rule):
    """Sequences hold too much of one token: 100 · (token) / (all tokens of a step) > its threshold, for a token of
    token_values. Needs the embedding's input."""

    parameters = (
        Parameter("tensor_regex", "regexes", (EMBEDDING_INPUT,), "token ids"),
        Parameter("token_values", "numbers", (0.0,), "the tokens, as numbers"),
        Parameter("token_thresholds_percent", "numbers", (50.0,), "a percentage for each", minimum=0, maximum=100),
    )
    saves = {"input_sequence": {"include": [EMBEDDING_INPUT]}}  # noqa: RUF012 - read only
    source = f"{PAGE}#nlp-sequence-ratio"
    tensor_regex: tuple[str, ...]
    token_values: tuple[float, ...]
    token_thresholds_percent: tuple[float, ...]

    def prepare(self) -> None:
        if len(self.token_values) != len(self.token_thresholds_percent):
            counts = f"{len(self.token_values)} token_values and {len(self.token_thresholds_percent)}"
            raise RuleError(f"NLPSequenceRatio has {counts} token_thresholds_percent; give one for each token")

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        for name in self.selected(step, mode):
            tokens = self.array(name, step, mode)
            if tokens is None or not tokens.size:
                continue
            for token, threshold in zip(self.token_values, self.token_thresholds_percent):
                percent = 100.0 * float((tokens == token).mean())
                self.judged(step, percent)
                if percent > threshold:
                    return Verdict(
                        step, percent, f"{percent:.4g} % of {name} is token {token:g}, above {threshold:g} %"
                    )
        return None
