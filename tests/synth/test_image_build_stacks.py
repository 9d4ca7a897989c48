"""The stack of a pipeline whose image is built from a Dockerfile of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from synthesis import Template, listed, settings, synthesize, text, write_pipeline

PUBLIC = "public.ecr.aws/docker/library/python:3.12"
FROM_SAGEMAKERS = f"""
# FROM 111111111111.dkr.ecr.us-east-1.amazonaws.com/not-this-one:1
ARG BASE=763104351884.dkr.ecr.us-west-2.amazonaws.com/pytorch-training:2.6.0-cpu-py312
FROM {PUBLIC} AS tools
FROM ${{BASE}}
COPY --from=tools /opt /opt
COPY --from=683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-py312 /opt /opt
COPY --from=763104351884.dkr.ecr.us-west-2.amazonaws.com/pytorch-inference:2.6.0-cpu-py312 /opt /opt
RUN docker pull 222222222222.dkr.ecr.us-east-1.amazonaws.com/nor-this:1
FROM python:3.12
"""


def built(folder: Path, dockerfile: str = "FROM scratch\n", **changes: Any) -> Template:
    model = write_pipeline(folder / "models", framework=None, dockerfile="Dockerfile")
    (model / "Dockerfile").write_text(dockerfile)
    (model / "sample").mkdir()
    (model / "sample" / "rows.csv").write_text("1,2\n")
    return synthesize(settings("dev", **changes), folder / "models", folder / "out")["tickets"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return built(tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return built(tmp_path_factory.mktemp("several"), FROM_SAGEMAKERS, image_findings="high")


def variables(template: Template) -> dict[str, Any]:
    project = template.one("AWS::CodeBuild::Project")["Properties"]
    return {each["Name"]: each["Value"] for each in project["Environment"]["EnvironmentVariables"]}


def test_jobs_and_models_name_the_image_by_its_digest(scratch: Template) -> None:
    machine = scratch.one("AWS::StepFunctions::StateMachine")["Properties"]
    (resource,) = scratch.of_type("Custom::BuiltImage")
    uri = {"Fn::GetAtt": [resource, "Digest"]}
    for name in ("image_uri", "hosting_image_uri"):
        *repository, digest = machine["DefinitionSubstitutions"][name]["Fn::Join"][1]
        assert digest == uri
        assert repository[-1].endswith("@") or repository[-1] == "@"
    built = scratch.one("Custom::BuiltImage")["Properties"]
    assert built["Tag"] not in text(machine), "a tag would be another image tomorrow"
    (place,) = scratch.of_type("AWS::ECR::Repository")
    assert built["Repository"] == {"Ref": place}, "another one is empty: the image is built again"


def test_the_repository_keeps_a_tag_s_image_and_scans_it(scratch: Template) -> None:
    repository = scratch.one("AWS::ECR::Repository")["Properties"]
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_the_build_has_two_phases_which_are_scripts(scratch: Template) -> None:
    project = scratch.one("AWS::CodeBuild::Project")["Properties"]
    spec = json.loads(project["Source"]["BuildSpec"])
    assert set(spec["phases"]) == {"build", "post_build"}
    for phase in spec["phases"].values():
        (command,) = phase["commands"]
        assert (command[0], command[-1]) == ("(", ")"), "in a shell of its own, which may end"
        assert "#" not in [line.strip()[:1] for line in command.splitlines()], "the log has each command as it is"
        subprocess.run(["sh", "-n", "-c", command], check=True)


def pulls(template: Template) -> list[Any]:
    found = [one for one in template.statements_of("ImageBuild") if "ecr:BatchGetImage" in listed(one["Action"])]
    return [one for one in found if "ecr:PutImage" not in listed(one["Action"])]


def test_it_may_pull_what_it_is_built_from_and_nothing_else(scratch: Template, several: Template) -> None:
    (bases,) = pulls(several)
    found = {text(arn).partition(":ecr:")[2].rstrip('"]}') for arn in bases["Resource"]}
    assert found == {
        "us-west-2:763104351884:repository/pytorch-training",
        "us-east-1:683313688378:repository/sagemaker-scikit-learn",
        "us-west-2:763104351884:repository/pytorch-inference",
    }
    assert pulls(scratch) == []


def test_it_logs_in_to_the_registries_that_are_named_and_its_own(scratch: Template, several: Template) -> None:
    bases = "763104351884.dkr.ecr.us-west-2.amazonaws.com 683313688378.dkr.ecr.us-east-1.amazonaws.com"
    own = text(variables(scratch)["REGISTRIES"])
    named = text(variables(several)["REGISTRIES"])
    assert own.count(".dkr.ecr.") == 1
    assert "public.ecr.aws" not in own
    assert named.rstrip('"]}').endswith(f" public.ecr.aws {bases}")


def test_public_ecr_takes_two_rights_where_it_is_named(scratch: Template, several: Template) -> None:
    of_public = ("ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken")
    statements = several.statements_of("ImageBuild")
    token, bearer = (next(one for one in statements if name in listed(one["Action"])) for name in of_public)
    assert (token["Resource"], bearer["Resource"]) == ("*", "*"), "AWS takes no other"
    assert bearer["Condition"] == {"StringEquals": {"sts:AWSServiceName": "ecr-public.amazonaws.com"}}
    assert "ecr-public" not in text(list(scratch.statements()))


def test_it_may_read_its_source_in_the_version_that_is_named(scratch: Template) -> None:
    source = [one for one in scratch.statements_of("ImageBuild") if "s3:GetObject" in listed(one["Action"])]
    builder = [one for one in source if listed(one["Action"]) == ["s3:GetObject"]]
    (build,) = [one for one in source if one not in builder]
    assert listed(build["Action"]) == ["s3:GetObject", "s3:GetObjectVersion"]
    assert builder[0]["Resource"] == build["Resource"], "who starts the build looks which version there is"
    assert "*" not in text(build["Resource"])


def test_findings_fail_a_build_from_the_environments_severity_on(scratch: Template, several: Template) -> None:
    assert variables(scratch)["FAILING"] == "none"
    assert variables(several)["FAILING"] == "CRITICAL HIGH"
    actions = [action for one in scratch.statements_of("ImageBuild") for action in listed(one["Action"])]
    assert "ecr:DescribeImageScanFindings" in actions


def test_the_source_is_the_context_and_nothing_else(tmp_path: Path) -> None:
    built(tmp_path)
    (folder,) = [path for path in (tmp_path / "out").glob("asset.*") if (path / "Dockerfile").is_file()]
    assert sorted(path.name for path in folder.iterdir()) == ["Dockerfile", "serve.py", "train.py"]


def test_roles_pull_that_repository_and_read_no_script(scratch: Template) -> None:
    (repository,) = scratch.of_type("AWS::ECR::Repository")
    for role in ("JobsTraining", "JobsHosting"):
        found = [one for one in scratch.statements_of(role) if "ecr:BatchGetImage" in listed(one["Action"])]
        assert [one["Resource"] for one in found] == [{"Fn::GetAtt": [repository, "Arn"]}]
    assert "code/tickets/" not in text(scratch.statements_of("JobsTraining"))


def test_a_build_that_ends_before_its_commands_is_answered_for(scratch: Template) -> None:
    (project,) = scratch.of_type("AWS::CodeBuild::Project")
    rule = scratch.named("ImageFailed")["Properties"]
    assert rule["EventPattern"]["detail"]["project-name"] == [{"Ref": project}]
    (target,) = rule["Targets"]
    built = scratch.one("Custom::BuiltImage")
    assert target["Arn"] == built["Properties"]["ServiceToken"]
    (told,) = [name for name in scratch.of_type("AWS::Lambda::Permission") if name.startswith("ImageTold")]
    assert told in built["DependsOn"], "the first build may fail before anybody would hear of it"
    (asked,) = [one for one in scratch.statements_of("ImageBuilder") if "codebuild:StartBuild" in listed(one["Action"])]
    assert asked == {
        "Action": ["codebuild:BatchGetBuilds", "codebuild:StartBuild"],
        "Effect": "Allow",
        "Resource": {"Fn::GetAtt": [project, "Arn"]},
    }
