"""What a user of version 2 of the SageMaker SDK writes: an estimator's fit and deploy, and its predictor.

Arguments: role ARN, a suffix for names. Prints one JSON object as its last line.
"""

import json
import sys
from pathlib import Path

import sagemaker
from sagemaker.deserializers import StringDeserializer
from sagemaker.pipeline import PipelineModel
from sagemaker.predictor import Predictor
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

# An inference pipeline: the model's answers go through it once more.
models = [
    estimator.create_model(
        entry_point="serve.py",
        source_dir=str(here / "model"),
        env={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"},
        name=f"{name}-{number}",
    )
    for number in (1, 2)
]
pipeline = PipelineModel(models, role, Predictor, name=f"{name}-twice", sagemaker_session=session)
twice = pipeline.deploy(
    1, "ml.m5.large", endpoint_name=f"{name}-twice", serializer=CSVSerializer(), deserializer=StringDeserializer()
)
chained = twice.predict([[1, 2], [3, 4]])
several = pipeline.register(["text/csv"], ["text/csv"], ["ml.m5.large"], ["ml.m5.large"], model_package_group_name=name)
described = session.sagemaker_client.describe_model_package(ModelPackageName=several.model_package_arn)
twice.delete_model()
twice.delete_endpoint()
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
            "chained": chained,
            "containers": len(described["InferenceSpecification"]["Containers"]),
            "registered": registered["ModelApprovalStatus"],
            "card": json.loads(registered["ModelCard"]["ModelCardContent"]),
        }
    )
)
