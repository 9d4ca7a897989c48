"""`deploy.compile`: the trained model becomes one in ONNX, which onnxruntime answers with, without the framework."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from contract import compiled
from ratchet.spec.errors import checked, nearest, refusal
from ratchet.spec.model import Example, Model

# TargetDevice of CreateCompilationJob (API reference): Neo's instances for hosting, and its edge devices.
_NEO = re.compile(
    r"lambda|ml_[a-z0-9]+|jetson_\w+|rasp\w+|imx\w+|deeplens|rk\w+|aisage|sbe_c|qcs\w+|sitara_am57x|x86_win\w+|amba_\w+|coreml"
)


def _target(value: str) -> str:
    if value in compiled.TARGETS:
        return value
    if _NEO.fullmatch(value.lower().replace("-", "_")):
        raise ValueError(
            f"is {value!r}, a target of SageMaker Neo, which is not supported: for hosting Neo compiles models of "
            "PyTorch up to 2.0, XGBoost up to 1.3 and TensorFlow up to 2.9 (developer guide, Supported Instance Types "
            f"and Frameworks), none of scikit-learn; write {compiled.ONNX}, which runs on any instance with a CPU"
        )
    raise ValueError(f"is {value!r}{nearest(value, compiled.TARGETS)}")


class Compile(Model):
    """What the model becomes, and how far its answers may differ."""

    target: Annotated[
        str,
        AfterValidator(checked(_target)),
        Field(description="What is made: onnx", json_schema_extra={"enum": list(compiled.TARGETS)}),
        Example("target: onnx"),
    ]
    tolerance: Annotated[
        float,
        Field(ge=0, lt=1, description="The largest share of held-out examples that may be answered otherwise"),
    ] = compiled.TOLERANCE
    int8: Annotated[
        bool, Field(description="Whether the weights of dense layers become int8, where that keeps the answers")
    ] = True


def check_compiled(compile_: Compile | None, *, chained: bool) -> None:
    """Raises a refusal where the model isn't answered by one script of a framework's container."""
    if compile_ is not None and chained:
        message = (
            "is said beside deploy.chain, whose containers answer one after the other, each with a model of its own; "
            "leave one of them out"
        )
        raise refusal(message, "deploy", "compile")
