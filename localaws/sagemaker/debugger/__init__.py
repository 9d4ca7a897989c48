"""SageMaker Debugger: the hook's tensors and the evaluation of rules."""
