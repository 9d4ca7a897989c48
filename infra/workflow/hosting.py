"""What serves a candidate: a model and an endpoint config, named by what they hold, and made unless they are there."""

from __future__ import annotations

from contract import files, names, thresholds
from contract.micro_batches import MICRO_BATCHES
from contract.signatures import MODEL_PACKAGE
from contract.states import RECORD
from infra.grants import Grant
from infra.workflow import chain
from infra.workflow.conditions import all_of, in_time, says_existing, says_throttled
from infra.workflow.endpoint import VARIANT
from infra.workflow.endpoint_kinds import held, integration, of_kind
from infra.workflow.expressions import expression, jsonata, quoted
from infra.workflow.instances import of_variant
from infra.workflow.job_role import JobRole
from infra.workflow.language import RETRY_EXPECTED, States, choice, task, waiting_for, when
from infra.workflow.requests import Document, in_vpc, tags, vpc
from infra.workflow.surroundings import Surroundings

# Where the framework's inference toolkit finds the model's own code: model.tar.gz brings it along.
ENVIRONMENT = {
    chain.PROGRAM: files.SERVING_SCRIPT,
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    # scikit-learn's and XGBoost's containers run `pip install .` on that code before they serve. 0 is how this variable
    # says --no-build-isolation (pip's option is stored inverted), so that pip builds with the image's setuptools, where
    # it would download setuptools at every start: in a VPC without PyPI the endpoint would never come up.
    "PIP_NO_BUILD_ISOLATION": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}

# What the run deploys: `content_names`, and of a batch the model's alone.
DEPLOYMENT = "$deployment"
MODEL_NAME, CONFIG_NAME = f"{DEPLOYMENT}.model_name", f"{DEPLOYMENT}.endpoint_config_name"
_AGAIN_SECONDS = 2


# --------------------------------------------------------------------------------------------------------------- names


def content_names(at: Surroundings, role: JobRole) -> str:
    """The model's and the endpoint config's name, by what each will hold."""
    deploy = at.spec.deploy
    several = [*deploy.instance.in_order, deploy.provisioning]
    instances = several if deploy.instance.instead else str(deploy.instance)
    held_by_config = ["$model_name", *_texts(instances, deploy.first_count)]
    model_name = content_name_of_model(at, role)
    config_name = content_name(at.content_prefix, [*held_by_config, *_texts(*held(at))])
    document = f"{{'model_name': $model_name, 'endpoint_config_name': {config_name}}}"
    return expression(f"($model_name := {model_name}; {document})")


def content_name_of_model(at: Surroundings, role: JobRole) -> str:
    """The model's name by what it will hold, as JSONata text."""
    contents = ["$candidate.image_uri", "$candidate.model_data", *_texts(role.arn, _environment(at), vpc(at))]
    return content_name(at.content_prefix, contents, chain.held())


def content_name(prefix: str, contents: list[str], more: str = "") -> str:
    """contract.names.content_name, as JSONata text; `more` is the text of a list of further contents."""
    listed = f"[{', '.join(contents)}]"
    digest = f"$hash($join({f'$append({listed}, {more})' if more else listed}, ' '), 'SHA-256')"
    return f"{quoted(prefix)} & $substring({digest}, 0, {names.CONTENT_HASH_LENGTH})"


def _texts(*values: object) -> list[str]:
    return [f"$string({jsonata(value)})" for value in values]


# ------------------------------------------------------------------------------------------------------------ requests


def _environment(at: Surroundings) -> Document:
    """The container's, which is told the model package that it serves, since its answers may name it, below which
    confidence it isn't sure, where the candidate is served so, and how many rows to predict together.
    """
    return {**script_mode(at), **_told(at)}


def script_mode(at: Surroundings) -> Document:
    """What a framework's container is told; nothing for an image of the user's own, which serves by itself."""
    return {} if at.spec.is_own_container else ENVIRONMENT


def _told(at: Surroundings) -> Document:
    """Of the spec and of the candidate; what that hasn't is no variable."""
    together = at.spec.deploy.batch
    told = {"model_package_arn": MODEL_PACKAGE, thresholds.KEPT: thresholds.THRESHOLD}
    return {
        **({MICRO_BATCHES: together.told} if together else {}),
        **{variable: expression(f"$candidate.{name}") for name, variable in told.items()},
    }


def model(at: Surroundings, role: JobRole) -> str:
    """CreateModel."""
    alone = {
        "Image": expression("$candidate.image_uri"),
        "ModelDataUrl": expression("$candidate.model_data"),
        # One expression: what the candidate hasn't is then no variable.
        "Environment": expression(jsonata(_environment(at))),
    }
    request = {
        "ModelName": expression(MODEL_NAME),
        "ExecutionRoleArn": role.arn,
        "Tags": tags(at),
        **in_vpc(at),
    }
    return chain.merged(request, chain.containers_of(alone, _told(at)))


def endpoint_config(at: Surroundings) -> Document:
    """CreateEndpointConfig: one variant that takes all traffic."""
    variants = [variant(at, MODEL_NAME)]
    return {"EndpointConfigName": expression(CONFIG_NAME), "ProductionVariants": variants, "Tags": tags(at)}


def variant(at: Surroundings, model_name: str) -> Document:
    """A variant with the model that the JSONata text names."""
    return {
        "VariantName": VARIANT,
        "ModelName": expression(model_name),
        **of_variant(at.spec.deploy.instance, at.spec.deploy.provisioning),
        "InitialInstanceCount": at.spec.deploy.first_count,
        "InitialVariantWeight": 1,
    }


# -------------------------------------------------------------------------------------------------------------- states


def make_model(at: Surroundings, role: JobRole, *, then: str) -> States:
    """The model of `$deployment`, made unless it is there; `timer` has been set."""
    return _once("Model", "ModelName", MODEL_NAME, model(at, role), then=then)


def make_endpoint_config(at: Surroundings, *, then: str) -> States:
    """The endpoint config of `$deployment`, made unless it is there; `timer` has been set."""
    request = of_kind(at, endpoint_config(at))
    return _once("EndpointConfig", "EndpointConfigName", CONFIG_NAME, request, then=then, by=integration(at))


def _once(kind: str, key: str, name: str, request: Document | str, *, then: str, by: str = "sagemaker") -> States:
    """Creates what is named by its content, by an integration; that it exists already is as good."""
    create, find, again = f"Create{kind}", f"Find{kind}", f"WaitToCreate{kind}"
    refused = [
        when(says_existing(), find),
        when(all_of(says_throttled(), in_time()), again, {"failure": None}),
    ]
    return {
        **task(create, f"{by}:create{kind}", request, then=then, retries=RETRY_EXPECTED, on_failure=f"{kind}Exists"),
        **choice(f"{kind}Exists", refused, default=RECORD),
        **waiting_for(again, _AGAIN_SECONDS, then=create),
        **task(
            find,
            f"aws-sdk:sagemaker:describe{kind}",
            {key: expression(name)},
            then=then,
            assign={"failure": None},
        ),
    }


# -------------------------------------------------------------------------------------------------------------- grants


def make_models(at: Surroundings) -> Grant:
    return Grant(
        actions=["sagemaker:CreateModel", "sagemaker:DescribeModel", "sagemaker:AddTags"],
        resources=[at.model_arns],
    )


def make_endpoint_configs(at: Surroundings) -> Grant:
    return Grant(
        actions=["sagemaker:CreateEndpointConfig", "sagemaker:DescribeEndpointConfig", "sagemaker:AddTags"],
        resources=[at.endpoint_config_arns],
    )
