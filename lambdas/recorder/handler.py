"""Recorder: writes what a run was and did, moves the champion, notifies, and clears away what nobody needs.

The run table's item, `record.json` beside the run's artifacts, one message to the topic. Models and endpoint configs
that neither serve, nor can be rolled back to, nor are among the last promoted ones are deleted, whichever run made
them.

Environment: `RUN_TABLE`, `ARTIFACT_BUCKET`, `TOPIC_ARN`, `RETAINED_CHAMPIONS` (promoted models kept, default 3).

AWS actions:
    dynamodb:GetItem, dynamodb:PutItem              the run table, leading key = the pipeline
    s3:PutObject, s3:GetObject, s3:ListBucket       the artifact bucket, runs/<pipeline>/*
    sns:Publish                                     the notification topic
    states:GetExecutionHistory                      the machine's executions (timings)
    sagemaker:DescribeEndpoint, sagemaker:DeleteEndpoint          the pipeline's endpoint
    sagemaker:ListModels, sagemaker:ListEndpointConfigs           * (list actions know no resource)
    sagemaker:DescribeEndpointConfig, sagemaker:DeleteEndpointConfig   endpoint-config/<environment>-<pipeline>-*
    sagemaker:DeleteModel                           model/<environment>-<pipeline>-*
    kms:Decrypt, kms:GenerateDataKey                the key of table, bucket and topic
"""
