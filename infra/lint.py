"""`python -m infra.lint`: every environment's templates under cfn-lint and cdk-nag's AwsSolutions; 1 on a finding.

A finding is argued where it arises, on the one resource (`infra.constructs.findings`); there are no suppressions here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.app import new_app
from infra.stages import add_stacks
from ratchet.spec import find_pipelines
from ratchet.spec.environments import Environment, environment, read_context

ROOT = Path(__file__).parents[1]


def environments(cdk_json: Path) -> list[Environment]:
    """Every environment of a cdk.json."""
    described: dict[str, Any] = read_context(cdk_json)["environments"]
    return [environment(name, settings) for name, settings in described.items()]


def synthesize(target: Environment, root: Path, outdir: Path) -> list[Path]:
    """Writes an environment's templates as `cdk synth` would, under cdk-nag and CDK's own validation.

    Raises:
        RuntimeError: they have findings, which are on the console.
    """
    context = read_context(root / "cdk.json")
    app = new_app(outdir=outdir, context=context, validation="lint")
    add_stacks(app, target, find_pipelines(root / "training_code"), toolkit=root / "training_code" / "toolkit")
    _add_nag(app)
    app.synth()
    return sorted(outdir.glob("*.template.json"))


def _add_nag(app: Any) -> None:
    from aws_cdk import Validations  # noqa: PLC0415
    from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415 - a development tool, which cdk synth doesn't need

    Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def lint(target: Environment, root: Path) -> bool:
    """Prints what the linters find in an environment's templates; True if that is nothing."""
    with TemporaryDirectory() as folder:
        try:
            templates = synthesize(target, root, Path(folder))
        except RuntimeError as error:
            if "ValidationFailed" not in str(error):
                raise
            print(f"{target.name}: {error}", file=sys.stderr)  # noqa: T201 - a command's output
            return False
        found = [problem for template in templates for problem in cfn_lint(template, target.region)]
        for problem in found:
            print(f"{target.name}: {problem}", file=sys.stderr)  # noqa: T201 - a command's output
        return not found


def cfn_lint(template: Path, region: str) -> list[str]:
    """cfn-lint's errors and warnings in a template."""
    from cfnlint.api import lint_file  # noqa: PLC0415
    from cfnlint.config import ManualArgs  # noqa: PLC0415

    matches = lint_file(template, ManualArgs(regions=[region]))
    return [f"{template.name}:{match.linenumber}: {match.rule.id}: {match.message}" for match in matches]


def main() -> int:
    """Lints all environments of this checkout."""
    clean = [lint(target, ROOT) for target in environments(ROOT / "cdk.json")]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
