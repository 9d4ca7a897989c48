"""A run's folder in the artifact bucket, `runs/<pipeline>/<run id>/`, and what lies where in it.

    plan.json                                       Plan: what the run works on
    manifests/<channel>.manifest, .versions.json    Plan: a channel's objects, for SageMaker and for people
    train/                                          the training job's output, checkpoints and tensors, and what its
                                                    rules have found; nobody but this run's training writes there
    compiled/model.tar.gz, compiled.json            of a pipeline that compiles: the model that is judged and serves
    asked/part-00000.csv …, asked.json              of an image of one's own: the held-out rows without their labels
    answered/<model>/part-00000.csv.out …           and what challenger and champion have answered, in transform jobs
    evaluation/evaluation.json                      the evaluation job's figures
    trials.json                                     every trial of a run that tuned
    answers/                                        of a pipeline for batches: each file of rows with its answers
    verifying/                                      of an asynchronous endpoint: what Verify has asked it
    gate.json                                       the gate's decision
    record.json                                     the run's record

Training jobs outside of a run have folders of the same kind below `tries/`: nothing that was tried is ever deployed.
There, in `tries/<pipeline>/views/`, lies what views have drawn of finished trainings, too, and in
`tries/<pipeline>/labels/` what audits of labels have found.
Beside the runs lies the code of all deployments, `code/<pipeline>/<hash of its content>/sourcedir.tar.gz`: what a run
was trained from stays as long as what it has left.

What the endpoint was asked and has answered while a challenger was its shadow lies below `captures/` for a while.

Keys have no leading slash; folders end in one where the name says folder.
"""

from __future__ import annotations

RUNS, TRIES, CODE = "runs/", "tries/", "code/"
# What endpoints have captured, which expires: it is what users have asked.
CAPTURES = "captures/"
PLAN, TRIALS, GATE, RECORD = "plan.json", "trials.json", "gate.json", "record.json"

MODEL_ARCHIVE = "model.tar.gz"
SOURCE_ARCHIVE = "sourcedir.tar.gz"
# How every archive's name ends: a model is served from one, and evaluations leave none.
ARCHIVE_ENDING = ".tar.gz"
# In a model's folder, and in the source archive made from it.
SPEC_FILE, TRAINING_SCRIPT, SERVING_SCRIPT, REQUIREMENTS = "pipeline.yaml", "train.py", "serve.py", "requirements.txt"
# The hyperparameter by which a framework's container finds the script to run (SageMaker Training Toolkit, params).
PROGRAM = "sagemaker_program"
TOOLKIT, CONTRACT = "toolkit", "contract"

TRAIN = "train"
CHECKPOINTS = f"{TRAIN}/checkpoints"
# The copy of what SageMaker Debugger's hook saves, below a folder of the job's name.
DEBUGGER = f"{TRAIN}/debugger"
TENSORS = f"{TRAIN}/tensors"
VERDICTS = f"{TRAIN}/verdicts"
# Below the tensors: one JSON document a rule; views' documents and pictures (views.py); and a file a worker, in which a
# line tells of a saved number or tensor.
RULES = "rules"
VIEWS = "views"
TENSOR_INDEX = "index"

EVALUATION_FOLDER = "evaluation"
EVALUATION_FILE = "evaluation.json"
EVALUATION = f"{EVALUATION_FOLDER}/{EVALUATION_FILE}"
# Five examples of the largest kind fit in; what is longer would take a function's memory.
EVALUATION_BYTES = 48 << 20
# Its part about single classes and examples, which stays in S3.
ANSWERS = "answers"
# The folder of a batch's answers, and how the manifest of its rows is called: as no channel may be.
BATCH_ANSWERS, BATCH_INPUT = "answers", "answers/input"
VERIFYING = "verifying"
# The evaluation job's inputs, each a folder of this name below /opt/ml/processing/input.
CODE_INPUT, TEST_INPUT, CHALLENGER_INPUT, CHAMPION_INPUT = "code", "test", "challenger", "champion"
# What models are asked over HTTP, an input of the evaluation job's, too; what is where in it; and what they answer.
ASKED, ASKED_INDEX, ANSWERED = "asked", "asked.json", "answered"
# In the folder of a model's answers: why it has none.
NO_ANSWERS = "no_answers.json"

# The held-out channel, which no training job sees; and the one in which a round finds the last round's model.
TEST_CHANNEL = "test"
PREVIOUS_CHANNEL = "previous"


def answers_of(model: str) -> str:
    """The folder of what a model has answered over HTTP."""
    return f"{ANSWERED}/{model}"


def runs_folder(pipeline: str) -> str:
    """`runs/<pipeline>/`: all runs of a pipeline."""
    return f"{RUNS}{pipeline}/"


def captures_folder(pipeline: str) -> str:
    """`captures/<pipeline>/`: what was asked and answered while the pipeline's runs had a shadow, a folder a run."""
    return f"{CAPTURES}{pipeline}/"


def code_folder(pipeline: str) -> str:
    """`code/<pipeline>/`: the code of all of a pipeline's deployments."""
    return f"{CODE}{pipeline}/"


def code_key(pipeline: str, code_hash: str) -> str:
    """`code/<pipeline>/<hash>/sourcedir.tar.gz`."""
    return f"{code_folder(pipeline)}{code_hash}/{SOURCE_ARCHIVE}"


def run_folder(pipeline: str, run_id: str) -> str:
    """`runs/<pipeline>/<run id>/`."""
    return f"{runs_folder(pipeline)}{run_id}/"


def tries_folder(pipeline: str) -> str:
    """`tries/<pipeline>/`: all training jobs of a pipeline outside of its runs."""
    return f"{TRIES}{pipeline}/"


def drawings_folder(pipeline: str) -> str:
    """`tries/<pipeline>/views/`: what views have drawn of finished trainings, a folder a job."""
    return f"{tries_folder(pipeline)}{VIEWS}/"


def manifest(channel: str) -> str:
    """SageMaker's manifest of a channel's objects."""
    return f"manifests/{channel}.manifest"


def versions(channel: str) -> str:
    """The same objects with their versions, sizes and ETags."""
    return f"manifests/{channel}.versions.json"


def of_round(folder: str, round_: int | str | None) -> str:
    """A folder of the training job's, of a round's own where training goes on in rounds."""
    return folder if round_ is None else f"{folder}/round-{round_}"


def verdicts(training_job: str) -> str:
    """What the rules beside a training job have found, as the job itself says it."""
    return f"{VERDICTS}/{training_job}.json"


def of_trial(folder: str, job: str) -> str:
    """A folder of one of a tuning job's training jobs."""
    return f"{folder}/{job}"


def of_candidate(folder: str, candidate: str) -> str:
    """A folder of the training job of one of several candidates."""
    return f"{folder}/{candidate}"


def rules_folder(tensors: str) -> str:
    """The folder of the rules' verdicts, beside the tensors that they judge."""
    return f"{tensors}/{RULES}/"


def views_folder(tensors: str) -> str:
    """The folder of the views' documents and pictures, beside the tensors that they show."""
    return f"{tensors}/{VIEWS}/"
