"""`settings.json` in the state folder: how this AWS behaves where documentation or a market leaves it open.

{"stopped_job": "succeeds", "spot": {"interrupt_every": 30, "interruptions": 3},
 "quotas": {"ml.m5.large for training job usage": 0}, "without_capacity": ["ml.m5.large"], "authorization_log": true,
 "warm": false, "clock_scale": 60, "idle_functions": {"seconds": 120, "most": 40}}
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from localaws.sagemaker.core.quotas import check_quotas
from localaws.sagemaker.core.scarcity import check_types
from localaws.sagemaker.jobs.spot_market import QUIET_MARKET, SpotMarket

FILE_NAME = "settings.json"
MAX_CLOCK_SCALE = 3600
StoppedJob = Literal["fails", "succeeds"]
Part = TypeVar("Part")


@dataclass(frozen=True)
class IdleFunctions:
    """Which processes of Lambda functions stay for another invocation: until so many seconds after their last one, and
    at most so many, those that were used last."""

    seconds: float = 120.0
    most: int = 40

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int | float) or not self.seconds >= 0:
            raise ValueError(f"seconds: {self.seconds!r}; it must be a number from 0 on")
        if isinstance(self.most, bool) or not isinstance(self.most, int) or self.most < 0:
            raise ValueError(f"most: {self.most!r}; it must be a whole number from 0 on")


@dataclass(frozen=True)
class Settings:
    """`stopped_job`: how a `.sync` task ends whose SageMaker job ends as `Stopped`.

    AWS's documentation doesn't say whether such a task succeeds. "fails" (the default) ends it with
    `States.TaskFailed` and the Describe document as its cause, as for a job that failed; "succeeds" returns the
    Describe document, whose status says `Stopped`. A workflow should take both.

    `spot`: when managed spot training is interrupted, and what it costs; see `SpotMarket`.

    `quotas`: SageMaker's quotas of instances, by the names that Service Quotas gives them; see `core.quotas`. What
    isn't named has none.

    `without_capacity`: instance types that are not to be had, see `core.scarcity`.

    `authorization_log`: whether `authorization.jsonl` tells which permissions were asked for; see
    `ministack_adapter.authorization_log`.

    `warm`: whether containers may begin in interpreters that have imported their framework; see
    `sagemaker.containers.warm`.

    `clock_scale`: how many seconds of what is only waited for pass in one second: the bakes of an endpoint's deployment
    (WaitIntervalInSeconds, TerminationWaitInSeconds), the periods of CloudWatch alarms, the cooldowns of scaling, the
    time until an idle instance of a serverless endpoint ends or captured data is written, and the Seconds of Step
    Functions' Wait states. With 60, a bake of five minutes takes five seconds. Work isn't hastened: a model that takes
    ten seconds to load takes ten.

    `idle_functions`: which functions' processes stay for another invocation, see `IdleFunctions`. What ends is begun
    anew when it is invoked, with nothing in its /tmp.
    """

    stopped_job: StoppedJob = "fails"
    spot: SpotMarket = QUIET_MARKET
    quotas: Mapping[str, int] = field(default_factory=dict)
    authorization_log: bool = False
    warm: bool = True
    clock_scale: float = 1.0
    without_capacity: frozenset[str] = frozenset()
    idle_functions: IdleFunctions = IdleFunctions()

    @classmethod
    def read(cls, path: Path) -> Settings:
        """The settings in the file; the defaults where there is none.

        Raises ValueError that names the file, the setting and what would be right.
        """
        if not path.exists():
            return cls()
        try:
            document = json.loads(path.read_text())
        except ValueError as exc:
            raise ValueError(f"{path}: not JSON: {exc}") from exc
        try:
            return _settings(document)
        except ValueError as exc:
            raise ValueError(f"{path}: {exc}") from exc


def _settings(document: Any) -> Settings:
    _only_known(document, Settings)
    stopped_job = document.get("stopped_job", Settings.stopped_job)
    if stopped_job not in get_args(StoppedJob):
        raise ValueError(f"stopped_job: {stopped_job!r}; it must be {' or '.join(get_args(StoppedJob))}")
    quotas = document.get("quotas", {})
    check_quotas(quotas)
    log, warm = (_truth(document, name) for name in ("authorization_log", "warm"))
    scale = _clock_scale(document.get("clock_scale", Settings.clock_scale))
    scarce = check_types(document.get("without_capacity", []))
    market, idle = _part(document, "spot", SpotMarket), _part(document, "idle_functions", IdleFunctions)
    return Settings(stopped_job, market, quotas, log, warm, scale, scarce, idle)


def _part(document: Any, name: str, kind: type[Part]) -> Part:
    """A setting that has settings of its own."""
    value = document.get(name, {})
    try:
        _only_known(value, kind)
        return kind(**value)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from exc


def _truth(document: Any, name: str) -> bool:
    value = document.get(name, getattr(Settings, name))
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {value!r}; it must be true or false")
    return value


def _clock_scale(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= MAX_CLOCK_SCALE:
        raise ValueError(f"clock_scale: {value!r}; it must be a number from 1 to {MAX_CLOCK_SCALE}")
    return float(value)


def _only_known(document: Any, kind: type) -> None:
    known = [field.name for field in dataclasses.fields(kind)]
    unknown = set(document) - set(known) if isinstance(document, dict) else {repr(document)}
    if unknown:
        raise ValueError(f"unknown settings {', '.join(sorted(unknown))}; there is {', '.join(known)}")
