"""Verifier: asks the endpoint real questions, and compares its answers with what the evaluation predicted.

An endpoint that is InService may still be on the old config (that is how a failed update ends), or answer nonsense.

Environment: `ARTIFACT_BUCKET`.

AWS actions:
    sagemaker:DescribeEndpoint, sagemaker:InvokeEndpoint   the pipeline's endpoint
    s3:GetObject, s3:ListBucket                     the artifact bucket, runs/<pipeline>/*
    kms:Decrypt                                     the key of the bucket
"""
