"""The conditions of the machine's choices, by name; each is a text of JSONata."""

from __future__ import annotations

from collections.abc import Iterable

from contract import causes, refusals, triggers
from infra.workflow.expressions import quoted

# An update that SageMaker has just accepted may not show yet.
UPDATE_SHOWS_MILLISECONDS = 15_000

_CHANGES = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


def all_of(*conditions: str) -> str:
    return " and ".join(conditions)


def any_of(*conditions: str) -> str:
    return f"({' or '.join(conditions)})"


def is_not(condition: str) -> str:
    return f"$not({condition})"


def exists(text: str) -> str:
    return f"$exists({text})"


def equals(text: str, value: str) -> str:
    return f"{text} = {quoted(value)}"


def one_of(text: str, values: Iterable[str]) -> str:
    return f"{text} in [{', '.join(map(quoted, values))}]"


def is_completed(variable: str) -> str:
    """A job that `variable` describes has done its work."""
    return equals(f"{variable}.status", "Completed")


# ------------------------------------------------------------------------------------------------ how a call failed


def _says(phrases: Iterable[str], failure: str = "$failure") -> str:
    return any_of(*(f"$contains($lowercase({failure}.cause), {quoted(phrase.lower())})" for phrase in phrases))


def says_missing() -> str:
    return _says(refusals.MISSING)


def says_existing(failure: str = "$failure") -> str:
    """failure: the variable that keeps it; in a branch of its own no other than the branch's."""
    return _says([refusals.EXISTING], failure)


def says_throttled() -> str:
    return _says(refusals.THROTTLED)


def says_in_progress() -> str:
    """The endpoint changes, and takes no other change until it has."""
    return _says([refusals.IN_PROGRESS])


def says_not_updatable() -> str:
    """The endpoint's status allows no update, now or later."""
    return _says([refusals.NOT_UPDATABLE])


def says_quota_too_small(failure: str = "$failure") -> str:
    """The account's quota has no room for the request, whoever else waits."""
    return _says(refusals.QUOTA_TOO_SMALL, failure)


def says_no_capacity(failure: str = "$failure") -> str:
    """There are no instances of that type for now; the job that was made for them has done nothing."""
    return _says([refusals.NO_CAPACITY], failure)


def says_stopped_job(failure: str = "$failure") -> str:
    """Step Functions has taken a stopped training job for a failed one."""
    return rf'$contains({failure}.cause, /"TrainingJobStatus"\s*:\s*"Stopped"/)'


def ran_into_its_limit() -> str:
    """The training job's time limit, not somebody, has stopped it."""
    return one_of("$training.description.SecondaryStatus", causes.TIME_LIMITS)


def goes_back() -> str:
    """A person has started the run to bring an earlier model back."""
    return equals("$run.trigger.kind", triggers.ROLLBACK)


def is_redriven() -> str:
    """Somebody goes on with an execution that had ended (RedriveExecution): the run is over, and has no lock."""
    return "$states.context.Execution.RedriveCount > 0"


# ------------------------------------------------------------------------------------------------ the endpoint's state


def in_service() -> str:
    return equals("$endpoint.status", "InService")


def on_config(config: str) -> str:
    """The endpoint serves with the config that the JSONata text `config` names; if not, an update was rolled back."""
    return all_of(in_service(), f"$endpoint.config = {config}")


def takes_updates() -> str:
    """It serves: as it should, or with a mix of two configs after an update and its rollback have both failed."""
    return one_of("$endpoint.status", ("InService", "UpdateRollbackFailed"))


def is_changing() -> str:
    return one_of("$endpoint.status", _CHANGES)


def is_leaving() -> str:
    return equals("$endpoint.status", "Deleting")


def may_still_change() -> str:
    """It changes, or an accepted update doesn't show yet."""
    return any_of(is_changing(), in_service())


def in_time() -> str:
    """The time that the spec gives a deployment isn't over."""
    return "$millis() < $deploy_deadline"


def lacks_capacity() -> str:
    """SageMaker has found no instances for the endpoint's new config."""
    return f"$contains($endpoint.reason, {quoted(refusals.NO_CAPACITY_FOR_ENDPOINT)})"


def update_has_shown() -> str:
    """The endpoint has changed since the update, or has had the time to."""
    return any_of("$endpoint_changed", f"$millis() > $deploying_since + {UPDATE_SHOWS_MILLISECONDS}")
