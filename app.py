"""The CDK app: the environment that `-c environment=NAME` chooses, with a stack for every pipeline.yaml.

`-c pipelines=a,b` makes the stacks of these alone (and the shared one): another's mistake doesn't hold them up.
"""

import os
import sys
from pathlib import Path

from infra.app import new_app
from infra.stages import add_stacks
from ratchet.spec import ConfigurationError, SpecError, find_pipelines, without
from ratchet.spec.environments import chosen_environment, chosen_pipelines
from ratchet.spec.whereabouts import check_whereabouts

TRAINING_CODE = Path(__file__).parent / "training_code"

app = new_app()
try:
    environment = chosen_environment({key: app.node.try_get_context(key) for key in ("environment", "environments")})
    check_whereabouts(environment, os.environ)
    pipelines = find_pipelines(TRAINING_CODE, chosen_pipelines(app.node.try_get_context("pipelines")))
    add_stacks(app, environment, pipelines, toolkit=TRAINING_CODE / "toolkit")
except SpecError as error:
    sys.exit(f"{error}{without(TRAINING_CODE, error)}")
except ConfigurationError as error:
    sys.exit(str(error))
app.synth()
