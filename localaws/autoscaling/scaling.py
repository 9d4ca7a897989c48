"""Scaling itself: a thread that looks at every target's schedules and alarms, and changes the variants' instances.

An endpoint that is being updated isn't scaled ("automatic scaling is blocked while the update operation is in
progress"); what is due then is done when it is in service again. Without a scalable target the thread sleeps.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

from localaws.autoscaling import activities, tracking
from localaws.autoscaling.records import ACTION, ACTIVITY, POLICY, TARGET, Records, variant_of
from localaws.autoscaling.requests import TRACKING
from localaws.autoscaling.schedules import Schedule
from localaws.autoscaling.surroundings import Capacity, Surroundings
from localaws.autoscaling.tracking import COOLDOWN_SECONDS, Cooling, Limits, Wish
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Document

LOOK_EVERY_SECONDS, SHORTEST_PAUSE_SECONDS = 10.0, 0.25
# What SageMaker refused is tried again so much later.
AGAIN_SECONDS = 60.0
_CLOSING_SECONDS = 2.0  # a look may wait for SageMaker, which comes back after a start

_log = logging.getLogger(__name__)


class Scaler:
    """`lock` is held while documents are changed; requests hold it, too."""

    def __init__(self, around: Surroundings, records: Records, lock: threading.RLock) -> None:
        self._around = around
        self._records = records
        self._lock = lock
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="autoscaling", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look again now: something has changed."""
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        pause = max(LOOK_EVERY_SECONDS / self._around.clock_scale, SHORTEST_PAUSE_SECONDS)
        while not self._closed:
            targets = self._records.all(TARGET)
            for target in targets:
                self._guarded(target["ResourceId"])
            self._wake.wait(pause if targets else None)
            self._wake.clear()

    def _guarded(self, resource: str) -> None:
        try:
            self.look(resource)
        except Exception:  # noqa: BLE001 - the other targets must be scaled, and this one at the next look
            _log.exception("scaling of %s", resource)

    def look(self, resource: str) -> None:
        """Bring one target up to date."""
        with self._lock:
            target = self._records.get(TARGET, resource)
            capacity = self._around.capacity(variant_of(target)) if target else None
            if target is None or capacity is None or self._closed:
                return
            target = self._with_schedules(target)
            if capacity.status == "InService":
                target = self._finished(target, capacity)
                target = self._scaled(target, capacity)
            self._records.put(TARGET, target)

    # --- what is due

    def _with_schedules(self, target: Document) -> Document:
        """The target with the limits of the scheduled actions that are due."""
        now = self._around.now()
        for action in self._records.all(ACTION, target["ResourceId"]):
            if action.get("Next") is None or action["Next"] > now:
                continue
            if not target["SuspendedState"]["ScheduledScalingSuspended"] and _is_in_force(action, now):
                target = target | action["ScalableTargetAction"]
                target = _consistent(target, action["ScalableTargetAction"]) | {"Due": True}
                self._records.add_activity(activities.of_limits(target, action, now))
            schedule = Schedule.of(action["Schedule"], action.get("Timezone", "UTC"))
            due = schedule.next_after(now, started=action["CreationTime"])
            self._records.put(ACTION, action | {"Next": due}, action["ScheduledActionName"])
        return target

    def _finished(self, target: Document, capacity: Capacity) -> Document:
        """The target without the activity that its endpoint has ended; a cooldown begins then."""
        activity = self._records.get(ACTIVITY, target["ResourceId"], target.get("Activity") or "")
        kept = {key: value for key, value in target.items() if key != "Activity"}
        if activity is None or activity["StatusCode"] != "InProgress":
            return kept
        now = self._around.now()
        if capacity.desired == activity["Count"]:
            self._records.put(ACTIVITY, activities.fulfilled(activity, now), activity["ActivityId"])
            side = "Out" if activity["Count"] > activity["From"] else "In"
            return kept | {side: {"At": now, "From": activity["From"]}}
        reason = capacity.reason or f"the desired instance count is {capacity.desired}"
        self._records.put(ACTIVITY, activities.failed(activity, reason, now), activity["ActivityId"])
        return kept | _to_be_tried_again(now)

    def _scaled(self, target: Document, capacity: Capacity) -> Document:
        """The target with a new activity, where there is something to be done."""
        limits = Limits(target["MinCapacity"], target["MaxCapacity"])
        policies = self._records.all(POLICY, target["ResourceId"])
        self._report_silence(target, policies)
        if self._around.now() < target.get("Tried", 0.0) + AGAIN_SECONDS / self._around.clock_scale:
            return target
        if target.get("Due"):
            wanted = limits.within(capacity.desired)
            target = {key: value for key, value in target.items() if key != "Due"}
            if wanted != capacity.desired:
                return self._set(target, capacity, wanted, activities.cause_of_limits(target, wanted))
        return self._by_policies(target, capacity, policies, limits)

    def _by_policies(
        self, target: Document, capacity: Capacity, policies: Sequence[Document], limits: Limits
    ) -> Document:
        names = [alarm["AlarmName"] for policy in policies for alarm in policy["Alarms"]]
        sounding = self._around.sounding(names) if names else {}
        wishes = [_wish(policy, sounding) for policy in policies]
        wanted = tracking.next_capacity(capacity.desired, wishes, limits, self._cooling(target, policies))
        suspended = target["SuspendedState"]
        out, in_ = wanted > capacity.desired, wanted < capacity.desired
        is_suspended = (out and suspended["DynamicScalingOutSuspended"]) or (
            in_ and suspended["DynamicScalingInSuspended"]
        )
        if wanted == capacity.desired or is_suspended:
            return target
        policy, alarm = _triggered(policies, sounding, "High" if out else "Low")
        return self._set(target, capacity, wanted, activities.cause_of_alarm(alarm, policy))

    # --- what is done

    def _set(self, target: Document, capacity: Capacity, count: int, cause: str) -> Document:
        now = self._around.now()
        activity = activities.of_capacity(target, count, cause, now) | {"Count": count, "From": capacity.desired}
        try:
            self._around.set_capacity(variant_of(target), count)
        except SageMakerError as refused:
            self._records.add_activity(activities.failed(activity, refused.message, now))
            return target | _to_be_tried_again(now)
        self._records.add_activity(activity)
        return target | {"Activity": activity["ActivityId"]}

    def _report_silence(self, target: Document, policies: Sequence[Document]) -> None:
        """What nobody asks has invocations, too: none. Where a policy tracks them, SageMaker says so each minute."""
        tracked = [policy for policy in policies if tracking.tracks_invocations(policy[TRACKING])]
        if tracked and not self._around.has_metric(tracked[0]["Alarms"][0]["AlarmName"]):
            self._around.put_metric("AWS/SageMaker", tracking.no_invocation(variant_of(target)))

    def _cooling(self, target: Document, policies: Sequence[Document]) -> Cooling:
        """The longest cooldown of the policies counts."""

        def goes_on(side: str) -> bool:
            seconds = [policy[TRACKING].get(f"Scale{side}Cooldown", COOLDOWN_SECONDS) for policy in policies]
            last = target.get(side)
            longest = max(seconds, default=0) / self._around.clock_scale
            return last is not None and self._around.now() < last["At"] + longest

        return Cooling(out_from=target["Out"]["From"] if goes_on("Out") else None, is_in=goes_on("In"))


def _to_be_tried_again(now: float) -> Document:
    """What a target says of a capacity that it didn't get; its limits hold still, so they are looked at then, too."""
    return {"Tried": now, "Due": True}


def _is_in_force(action: Document, now: float) -> bool:
    return bool(action.get("StartTime", now) <= now <= action.get("EndTime", now))


def _consistent(target: Document, set_: Document) -> Document:
    """The limits in order: one that a scheduled action sets beyond the other takes that along."""
    low, high = target["MinCapacity"], target["MaxCapacity"]
    if low <= high:
        return target
    return target | ({"MaxCapacity": low} if "MinCapacity" in set_ else {"MinCapacity": high})


def _wish(policy: Document, sounding: Mapping[str, float | None]) -> Wish:
    config = policy[TRACKING]

    high, low = (_of_side(policy, sounding, side) for side in ("High", "Low"))
    value = sounding.get(high or low or "")
    return Wish(
        target=config["TargetValue"],
        metric=config["TargetValue"] if value is None else value,
        is_high=high is not None,
        is_low=low is not None and high is None,
        scales_in=not config.get("DisableScaleIn", False),
    )


def _of_side(policy: Document, values: Mapping[str, float | None], side: str) -> str | None:
    names = (alarm["AlarmName"] for alarm in policy["Alarms"] if f"-Alarm{side}-" in alarm["AlarmName"])
    return next((name for name in names if name in values), None)


def _triggered(policies: Sequence[Document], sounding: Mapping[str, float | None], side: str) -> tuple[str, str]:
    """The first policy with a sounding alarm of the side, and that alarm."""

    return next((policy["PolicyName"], name) for policy in policies if (name := _of_side(policy, sounding, side)))
