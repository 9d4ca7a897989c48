"""Names of everything that a pipeline has in AWS, cut to AWS's limits here and nowhere else.

<environment>-<pipeline>            the endpoint and the model package group: stable, callers know them
<environment>-<pipeline>-<hash>     models and endpoint configs, named by their content: the same one twice is one
<environment>-<pipeline>-<hash>-<what>              the alarms on an endpoint config's fleet while it is deployed
<environment>-<pipeline>-<run id>-<step>            a run's jobs: by their names, what an environment may do to its own
                                                    it can't do to another's in the same account
<environment>-<pipeline>-<run id>-train-<round>     its training jobs, where it trains in rounds,
                                                    and those of its candidates, by their number
<environment>-<pipeline>-<run token>                its tuning job, whose name is short: the token stands for the run id
<environment>-<pipeline>-<run token>-NNN-<8 hex>    the tuning job's training jobs, its trials, as SageMaker names them
ratchet-<environment>-<pipeline>    the pipeline's stack, and `-shared` the one that all pipelines share
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta, timezone

# CreateTrainingJob, CreateProcessingJob, CreateModel, CreateEndpointConfig, CreateEndpoint, CreateModelPackageGroup,
# API reference: names are [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}.
SAGEMAKER_NAME = 63
_SAGEMAKER_NAME = re.compile(rf"[a-zA-Z0-9](-*[a-zA-Z0-9]){{0,{SAGEMAKER_NAME - 1}}}", re.ASCII)

# The steps of a run that are SageMaker jobs, as their names end.
TRAIN_STEP, COMPILE_STEP, EVALUATE_STEP, ANSWER_STEP = "train", "compile", "evaluate", "answer"
# The transform jobs in which challenger and champion answer the held-out rows. A word longer than `evaluate` would
# leave all pipelines less room for their own names.
CHALLENGER_STEP, CHAMPION_STEP = "newcomer", "champion"
# Outside of runs: a view of what a run's training has saved.
VIEW_STEP = "view"
# And an audit of a channel's labels.
LABELS_STEP = "labels"
STEPS = (TRAIN_STEP, COMPILE_STEP, EVALUATE_STEP, ANSWER_STEP, CHALLENGER_STEP, CHAMPION_STEP, VIEW_STEP, LABELS_STEP)
# The step whose job is a tuning job, with a name of another kind.
TUNE_STEP = "tune"

# CreateHyperParameterTuningJob, API reference.
TUNING_NAME = 32

RUN_ID_LENGTH = 20
# For IAM's resource patterns: `?` is one character, so that `iris-????????-…` never matches a job of `iris-tree`.
ANY_RUN_ID = "????????-??????-????"
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")

# A run id's time in base 36, in seconds since RUN_TOKENS_BEGIN, and its token.
_SECONDS_LENGTH, _TOKEN_LENGTH = 6, 4
RUN_TOKEN_LENGTH = _SECONDS_LENGTH + _TOKEN_LENGTH
RUN_TOKENS_BEGIN = datetime(2020, 1, 1, tzinfo=timezone.utc)
ANY_RUN_TOKEN = "?" * RUN_TOKEN_LENGTH
# The end of a trial's name (developer guide, "Monitor the progress of a hyperparameter tuning job").
ANY_TRIAL = "???-????????"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TRIAL = re.compile(r"(?P<job>.+-(?P<token>[0-9a-z]{6}[0-9a-f]{4}))-(?P<number>\d{3})-[0-9a-zA-Z]{8}", re.ASCII)

CONTENT_HASH_LENGTH = 12
ANY_CONTENT_HASH = "?" * CONTENT_HASH_LENGTH

# What a deployment's own alarms watch, as their names end.
ERRORS_ALARM = "errors"
PERCENTILES = ("p50", "p90", "p99")

SHARED = "shared"
# The environment of cdk.json that is the embedded AWS, and that is meant where none is named.
LOCAL = "local"
# Tags of everything that a run makes: whose it is.
ENVIRONMENT_TAG, PIPELINE_TAG, RUN_TAG = "ratchet:environment", "ratchet:pipeline", "ratchet:run"
# A role's own tag: the run whose folder its jobs may write, `NO_RUN` between two. It stands in a policy's variable, so
# without a colon.
FOLDER_TAG, NO_RUN = "ratchet-run", "none"


def run_id(at: datetime, token: str) -> str:
    """`YYYYMMDD-HHMMSS-<token>`, token being 4 hexadecimal digits: run ids sort by time.

    It is the Step Functions execution's name, too.
    """
    return f"{at.astimezone(timezone.utc):%Y%m%d-%H%M%S}-{token}"


def is_run_id(text: str) -> bool:
    """Whether a text could be a run's id."""
    return _RUN_ID.fullmatch(text) is not None


def is_job_of_a_run(environment: str, name: str) -> bool:
    """Whether a job is called as the runs of an environment call theirs; a text that no job has for a name isn't."""
    by_id = re.fullmatch(rf"{re.escape(environment)}-.+-{_RUN_ID.pattern}-.+", name) is not None
    is_trial = name.startswith(f"{environment}-") and run_of_trial(name) is not None
    return (by_id or is_trial) and _SAGEMAKER_NAME.fullmatch(name) is not None


def endpoint_log_group(endpoint: str) -> str:
    """Where an endpoint's containers log (developer guide, "CloudWatch Logs for Amazon SageMaker AI")."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def cut(name: str, limit: int) -> str:
    """`name` if it has at most `limit` characters, else its beginning and a hash of the whole."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('-')}-{digest}"


def endpoint(environment: str, pipeline: str) -> str:
    """The endpoint's name."""
    return cut(f"{environment}-{pipeline}", SAGEMAKER_NAME)


def model_package_group(environment: str, pipeline: str) -> str:
    """The model package group's name."""
    return cut(f"{environment}-{pipeline}", SAGEMAKER_NAME)


def job_prefix(environment: str, pipeline: str) -> str:
    """`<environment>-<pipeline>-`, cut so that the run id and whatever step fit behind it."""
    longest_step = max(len(step) for step in STEPS)
    return cut(f"{environment}-{pipeline}", SAGEMAKER_NAME - RUN_ID_LENGTH - longest_step - 2) + "-"


def any_job(environment: str) -> str:
    """The jobs of all runs of an environment, as an IAM pattern: an environment's name has no hyphen, and isn't cut."""
    return f"{environment}-*-{ANY_RUN_ID}-*"


def job(environment: str, pipeline: str, run_id: str, step: str, round_: int | str | None = None) -> str:
    """A run's job, as the state machine composes its name.

    Raises:
        ValueError: no step is called so.
    """
    if step not in STEPS:
        raise ValueError(f"no step of a run is called {step!r}; the steps are {', '.join(STEPS)}")
    name = f"{job_prefix(environment, pipeline)}{run_id}-{step}"
    return name if round_ is None else f"{name}-{round_}"


def tuning_prefix(environment: str, pipeline: str) -> str:
    """`<environment>-<pipeline>-`, cut so that the run's token fits behind it."""
    return cut(f"{environment}-{pipeline}", TUNING_NAME - RUN_TOKEN_LENGTH - 1) + "-"


def tuning_job(environment: str, pipeline: str, run_id: str) -> str:
    """A run's tuning job."""
    return tuning_prefix(environment, pipeline) + run_token(run_id)


def is_tuning_job(name: str) -> bool:
    """Whether a tuning job may have this name."""
    return len(name) <= TUNING_NAME and _SAGEMAKER_NAME.fullmatch(name) is not None


def any_trial(environment: str, pipeline: str) -> str:
    """The trials of all of a pipeline's runs, as an IAM pattern."""
    return f"{tuning_prefix(environment, pipeline)}{ANY_RUN_TOKEN}-{ANY_TRIAL}"


def any_trial_of(environment: str) -> str:
    """The trials of all runs of an environment, as an IAM pattern: an environment's name is never cut."""
    return f"{environment}-*-{ANY_RUN_TOKEN}-{ANY_TRIAL}"


def run_token(run_id: str) -> str:
    """A run id in ten characters; `run_of_trial` makes it the run id again.

    Raises:
        ValueError: it is no run's id.
    """
    if not is_run_id(run_id):
        raise ValueError(f"no run is called {run_id!r}")
    at = datetime.strptime(run_id[: -_TOKEN_LENGTH - 1], "%Y%m%d-%H%M%S").replace(tzinfo=timezone.utc)
    left, digits = int((at - RUN_TOKENS_BEGIN).total_seconds()), ""
    for _ in range(_SECONDS_LENGTH):
        left, digit = divmod(left, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits + run_id[-_TOKEN_LENGTH:]


def run_of_trial(name: str) -> str | None:
    """The id of the run whose tuning job has made a training job of this name; None for a name of another kind."""
    found = _TRIAL.fullmatch(name)
    if found is None:
        return None
    seconds, token = int(found["token"][:_SECONDS_LENGTH], len(_DIGITS)), found["token"][_SECONDS_LENGTH:]
    return run_id(RUN_TOKENS_BEGIN + timedelta(seconds=seconds), token)


def tuning_job_of(name: str) -> str | None:
    """The tuning job that has made a training job of this name; None for a name of another kind."""
    found = _TRIAL.fullmatch(name)
    return found["job"] if found else None


def number_of_trial(name: str) -> str:
    """`003` for a tuning job's third training job; empty for a name of another kind."""
    found = _TRIAL.fullmatch(name)
    return found["number"] if found else ""


def content_prefix(environment: str, pipeline: str) -> str:
    """`<environment>-<pipeline>-`, cut so that the content's hash fits behind it."""
    return cut(f"{environment}-{pipeline}", SAGEMAKER_NAME - CONTENT_HASH_LENGTH - 1) + "-"


def content_name(prefix: str, *contents: str) -> str:
    """The name of a model or an endpoint config that holds `contents`, as the state machine composes it."""
    return prefix + hashlib.sha256(" ".join(contents).encode()).hexdigest()[:CONTENT_HASH_LENGTH]


def is_content_name(name: str, prefix: str) -> bool:
    """Whether a model or an endpoint config is this pipeline's: another's prefix may begin with the same words."""
    return re.fullmatch(f"{re.escape(prefix)}[0-9a-f]{{{CONTENT_HASH_LENGTH}}}", name) is not None


def latency_alarm(percentile: str) -> str:
    """What an alarm on a latency watches."""
    return f"{percentile}-latency"


def alarm(config: str, what: str) -> str:
    """An alarm on the fleet of an endpoint config."""
    return f"{config}-{what}"


def alarms(config: str) -> list[str]:
    """All alarms that a deployment of an endpoint config may make."""
    return [alarm(config, what) for what in (ERRORS_ALARM, *map(latency_alarm, PERCENTILES))]


def command(words: str, environment: str) -> str:
    """A command of Ratchet's as it is typed for an environment: `ratchet runs churn -e dev`."""
    return f"ratchet {words}" if environment == LOCAL else f"ratchet {words} -e {environment}"


def stack(environment: str, what: str) -> str:
    """The stack of a pipeline, or the shared one (`SHARED`)."""
    return f"ratchet-{environment}-{what}"


def export(environment: str, output: str) -> str:
    """The name under which the shared stack exports an output; unique in an account's region."""
    return f"ratchet-{environment}-{output}"
