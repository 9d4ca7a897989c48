"""The CDK app: the environment that `-c environment=NAME` chooses, with a stack for every pipeline.yaml.

`-c pipelines=a,b` makes the stacks of these alone (and the shared one): another's mistake doesn't hold them up.
"""

import os
import sys
from pathlib import Path

from ratchet.spec import ConfigurationError, SpecError, find_pipelines, without
from ratchet.spec.environments import chosen_environment, chosen_pipelines, context_of_command
from ratchet.spec.whereabouts import check_whereabouts

TRAINING_CODE = Path(__file__).parent / "training_code"


def main() -> None:
    context = context_of_command(os.environ)
    environment = chosen_environment(context)
    check_whereabouts(environment, os.environ)
    pipelines = find_pipelines(TRAINING_CODE, chosen_pipelines(context.get("pipelines")))
    # Not before: CDK's library starts a Node of its own, and a mistake is told sooner than that.
    from infra.app import new_app  # noqa: PLC0415
    from infra.stages import add_stacks  # noqa: PLC0415

    app = new_app()
    add_stacks(app, environment, pipelines, toolkit=TRAINING_CODE / "toolkit")
    app.synth()


try:
    main()
except SpecError as error:
    sys.exit(f"{error}{without(TRAINING_CODE, error)}")
except ConfigurationError as error:
    sys.exit(str(error))
