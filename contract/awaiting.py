"""The wait for an endpoint: a run's machine leaves its task token with the launcher, which hears of the endpoint.

While a run waits, its item has

    awaits_endpoint  {"token": its machine's, "since", "status"?, "config"?: of the endpoint as the machine saw it last}

Nothing depends on an event: it only says "look", and the machine looks by itself when a wait has lasted long enough.
"""

from __future__ import annotations

from contract.run_table import ENDS

# The message by which a run's machine waits; it carries the task token.
AWAIT = "await"
# The field of a run's item.
AWAITS_ENDPOINT = "awaits_endpoint"
# What of a run's item its record doesn't have.
ON_ITS_WAY = (ENDS, AWAITS_ENDPOINT)
# "Events that Amazon SageMaker AI sends to Amazon EventBridge"; endpoints with a feature of the guardrails' exclusions
# may have none of the second.
EVENTS = ("SageMaker Endpoint State Change", "SageMaker Endpoint Deployment State Change")
# EndpointStatus, in capitals there: no change is on its way any more.
AT_REST = ("IN_SERVICE", "OUT_OF_SERVICE", "FAILED", "UPDATE_ROLLBACK_FAILED")
