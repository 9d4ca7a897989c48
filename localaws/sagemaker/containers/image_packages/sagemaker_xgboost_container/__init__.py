"""The readers of data of the XGBoost image, with the names of AWS's own (aws/sagemaker-xgboost-container).

Its training and serving are this SageMaker's; what scripts import are `encoder` and `data_utils`.
"""
