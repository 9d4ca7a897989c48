"""What scripts import from the XGBoost image's own package, with AWS's names (aws/sagemaker-xgboost-container).

`encoder` and `data_utils` read data, `distributed` runs training on a job's hosts, `checkpointing` keeps rounds. The
container's training and serving are this SageMaker's.
"""
