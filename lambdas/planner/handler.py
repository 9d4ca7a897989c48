"""Planner: fixes what a run works on, before anything costs money.

It checks that the run holds the pipeline's lock, clears the pending triggers *before* it lists the data (an event that
came before is covered by the listing, one that comes after starts the next run), writes one SageMaker manifest a
channel and `plan.json`, and says whether there is anything new: `Run`, `UpToDate`, or `Rollback`.

Environment: `RUN_TABLE`, `DATA_BUCKET`, `ARTIFACT_BUCKET`.

AWS actions:
    dynamodb:GetItem, dynamodb:PutItem              the run table, leading key = the pipeline
    s3:ListBucket, s3:ListBucketVersions            the data bucket, the pipeline's channel prefixes
    s3:PutObject                                    the artifact bucket, runs/<pipeline>/*
    kms:GenerateDataKey, kms:Decrypt                the key of table and buckets
"""
