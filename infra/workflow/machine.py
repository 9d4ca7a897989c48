"""A run, from a trigger to a champion that answers, as one state machine (Amazon States Language, JSONata).

What the machine's role needs:
    lambda:InvokeFunction                           planner, gate, verifier, recorder
    dynamodb:GetItem                                the run table, leading key = the pipeline (quiet period)
    sagemaker:CreateTrainingJob, DescribeTrainingJob, StopTrainingJob, AddTags          training-job/<job_prefix>*
    sagemaker:CreateProcessingJob, DescribeProcessingJob, StopProcessingJob, AddTags    processing-job/<job_prefix>*
    sagemaker:CreateModelPackage, AddTags           model-package-group/<group>, model-package/<group>/*
    sagemaker:CreateModel, DescribeModel, AddTags   model/<content_prefix>*
    sagemaker:CreateEndpointConfig, DescribeEndpointConfig, AddTags     endpoint-config/<content_prefix>*
    sagemaker:CreateEndpoint, UpdateEndpoint        endpoint/<endpoint>, endpoint-config/<content_prefix>*
    sagemaker:DescribeEndpoint, DeleteEndpoint, AddTags                 endpoint/<endpoint>
    iam:PassRole (iam:PassedToService = sagemaker.amazonaws.com)        training, processing and hosting role
    events:PutTargets, PutRule, DescribeRule        rule/StepFunctionsGetEventsForSageMaker*Rule (for .sync)
    kms:Decrypt                                     the key of the run table
"""
