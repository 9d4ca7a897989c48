"""Which properties of each resource type in use take effect here. Any other is refused by name, never ignored.

For a type that isn't listed, MiniStack's provisioner decides.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

Document = dict[str, Any]

EFFECTIVE: dict[str, frozenset[str]] = {
    name: frozenset(properties.split())
    for name, properties in {
        "AWS::S3::Bucket": "BucketName BucketEncryption VersioningConfiguration PublicAccessBlockConfiguration "
        "OwnershipControls LifecycleConfiguration NotificationConfiguration CorsConfiguration WebsiteConfiguration "
        "AccessControl LoggingConfiguration Tags",
        "AWS::S3::BucketPolicy": "Bucket PolicyDocument",
        "AWS::KMS::Key": "Description Enabled EnableKeyRotation RotationPeriodInDays KeyPolicy KeySpec KeyUsage "
        "PendingWindowInDays MultiRegion Origin Tags",
        "AWS::KMS::Alias": "AliasName TargetKeyId",
        "AWS::DynamoDB::Table": "TableName AttributeDefinitions KeySchema BillingMode ProvisionedThroughput "
        "GlobalSecondaryIndexes LocalSecondaryIndexes StreamSpecification PointInTimeRecoverySpecification "
        "SSESpecification TimeToLiveSpecification DeletionProtectionEnabled Tags",
        "AWS::SNS::Topic": "TopicName DisplayName KmsMasterKeyId Subscription FifoTopic ContentBasedDeduplication Tags",
        "AWS::SNS::TopicPolicy": "PolicyDocument Topics",
        "AWS::SQS::Queue": "QueueName FifoQueue VisibilityTimeout MessageRetentionPeriod MaximumMessageSize "
        "DelaySeconds ReceiveMessageWaitTimeSeconds RedrivePolicy RedriveAllowPolicy KmsMasterKeyId "
        "KmsDataKeyReusePeriodSeconds SqsManagedSseEnabled ContentBasedDeduplication DeduplicationScope "
        "FifoThroughputLimit Tags",
        "AWS::SQS::QueuePolicy": "PolicyDocument Queues",
        "AWS::Lambda::Function": "FunctionName Architectures Code DeadLetterConfig Description Environment "
        "EphemeralStorage Handler Layers LoggingConfig MemorySize PackageType Role Runtime Tags Timeout TracingConfig",
        "AWS::Lambda::EventSourceMapping": "BatchSize Enabled EventSourceArn FunctionName FunctionResponseTypes "
        "ScalingConfig MaximumBatchingWindowInSeconds FilterCriteria StartingPosition DestinationConfig "
        "ParallelizationFactor MaximumRetryAttempts MaximumRecordAgeInSeconds BisectBatchOnFunctionError Tags",
        "AWS::IAM::Role": "RoleName Path Description AssumeRolePolicyDocument ManagedPolicyArns Policies "
        "PermissionsBoundary MaxSessionDuration Tags",
        "AWS::IAM::Policy": "PolicyName PolicyDocument Roles Users Groups",
        "AWS::Logs::LogGroup": "LogGroupName RetentionInDays KmsKeyId Tags",
        "AWS::Events::Rule": "Name Description EventBusName EventPattern ScheduleExpression State RoleArn Targets Tags",
        # Traces are not kept; sampling is nothing that a workflow could observe.
        "AWS::StepFunctions::StateMachine": "StateMachineName StateMachineType Definition DefinitionString "
        "DefinitionS3Location DefinitionSubstitutions RoleArn LoggingConfiguration EncryptionConfiguration "
        "TracingConfiguration Tags",
        "AWS::CloudWatch::Alarm": "AlarmName AlarmDescription ActionsEnabled AlarmActions OKActions "
        "InsufficientDataActions ComparisonOperator DatapointsToAlarm Dimensions EvaluationPeriods ExtendedStatistic "
        "MetricName Metrics Namespace Period Statistic Threshold TreatMissingData Unit Tags",
        "AWS::ECR::Repository": "RepositoryName ImageTagMutability ImageScanningConfiguration EncryptionConfiguration "
        "LifecyclePolicy RepositoryPolicyText EmptyOnDelete Tags",
        "AWS::CodeBuild::Project": "Name Description Source SourceVersion Artifacts Environment ServiceRole "
        "TimeoutInMinutes QueuedTimeoutInMinutes EncryptionKey LogsConfig Cache Tags",
        "AWS::SSM::Parameter": "Name Type Value Description AllowedPattern Tags Tier",
    }.items()
}


def register(provisioners: ModuleType) -> None:
    for resource_type, known in EFFECTIVE.items():
        handlers = provisioners._RESOURCE_HANDLERS[resource_type]
        handlers["create"] = _checked(handlers["create"], resource_type, known, position=1)
        if "update" in handlers:
            handlers["update"] = _checked(handlers["update"], resource_type, known, position=2)


def _checked(
    handler: Callable[..., Any], resource_type: str, known: frozenset[str], *, position: int
) -> Callable[..., Any]:
    """The handler, refusing unknown properties; `position` is where they stand among its arguments."""

    def checked(*arguments: Any) -> Any:
        unknown = sorted(set(arguments[position]) - known)
        if unknown:
            raise ValueError(f"not supported here: {', '.join(unknown)} of {resource_type}")
        return handler(*arguments)

    return checked
