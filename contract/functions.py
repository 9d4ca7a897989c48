"""The environment variables by which a stack tells its functions what they work with."""

from __future__ import annotations

RUN_TABLE, DATA_BUCKET, ARTIFACT_BUCKET, TOPIC_ARN = "RUN_TABLE", "DATA_BUCKET", "ARTIFACT_BUCKET", "TOPIC_ARN"
# The recorder's: of how many champions the models are kept.
RETAINED_CHAMPIONS = "RETAINED_CHAMPIONS"
# The launcher's: whose runs it starts, with which machine, and under which prefixes (JSON) new objects are data.
PIPELINE, STATE_MACHINE_ARN, CHANNEL_PREFIXES = "PIPELINE", "STATE_MACHINE_ARN", "CHANNEL_PREFIXES"
# The launcher's: where messages that it can't read wait for a person.
DEAD_LETTERS_URL = "DEAD_LETTERS_URL"
# The planner's and the launcher's: the endpoint that they compare with the run table.
ENDPOINT_NAME = "ENDPOINT_NAME"
# The stopper's: whose training jobs it may stop. The launcher's, where a person approves models and nowhere else: for
# the commands that it tells.
ENVIRONMENT = "ENVIRONMENT"
