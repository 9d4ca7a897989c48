"""cdk.json's environments as typed, frozen models: where the stacks go and how careful they are with what they hold.

An environment says everything that differs between two deployments. No variable, account or clock goes into a template
(they can only refuse a synth, or warn in it), so those of an environment are the same wherever they are made.
`account: null` is the account of whoever deploys, as pseudo parameters in the template; a number pins the environment
to that account, and the cdk command then refuses every other one. What retains its data must be pinned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract import names
from ratchet.spec.errors import ConfigurationError
from ratchet.spec.triggers import QuietSeconds

# The values that PutRetentionPolicy takes (CloudWatch Logs API reference).
LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]  # fmt: skip


# The severities of findings in an image's scan (ImageScanFinding, ECR API reference), the worst first.
Findings = Literal["none", "critical", "high", "medium", "low", "informational"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_SubnetId = Annotated[str, Field(pattern=r"^subnet-[0-9a-f]+$")]
_SecurityGroupId = Annotated[str, Field(pattern=r"^sg-[0-9a-f]+$")]


class Vpc(_Frozen):
    """Where jobs and endpoints get their network interfaces (VpcConfig: 1-16 subnets, 1-5 security groups)."""

    subnets: Annotated[tuple[_SubnetId, ...], Field(min_length=1, max_length=16)]
    security_groups: Annotated[tuple[_SecurityGroupId, ...], Field(min_length=1, max_length=5)]


class Environment(_Frozen):
    """One place that the stacks can be deployed to.

    `removal` is what `cdk destroy` does with what stacks hold (data, artifacts, run records, model packages): `retain`
    leaves it in the account, `destroy` empties and deletes it. `image_builds` is who builds a pipeline's `dockerfile:`,
    `image_findings` from which severity on a finding in the image's scan fails the build.
    `quiet_at_most` shortens the pipelines' quiet periods, where an upload takes no time.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,11}$")]
    account: Annotated[str, Field(pattern=r"^\d{12}$")] | None = None  # the cdk command passes no nulls on
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    removal: Literal["destroy", "retain"]
    log_retention_days: LogRetentionDays
    access_logs: Literal["none", "bucket"] = "none"
    image_builds: Literal["none", "codebuild"] = "none"
    image_findings: Findings = "none"
    permissions_boundary: Annotated[str, Field(pattern=r"^[\w+=,.@/-]{1,128}$")] | None = None
    vpc: Vpc | None = None
    quiet_at_most: QuietSeconds | None = None


def read_environment(path: Path, name: str) -> Environment:
    """An environment of a cdk.json, by its name.

    Raises:
        ConfigurationError: the file can't be read, has none of that name, or describes it wrongly.
    """
    return chosen_environment({**read_context(path), "environment": name})


def read_context(path: Path) -> dict[str, Any]:
    """The context of a cdk.json: `environments`, the chosen `environment`, and CDK's own settings.

    Raises:
        ConfigurationError: the file can't be read, or has none.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["context"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: describes no environments (context.environments): {error}") from error


def context_of_command(variables: Mapping[str, str]) -> dict[str, Any]:
    """The context that the cdk command calls an app with: cdk.json's, and what `-c` says.

    It is one of the app's variables; what is too large for that lies in a file, which another names.
    """
    context = json.loads(variables.get("CDK_CONTEXT_JSON") or "{}")
    overflow = variables.get("CONTEXT_OVERFLOW_LOCATION_ENV")
    return {**context, **(json.loads(Path(overflow).read_text(encoding="utf-8")) if overflow else {})}


def chosen_environment(context: Mapping[str, Any]) -> Environment:
    """The environment that `-c environment=NAME` names (`local` unless told), from the CDK app's context.

    Raises:
        ConfigurationError: there is none of that name, or cdk.json describes it wrongly, or leaves open in whose
            account its data is retained.
    """
    environments = context.get("environments")
    if not isinstance(environments, dict) or not environments:
        raise ConfigurationError(
            "cdk.json: context.environments must describe the environments; the cdk command reads it: run `cdk synth`"
        )
    name = context.get("environment") or names.LOCAL
    if name not in environments:
        raise ConfigurationError(f"cdk.json: there is no environment {name!r}; there are {', '.join(environments)}")
    found = environment(name, environments[name])
    if found.removal == "retain" and found.account is None:
        raise ConfigurationError(
            f"cdk.json: environments.{name}.account: must be the account's number, since what {name} holds is retained "
            "and mustn't land in another; `aws sts get-caller-identity` says the number"
        )
    return found


def chosen_pipelines(text: str | None) -> list[str] | None:
    """The pipelines that `-c pipelines=a,b` names; None for all. The shared stack's name chooses none beside it."""
    if text is None:
        return None
    return [name for name in map(str.strip, text.split(",")) if name and name != names.SHARED]


def environment(name: str, settings: object) -> Environment:
    """One environment of cdk.json.

    Raises:
        ConfigurationError: a setting is missing, unknown or wrong; the message names it.
    """
    if not isinstance(settings, dict):
        raise ConfigurationError(f"cdk.json: environments.{name}: must be an object of settings, not {settings!r}")
    try:
        # Through JSON's eyes, so that a list in cdk.json may become a tuple here.
        return Environment.model_validate_json(json.dumps({"name": name, **settings}))
    except ValidationError as error:
        raise ConfigurationError("\n".join(_sentence(name, problem) for problem in error.errors())) from error


def _sentence(name: str, problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    what = {
        "missing": "is missing",
        "extra_forbidden": f"is unknown; settings are {', '.join(sorted(set(Environment.model_fields) - {'name'}))}",
    }.get(problem["type"], f"{problem['msg'][0].lower()}{problem['msg'][1:]}, not {problem['input']!r}")
    return f"cdk.json: environments.{name}.{where}: {what}"
