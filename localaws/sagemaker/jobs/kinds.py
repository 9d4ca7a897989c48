"""The kinds of jobs that are here. A new kind is a module with its JobKind, and a name in this list."""

from __future__ import annotations

from localaws.sagemaker.jobs.processing import PROCESSING
from localaws.sagemaker.jobs.training import TRAINING
from localaws.sagemaker.jobs.transform import TRANSFORM
from localaws.sagemaker.jobs.tuning import TUNING

# In the order in which they come back after a restart: a tuning job's trials are training jobs.
KINDS = (TRAINING, PROCESSING, TRANSFORM, TUNING)
