"""The CDK app: the environment that `-c environment=NAME` chooses, with a stack for every pipeline.yaml."""

import sys
from pathlib import Path

from infra.app import new_app
from infra.stages import add_stacks
from ratchet.spec import ConfigurationError, SpecError, find_pipelines
from ratchet.spec.environments import chosen_environment

TRAINING_CODE = Path(__file__).parent / "training_code"

app = new_app()
try:
    environment = chosen_environment({key: app.node.try_get_context(key) for key in ("environment", "environments")})
    add_stacks(app, environment, find_pipelines(TRAINING_CODE), toolkit=TRAINING_CODE / "toolkit")
except (ConfigurationError, SpecError) as error:
    sys.exit(str(error))
app.synth()
