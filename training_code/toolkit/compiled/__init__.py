"""Compiled models: a trained model as ONNX, which onnxruntime answers with, without the framework that trained it.

pipeline.yaml asks for it by `deploy: {compile: {target: onnx}}`, and the job is toolkit/compiler.py. A folder says
how its model becomes ONNX in a file compile.py:

    def onnx_model(model_dir):          -> ONNX: bytes, a ModelProto, or the path of a file
    KEEP = ["labels.json"]              files of the model that stay beside model.onnx

and, where those of serve.py need the framework, `input_fn`, `predict_fn` and `output_fn` in the place of serve.py's.
`predict_fn(data, model)` gets an OnnxModel (`toolkit.compiled.model`). The endpoint imports compile.py, too: what needs
the framework imports it inside of onnx_model. For most models it is a line of `toolkit.compiled.converters`; a
folder without compile.py has its scikit-learn estimator converted, the one that serve.py's model_fn loads.
"""
