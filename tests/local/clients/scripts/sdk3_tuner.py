"""What a user of version 3 of the SageMaker SDK writes to tune: HyperparameterTuner on a ModelTrainer, its analytics.

Arguments: role ARN, image URI, a suffix for names. Prints one JSON object as its last line.
"""

import json
import sys
import tempfile
from pathlib import Path

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter, IntegerParameter
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode
from sagemaker.train.tuner import HyperparameterTuner

role, image, suffix = sys.argv[1:]
name = f"sdk3t-{suffix}"
session = Session()
TRAIN = """
import os, sys
told = dict(zip(sys.argv[1::2], sys.argv[2::2]))
open(os.environ["SM_MODEL_DIR"] + "/lr.txt", "w").write(told["--lr"])
print("score=%s;" % (float(told["--lr"]) + float(told["--depth"])))
print("told", *sorted(told), told["--kernel"], told["--offset"], len(os.listdir(os.environ["SM_CHANNEL_TRAIN"])))
"""

with tempfile.TemporaryDirectory() as folder:
    Path(folder, "train.py").write_text(TRAIN)
    data = session.upload_data(str(Path(folder, "train.py")), session.default_bucket(), f"{name}/train")
    trainer = ModelTrainer(
        sagemaker_session=session,
        role=role,
        training_image=image,
        base_job_name=name,
        source_code=SourceCode(source_dir=folder, entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        hyperparameters={"offset": 3, "lr": 0.1},
    )
    tuner = HyperparameterTuner(
        trainer,
        objective_metric_name="score",
        hyperparameter_ranges={
            "lr": ContinuousParameter(0.01, 0.5, scaling_type="Logarithmic"),
            "depth": IntegerParameter(2, 9),
            "kernel": CategoricalParameter(["rbf", "linear"]),
        },
        metric_definitions=[{"Name": "score", "Regex": "score=([0-9.]+);"}],
        strategy="Random",
        max_jobs=3,
        max_parallel_jobs=2,
        base_tuning_job_name=name,
        random_seed=3,
    )
    tuner.tune(inputs=[InputData(channel_name="train", data_source=data)], wait=False)
    tuner.latest_tuning_job.wait(poll=1)

table = tuner.analytics().dataframe()
job = tuner.describe()
print()
print(
    json.dumps(
        {
            "job": job.hyper_parameter_tuning_job_name,
            "status": job.hyper_parameter_tuning_job_status,
            "completed": job.training_job_status_counters.completed,
            "best": tuner.best_training_job(),
            "best_in_table": table.sort_values("FinalObjectiveValue").iloc[-1]["TrainingJobName"],
            "columns": sorted(table.columns),
            "ranges": sorted(tuner.analytics().tuning_ranges),
        }
    )
)
