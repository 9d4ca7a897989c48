"""An update on its way: the new fleet beside the old one, step by step as its plan says, and back when that fails.

Where it is stands in the endpoint's record before it is done, so that a server that was killed goes on from there.
"Deployment guardrails" (developer guide); statuses and messages: ProductionVariantStatus (API reference) and "Events
that Amazon SageMaker AI sends to Amazon EventBridge".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting.deployment_guard import LOOK_EVERY_SECONDS, Guard, RollbackError, ServerClosedError
from localaws.sagemaker.hosting.deployment_plans import Plan, Step, of_config, rollback_of, without_guardrails
from localaws.sagemaker.hosting.endpoint_records import EndpointRecords
from localaws.sagemaker.hosting.fleet import Deployment
from localaws.sagemaker.hosting.instances import FleetError
from localaws.sagemaker.hosting.serving import Serving
from localaws.sagemaker.hosting.shift_messages import Told, activating, baking, launching, terminating
from localaws.sagemaker.hosting.snapshots import counts_of, of_size
from localaws.sagemaker.hosting.split_traffic import Fleet, SplitTraffic

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ground:
    """What shifts stand on. `fleet` makes a fleet of an endpoint's snapshot, `guard` the guard of a pending one."""

    records: EndpointRecords
    serving: Serving
    fleet: Callable[[str, Document], Deployment]
    guard: Callable[[Document, Plan], Guard]
    now: Callable[[], float]


def plan_of(deployed: Document, pending: Document) -> Plan:
    """How a pending snapshot takes over from the one that is deployed."""
    old, new = counts_of(deployed), counts_of(pending)
    if any(variant.get("InstanceType", "").startswith("ml.inf1.") for variant in pending["Variants"]):
        return without_guardrails(old, new)
    return of_config(pending.get("DeploymentConfig"), old, new)


class Shift:
    """One update of one endpoint, in one thread."""

    def __init__(self, name: str, ground: Ground, old: Fleet) -> None:
        document = ground.records.find(name)
        self._name, self._ground, self._old = name, ground, old
        self._deployed, self._pending = document["Deployed"], document["Pending"]
        self._plan = plan_of(self._deployed, self._pending)
        self._guard = ground.guard(self._pending, self._plan)
        self._first = self._pending.get("Progress", {}).get("Step", 0)
        self._new: Deployment | None = None
        self._split: SplitTraffic | None = None
        self._kept: Mapping[str, int] = kept_of(document)
        self._step = self._plan.steps[self._first]
        self._shares: Mapping[str, float] = dict.fromkeys(self._step.shares, 0.0)
        self._up: Mapping[str, int] = {}

    def run(self) -> None:
        """Bring the update to its end, whichever; less far when the server stops."""
        try:
            self._guard.check()
            for number, step in enumerate(self._plan.steps[self._first :], start=self._first):
                self._take(number, step)
        except ServerClosedError:
            return
        except (RollbackError, FleetError) as error:
            self._roll_back(str(error))
            return
        except Exception as error:  # noqa: BLE001 - traffic mustn't stay where a mistake of ours has left it
            _log.exception("endpoint %s", self._name)
            self._roll_back(f"Internal failure: {error}")
            return
        self._finish()

    def _take(self, number: int, step: Step) -> None:
        self._step = step
        self._launch(number, step)
        self._activate(step)
        if step.bake_seconds:
            self._tell(lambda name: baking(step, name), Active=step.active)
        self._guard.bake(step.bake_seconds)
        if not step.is_whole:
            self._end_old(step)

    # --- the new fleet

    def _launch(self, number: int, step: Step) -> None:
        more = {name: count - self._up.get(name, 0) for name, count in step.launched.items()}
        messages = {name: launching(count, is_first=self._new is None) for name, count in more.items() if count > 0}
        self._tell(messages.get, Step=number, Used=self._guard.used)
        if self._new is None:
            self._begin(step)
        else:
            self._watched(self._new, partial(_grow, self._new, self._up, step.launched))
        self._up = step.launched
        self._guard.check()

    def _begin(self, step: Step) -> None:
        new = self._ground.fleet(self._name, of_size(self._pending, step.launched))
        self._watched(new, partial(self._ground.serving.start, self._name, new))
        self._new, self._split = new, SplitTraffic(self._old, new, self._shares)
        self._ground.serving.swap(self._name, self._split)

    def _watched(self, fleet: Deployment, start: Callable[[], None]) -> None:
        """Start instances of a fleet, and watch meanwhile; RollbackError ends those that aren't up."""
        with ThreadPoolExecutor(1, thread_name_prefix="launch") as pool:
            starting = pool.submit(start)
            while not wait([starting], LOOK_EVERY_SECONDS).done:
                try:
                    self._guard.check()
                except RollbackError:
                    fleet.give_up_starting()
                    raise
        starting.result()

    def _activate(self, step: Step) -> None:
        self._tell(lambda name: activating(step, name))
        self._share(step.shares)

    def _share(self, shares: Mapping[str, float]) -> None:
        if self._split is not None:
            self._split.share(shares)
        self._shares = shares

    # --- the old fleet

    def _end_old(self, step: Step) -> None:
        """After a batch's bake, end as many old instances; a mix of fleets that serves stays until the end."""
        fewer = {name: self._kept[name] - count for name, count in step.kept.items() if count < self._kept[name]}
        if not fewer or not isinstance(self._old, Deployment):
            return
        self._tell_of_old(fewer, Kept=step.kept)
        for name in fewer:
            self._old.let_go(name, step.kept[name])
        self._kept = step.kept

    def _finish(self) -> None:
        if self._new is None:
            raise RuntimeError("a plan without a step")
        self._tell_of_old(self._kept)
        self._ground.serving.swap(self._name, self._new)
        self._ground.records.settle(self._name, "InService", self._pending, None)
        self._old.retire()

    # --- the way back

    def _roll_back(self, reason: str) -> None:
        if self._ground.serving.is_closed:
            return
        _log.info("endpoint %s: %s", self._name, reason)
        self._note({}, {}, RollingBack=reason)
        config, up = self._pending.get("DeploymentConfig"), self._up or dict.fromkeys(self._shares, 0)
        try:
            for step in rollback_of(config, counts_of(self._deployed), self._kept, up, self._shares):
                self._step_back(step)
        except FleetError as error:
            self._leave_mixed(f"{reason} The rollback failed, too: {error}")
            return
        self._ground.serving.swap(self._name, self._old)
        self._ground.records.settle_back(self._name, reason)
        if self._new is not None:
            self._new.retire()

    def _step_back(self, step: Step) -> None:
        if isinstance(self._old, Deployment):
            _grow(self._old, self._kept, step.kept)
        self._kept = step.kept
        self._share(step.shares)
        if self._new is not None and any(step.launched.values()):
            for name, count in step.launched.items():
                self._new.let_go(name, count)
            self._up = step.launched

    def _leave_mixed(self, reason: str) -> None:
        """Both fleets go on as they are: the old one can't be brought back."""
        mixed = {"Snapshot": of_size(self._pending, self._up), "Shares": self._shares, "Kept": self._kept}
        self._ground.records.settle_mixed(self._name, mixed, reason)

    # --- what is told

    def _tell(self, told: Callable[[str], Told | None], **progress: object) -> None:
        """Tell of each variant of the new fleet of which there is something to tell."""
        self._note(self._each(told), {}, **progress)

    def _tell_of_old(self, ending: Mapping[str, int], **progress: object) -> None:
        """Tell how many of the old fleet's instances end."""
        self._note({}, self._each(lambda name: terminating(ending[name]) if name in ending else None), **progress)

    def _note(self, new: Document, old: Document, **progress: object) -> None:
        up = self._old.instance_counts()
        self._ground.records.note(self._name, up, Statuses=new, OldStatuses=old, **progress)

    def _each(self, told: Callable[[str], Told | None]) -> Document:
        now = self._ground.now()
        found = {name: told(name) for name in self._step.launched}
        return {name: each.status(now) for name, each in found.items() if each is not None}


def _grow(fleet: Deployment, now: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    for name, count in wanted.items():
        if count > now[name]:
            fleet.set_instance_count(name, count)


def kept_of(document: Document) -> Mapping[str, int]:
    """How many instances of each variant of its old fleet an endpoint that is being updated still has."""
    kept: Mapping[str, int] = document.get("Pending", {}).get("Progress", {}).get("Kept") or counts_of(
        document["Deployed"]
    )
    return kept
