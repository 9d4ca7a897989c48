"""What a user of version 2 of the SageMaker SDK writes: an estimator's fit and deploy, and its predictor.

Arguments: role ARN, a suffix for names. Prints one JSON object as its last line.
"""

import json
import sys
from pathlib import Path

import sagemaker
from sagemaker.deserializers import StringDeserializer
from sagemaker.serializers import CSVSerializer
from sagemaker.sklearn import SKLearn

role, suffix = sys.argv[1:]
here = Path(__file__).parents[1]
name = f"sdk2-{suffix}"
session = sagemaker.Session()
train = session.upload_data(str(here / "model"), key_prefix=f"{name}/train")

estimator = SKLearn(
    entry_point="train.py",
    source_dir=str(here / "model"),
    framework_version="1.4-2",
    py_version="py3",
    role=role,
    instance_type="ml.m5.large",
    hyperparameters={"offset": 3},
    base_job_name=name,
    sagemaker_session=session,
)
estimator.fit({"train": train}, logs="All")
job = estimator.latest_training_job.describe()

predictor = estimator.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    endpoint_name=name,
    entry_point="serve.py",
    source_dir=str(here / "model"),
    serializer=CSVSerializer(),
    deserializer=StringDeserializer(),
)
answer = predictor.predict([[1, 2], [3, 4]])
attached = SKLearn.attach(job["TrainingJobName"], sagemaker_session=session)
package = attached.register(
    content_types=["text/csv"],
    response_types=["text/csv"],
    inference_instances=["ml.m5.large"],
    transform_instances=["ml.m5.large"],
    model_package_group_name=name,
    approval_status="Approved",
)
registered = session.sagemaker_client.describe_model_package(ModelPackageName=package.model_package_arn)
predictor.delete_model()  # first: it asks the endpoint's config for its models
predictor.delete_endpoint()

print()
print(
    json.dumps(
        {
            "bucket": session.default_bucket(),
            "job": job["TrainingJobName"],
            "profiler": job["ProfilerConfig"],
            "profiling": job["ProfilingStatus"],
            "hook": job["DebugHookConfig"],
            "answer": answer,
            "registered": registered["ModelApprovalStatus"],
            "card": json.loads(registered["ModelCard"]["ModelCardContent"]),
        }
    )
)
