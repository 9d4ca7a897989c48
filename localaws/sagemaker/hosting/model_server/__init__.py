"""The server in a model container: `/ping` and `/invocations` around the functions of the user's program.

It runs inside the image's own environment, where there is no `localaws`: `__main__.py` is started as a file, modules
import each other by relative names, and beyond them nothing but the standard library and, when a default needs it, the
image's numpy or framework. Its contract is that of SageMaker's framework containers (developer guide, "Use Your Own
Inference Code with Hosting Services"), whose functions are

    model_fn(model_dir) -> model                         PyTorch's default loads TorchScript
    input_fn(request_body, content_type) -> data
    predict_fn(data, model) -> prediction
    output_fn(prediction, accept) -> (body, content type)
    transform_fn(model, request_body, content_type, accept)  instead of the last three

and each framework's container has defaults of its own (`sklearn_functions`, `xgboost_functions`, `pytorch_functions`)
and a server of its own (`flask_model`, `toolkit_model`), chosen in `containers`.

Connections come one by one through a socket that the platform holds the other end of (`--control-fd`), so that a model
has no address that anybody else could reach; `--port` serves on loopback instead, to try a model by hand.
A worker of the Flask images answers others while a request's code waits, as gevent's do (`one_at_a_time`).
Whoever asks before `model_fn` has returned is told 503. The process ends with the platform: the control socket's end of
file kills its process group.
"""
