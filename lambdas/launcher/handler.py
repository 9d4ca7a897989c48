"""Launcher: every trigger reaches it, and it turns them into runs of one pipeline: one at a time, and none is lost.

Invoked with
    an SQS batch (event source mapping with ReportBatchItemFailures), each body one of the documents below;
    an EventBridge event: S3 "Object Created", "Step Functions Execution Status Change";
    a trigger: {"kind": "manual" | "code" | "schedule" | "rollback", "detail": {...}?, "forced": bool?},
        answered with {"status": "started" | "pending", "run_id": ..., "execution_arn": ...}
        ("pending": a run is on its way, whose run_id it is; one further run follows when it ends);
    {"kind": "reconcile"}: repairs what a crash between two steps left; a schedule of 5 minutes sends it.

Environment: `PIPELINE`, `RUN_TABLE`, `STATE_MACHINE_ARN`, `CHANNEL_PREFIXES` (JSON list of the data prefixes, so that an
object elsewhere in the bucket starts nothing).

AWS actions:
    dynamodb:GetItem, dynamodb:PutItem              the run table, leading key = the pipeline
    states:StartExecution                           the pipeline's state machine
    states:DescribeExecution                        its executions (arn:…:execution:<machine>:*)
    kms:Decrypt, kms:GenerateDataKey                the key of table (and of the queue, if it is encrypted)
    sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes   the trigger queue (the event source mapping needs them)
"""
