"""How SageMaker is told to bring a new champion up: in which steps, watched by which alarms, and for how long.

The alarms watch the new fleet alone (dimension EndpointConfigName), or errors of the old one would end the deployment.
They are made by the run that needs them, just before its update, and go when it is recorded. Source: developer guide,
"Deployment guardrails", "Auto-Rollback Configuration and Monitoring".
"""

from __future__ import annotations

from contract import names
from contract.states import RECORD
from infra.grants import Grant
from infra.workflow.conditions import all_of, equals
from infra.workflow.expressions import expression, jsonata, quoted
from infra.workflow.language import RETRY_CLOUDWATCH, States, choice, task, when
from infra.workflow.requests import Document
from infra.workflow.surroundings import Surroundings
from ratchet.spec.deploy_rollback import RollbackOn
from ratchet.spec.deploy_shift import Shift

# An endpoint's metrics have a value a minute.
PERIOD_SECONDS = 60
# SageMaker goes back by itself when its time is over; for so long the run waits for that.
GOING_BACK_SECONDS = 1800
_FIND = "FindAlarms"
_SIZE = {"canary": "CanarySize", "linear": "LinearStepSize"}


def longest_update(at: Surroundings) -> int:
    """Seconds after which an update of the endpoint has come to its end, whichever."""
    deploy = at.spec.deploy
    return deploy.longest + GOING_BACK_SECONDS if deploy.is_guarded else deploy.timeout


def deployment_config(at: Surroundings, config: str) -> Document:
    """UpdateEndpoint's DeploymentConfig, where the file says how; `config` is the new one's name as JSONata text."""
    alarms = [{"AlarmName": name} for name in _alarm_names(at, config)]
    rollback = {"AutoRollbackConfiguration": {"Alarms": alarms}} if alarms else {}
    return {"DeploymentConfig": {**_policy(at), **rollback}}


def _policy(at: Surroundings) -> Document:
    shift = at.spec.deploy.steps
    if shift and shift.kind == "rolling":
        return {"RollingUpdatePolicy": _rolling(at, shift)}
    return {"BlueGreenUpdatePolicy": _blue_green(at)}


def _rolling(at: Surroundings, shift: Shift) -> Document:
    return {
        "MaximumBatchSize": _capacity(shift),
        "WaitIntervalInSeconds": shift.wait,
        "MaximumExecutionTimeoutInSeconds": at.spec.deploy.longest,
    }


def _blue_green(at: Surroundings) -> Document:
    deploy = at.spec.deploy
    return {
        "TrafficRoutingConfiguration": _routing(deploy.steps),
        "TerminationWaitInSeconds": deploy.keep_old,
        "MaximumExecutionTimeoutInSeconds": deploy.longest,
    }


def _routing(shift: Shift | None) -> Document:
    if shift is None:
        return {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    return {
        "Type": shift.kind.upper(),
        "WaitIntervalInSeconds": shift.wait,
        _SIZE[shift.kind]: _capacity(shift),
    }


def _capacity(shift: Shift) -> Document:
    if shift.size.percent is not None:
        return {"Type": "CAPACITY_PERCENT", "Value": shift.size.percent}
    return {"Type": "INSTANCE_COUNT", "Value": shift.size.instances}


# -------------------------------------------------------------------------------------------------------------- alarms


def watch(at: Surroundings, config: str, variant: str, *, then: str, otherwise: str) -> tuple[str, States]:
    """Makes the run's own alarms and looks at all of them; the first state's name, `then` where nothing is watched.

    otherwise: where the run goes that can't make them, or is to have no deployment since one sounds.
    """
    alarms = at.spec.deploy.rollback_on
    if alarms is None:
        return then, {}
    requests = {_state(what): _alarm(at, config, variant, what, more) for what, more in _watched(alarms).items()}
    order = [*requests, _FIND]
    states: States = {}
    for name, following in zip(requests, order[1:], strict=True):
        states |= task(
            name,
            "aws-sdk:cloudwatch:putMetricAlarm",
            requests[name],
            then=following,
            retries=RETRY_CLOUDWATCH,
            on_failure=otherwise,
        )
    return order[0], {**states, **_find(at, config, then=then, otherwise=otherwise)}


def _watched(alarms: RollbackOn) -> dict[str, Document]:
    """What the run's own alarms watch → what of PutMetricAlarm is theirs alone.

    Of an answer with an error the metric holds a 1, of any other a 0: the average is the rate. Latencies are in
    microseconds.
    """
    errors = {
        "MetricName": "Invocation5XXErrors",
        "Statistic": "Average",
        "Threshold": alarms.errors,
    }
    latencies = {
        names.latency_alarm(percentile): {
            "MetricName": "ModelLatency",
            "ExtendedStatistic": percentile,
            "Threshold": 1000 * milliseconds,
        }
        for percentile, milliseconds in alarms.latencies.items()
    }
    return {**({names.ERRORS_ALARM: errors} if alarms.errors is not None else {}), **latencies}


def _state(what: str) -> str:
    """`WatchErrors`, `WatchP99Latency`."""
    return "Watch" + "".join(word.capitalize() for word in what.split("-"))


def _alarm(at: Surroundings, config: str, variant: str, what: str, more: Document) -> Document:
    """PutMetricAlarm; a fleet that is asked nothing does nothing wrong."""
    dimensions = {"EndpointName": at.endpoint, "VariantName": variant, "EndpointConfigName": expression(config)}
    return {
        "AlarmName": _alarm_name(config, what),
        "AlarmDescription": f"{at.pipeline}'s new models while they are deployed; made and deleted by its runs",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        "Period": PERIOD_SECONDS,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **more,
    }


def _alarm_name(config: str, what: str) -> str:
    return expression(f"{config} & {quoted(names.alarm('', what))}")


def _alarm_names(at: Surroundings, config: str) -> list[str]:
    alarms = at.spec.deploy.rollback_on
    return [*(_alarm_name(config, what) for what in _watched(alarms)), *alarms.alarms] if alarms else []


def watchers(at: Surroundings, config: str) -> str:
    """Whom SageMaker asks while it updates, as the end of a sentence with `<$variables>`; empty for nobody."""
    alarms = at.spec.deploy.rollback_on
    if alarms is None:
        return ""
    told = [*(f"<{config}>{names.alarm('', what)}" for what in _watched(alarms)), *alarms.alarms]
    return f"; it was watched by {'the alarms ' if len(told) > 1 else 'the alarm '}{', '.join(told)}"


def _find(at: Surroundings, config: str, *, then: str, otherwise: str) -> States:
    """An alarm that isn't there, or sounds already, would end the deployment as soon as it begins."""
    missing, sounding = equals("$alarms.missing", ""), equals("$alarms.sounding", "")
    quiet = all_of(missing, sounding)
    return look_for_alarms(_FIND, _alarm_names(at, config), quiet=quiet, then=then, otherwise=otherwise)


def look_for_alarms(name: str, alarms: list[str], *, quiet: str, then: str, otherwise: str = RECORD) -> States:
    """Puts into `$alarms` which of the alarms are missing and which sound; goes on where `quiet` holds, else to
    `otherwise`."""
    found = "$states.result.MetricAlarms"
    missing = f"$filter({jsonata(alarms)}, function($name) {{ $not($name in {found}.AlarmName) }})"
    look = {
        "alarms": {
            "missing": expression(f"$join($append([], {missing}), ', ')"),
            "sounding": expression(f"$join($append([], {found}[StateValue = 'ALARM'].AlarmName), ', ')"),
        }
    }
    no_such = "'there is no metric alarm ' & $alarms.missing & ' in this account and region'"
    sounds = "$alarms.sounding & ' sounds already (it is in ALARM), so that SageMaker would go back at once'"
    refused = {
        "failure": {
            "state": name,
            "error": "AlarmsNotUsable",
            "cause": expression(f"$alarms.missing != '' ? {no_such} : {sounds}"),
        }
    }
    return {
        **task(
            name,
            "aws-sdk:cloudwatch:describeAlarms",
            {"AlarmNames": alarms},
            then=f"{name}Found",
            retries=RETRY_CLOUDWATCH,
            assign=look,
            on_failure=otherwise,
        ),
        **choice(f"{name}Found", [when(quiet, then)], default=otherwise, assign=refused),
    }


# -------------------------------------------------------------------------------------------------------------- grants


def watch_grants(at: Surroundings) -> list[Grant]:
    """The machine's: making its own alarms, and looking at all of them."""
    own = own_alarms(at)
    make = [Grant(actions=["cloudwatch:PutMetricAlarm"], resources=own)] if own else []
    return [*make, *look_at_alarms(at)]


def look_at_alarms(at: Surroundings) -> list[Grant]:
    """Of the endpoint's role, too: with it SageMaker looks whether one sounds."""
    alarms = at.spec.deploy.rollback_on
    named = [_alarm_arn(at, name) for name in alarms.alarms] if alarms else []
    resources = [*own_alarms(at), *named]
    return [Grant(actions=["cloudwatch:DescribeAlarms"], resources=resources)] if resources else []


def own_alarms(at: Surroundings) -> list[str]:
    """The ARNs of the alarms that the pipeline's runs make."""
    alarms = at.spec.deploy.rollback_on
    return [_alarm_arn(at, names.alarm(_any_config(at), what)) for what in _watched(alarms)] if alarms else []


def clear_alarms_away(at: Surroundings) -> list[Grant]:
    """The recorder's: finding and deleting the alarms that the pipeline's runs have made, earlier specs' too."""
    if not own_alarms(at):
        return []
    resources = [_alarm_arn(at, name) for name in names.alarms(_any_config(at))]
    return [Grant(actions=["cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms"], resources=resources)]


def _any_config(at: Surroundings) -> str:
    return f"{at.content_prefix}{names.ANY_CONTENT_HASH}"


def _alarm_arn(at: Surroundings, name: str) -> str:
    return at.account.arn("cloudwatch", f"alarm:{name}")
