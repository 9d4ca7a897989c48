"""What a user of version 3 of the SageMaker SDK writes: ModelTrainer, processors, ModelBuilder, on a Session.

Arguments: role ARN, image URI, a suffix for names. Prints one JSON object as its last line.
"""

import json
import sys
from pathlib import Path

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.processing import FrameworkProcessor, ScriptProcessor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

role, image, suffix = sys.argv[1:]
here = Path(__file__).parents[1]
name = f"sdk3-{suffix}"
session = Session()
bucket = session.default_bucket()
train = session.upload_data(str(here / "model"), bucket, f"{name}/train")

trainer = ModelTrainer(
    sagemaker_session=session,
    role=role,
    training_image=image,
    base_job_name=name,
    source_code=SourceCode(source_dir=str(here / "model"), entry_script="train.py"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
    hyperparameters={"offset": 3},
)
trainer.train(input_data_config=[InputData(channel_name="train", data_source=train)], wait=True, logs=True)
job = trainer._latest_training_job

common = {"sagemaker_session": session, "role": role, "image_uri": image, "command": ["python3"]}
common |= {"instance_type": "ml.m5.large", "instance_count": 1}


def read(key):
    source = ProcessingS3Input(
        s3_uri=key, s3_data_type="S3Prefix", s3_input_mode="File", local_path="/opt/ml/processing/input/data"
    )
    return ProcessingInput(input_name="data", s3_input=source)


def written(key):
    target = ProcessingS3Output(
        s3_uri=f"s3://{bucket}/{name}/{key}", local_path="/opt/ml/processing/output", s3_upload_mode="EndOfJob"
    )
    return ProcessingOutput(output_name="counted", s3_output=target)


script = ScriptProcessor(base_job_name=f"{name}-script", **common)
script.run(
    code=str(here / "scripts" / "count_files.py"),
    arguments=["--of", "script"],
    inputs=[read(train)],
    outputs=[written("script")],
    wait=False,
)
folder = FrameworkProcessor(base_job_name=f"{name}-folder", **common)
folder.run(
    source_dir=str(here / "scripts"),
    code="count_files.py",
    arguments=["--of", "folder"],
    inputs=[read(train)],
    outputs=[written("folder")],
    wait=False,
)

builder = ModelBuilder(
    sagemaker_session=session,
    s3_model_data_url=job.model_artifacts.s3_model_artifacts,
    image_uri=image,
    role_arn=role,
    instance_type="ml.m5.large",
    source_code=SourceCode(source_dir=str(here / "model"), entry_script="serve.py"),
)
builder.build(model_name=name)
endpoint = builder.deploy(endpoint_name=name, wait=False)
endpoint.wait_for_status("InService", poll=1)
answer = endpoint.invoke(body="1,2\n3,4\n", content_type="text/csv", accept="text/csv")

for processor in (script, folder):
    processor.latest_job.wait(poll=1)
counted = [session.read_s3_file(bucket, f"{name}/{key}/counted.txt") for key in ("script", "folder")]

print()
print(
    json.dumps(
        {
            "bucket": bucket,
            "job": job.training_job_name,
            "status": job.training_job_status,
            "counted": counted,
            "answer": answer.body.read().decode(),
            "content_type": answer.content_type,
        }
    )
)
