"""After training that was stopped: by a rule, by a person, or by its time limit.

A rule: the run ends so, or goes on with what was saved, as its way of training says. Otherwise `$failure` says that the
job was stopped, and the run is recorded with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contract import outcomes, run_table
from contract.states import RECORD
from infra.workflow.conditions import all_of, exists, is_not, ran_into_its_limit, says_stopped_job
from infra.workflow.expressions import RUN_ID, composed, expression
from infra.workflow.language import State, States, choice, read_item, task, when
from infra.workflow.run_grants import read_run_table
from infra.workflow.step import Step
from infra.workflow.surroundings import RUN_TABLE, Surroundings

# The rule and the time limit may come at once; then it was the limit.
BY_RULE = all_of("$stopped_by_rule", is_not(ran_into_its_limit()))


def stopped_as_an_error(name: str, job_name: str, described: Mapping[str, Any], *, then: str) -> States:
    """Step Functions may end the task of a stopped job as a failure: then the job is asked what the result would say.

    Any other failure of the task goes to Record.
    """
    ask = task(
        "DescribeStopped",
        "aws-sdk:sagemaker:describeTrainingJob",
        {"TrainingJobName": job_name},
        then=then,
        assign={**described, "failure": None},
    )
    return {**choice(name, [when(says_stopped_job(), "DescribeStopped")], default=RECORD), **ask}


def why_stopped(at: Surroundings, name: str, goes_on: Sequence[State]) -> Step:
    """Asks the run's item whether a rule has stopped the job; `goes_on` are the ways in which a run goes on then."""
    look = read_item(
        name,
        str(RUN_TABLE),
        run_table.key(at.pipeline, composed(run_table.run_item(RUN_ID))),
        then="StoppedBy",
        assign={"stopped_by_rule": expression(exists(f"$states.result.Item.{run_table.STOPPED_BY}"))},
    )
    ends = when(BY_RULE, RECORD, {"outcome": outcomes.STOPPED_BY_RULE, "failure": None})
    return Step(
        states={**look, **choice("StoppedBy", [*goes_on, ends], default=RECORD)},
        grants=read_run_table(at),
    )
