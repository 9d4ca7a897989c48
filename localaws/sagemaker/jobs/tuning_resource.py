"""What tuning jobs are called where their kind isn't known."""

TUNING_JOB = "hyper-parameter-tuning-job"  # as in ARNs, in IAM and in the store
