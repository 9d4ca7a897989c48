"""What the XGBoost image's own code raises (aws/sagemaker-xgboost-container, src/sagemaker_algorithm_toolkit)."""
