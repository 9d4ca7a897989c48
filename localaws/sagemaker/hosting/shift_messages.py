"""What ProductionVariantStatus says of a deployment, in AWS's words ("SageMaker endpoint deployment state change",
developer guide). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting.deployment_plans import Step


@dataclass(frozen=True)
class Told:
    """A variant's status and its message."""

    name: str
    message: str

    def status(self, since: float) -> Document:
        """The ProductionVariantStatus."""
        return {"Status": self.name, "StatusMessage": self.message, "StartTime": since}


def launching(count: int, *, is_first: bool) -> Told:
    """Instances are being started: a fleet's first ones, or more of them."""
    return Told("Creating" if is_first else "Updating", f"Launching {count} instance(s).")


def activating(step: Step, variant: str) -> Told:
    """Traffic goes to a part of the new fleet, or to all of it."""
    return Told("ActivatingTraffic", f"Activating traffic on {_capacity(step, variant)}.")


def baking(step: Step, variant: str) -> Told:
    """The alarms are watched for a while."""
    bake = f"Baking for {step.bake_seconds} seconds ({step.bake_of})"
    return Told("Baking", f"{bake} with traffic enabled on {_capacity(step, variant)}.")


def terminating(count: int) -> Told:
    """Instances of the old fleet are being ended."""
    return Told("Deleting", f"Terminating {count} instance(s).")


def scaling(count: int, before: int) -> Told:
    """A variant that serves gets more instances, or fewer."""
    return Told("Updating", f"Scaling {'out' if count > before else 'in'} desired instance count to {count}.")


def _capacity(step: Step, variant: str) -> str:
    return f"{'full' if step.is_whole else 'canary'} capacity of {step.active[variant]} instance(s)"
