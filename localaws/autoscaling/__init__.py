"""Application Auto Scaling for the variants of SageMaker's endpoints: targets, policies, schedules."""
