"""The server in a model container: `/ping` and `/invocations` around the functions of the user's `serve.py`.

It runs inside the image's own environment, where there is no `localaws`: `__main__.py` is started as a file, modules
import each other by relative names, and beyond them nothing but the standard library and, when a default needs it, the
image's numpy. Its contract is that of SageMaker's framework containers (developer guide,
"Use Your Own Inference Code with Hosting Services", and the inference toolkit's four functions):

    model_fn(model_dir) -> model                         required
    input_fn(request_body, content_type) -> data         default: CSV, JSON and NPY become a numpy array
    predict_fn(data, model) -> prediction                default: `model.predict`, or calling the model
    output_fn(prediction, accept) -> body or (body, type)    default: JSON, CSV or NPY
    transform_fn(model, request_body, content_type, accept)  instead of the last three

Connections come one by one through a socket that the platform holds the other end of (`--control-fd`), so that a model
has no address that anybody else could reach; `--port` serves on loopback instead, to try a model by hand.
The process ends with the platform: the control socket's end of file kills its process group.
"""
