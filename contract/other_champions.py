"""Channels that hold another pipeline's champion: what the planner is told of them, and what a plan and a record keep.

Asked of the planner: {channel: pipeline}. In the plan, in plan.json and in the run's record:

    {channel: {"pipeline", "run_id": whose model it is, "model_data": the S3 URI of its model.tar.gz}}
"""

from __future__ import annotations

OTHER_CHAMPIONS = "other_champions"
