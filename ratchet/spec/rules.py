"""`rules` of pipeline.yaml: which rules judge a training job while it runs.

Which rules there are, and with what parameters, is `rules.json`'s to say, written from the toolkit's own table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ratchet.spec import own_code, rule_parameters
from ratchet.spec.errors import nearest, refusal
from ratchet.spec.model import Model

TABLE = Path(__file__).parent / "rules.json"
# DebugRuleConfigurations, CreateTrainingJob, API reference; the open rules keep to it, so that a spec can change sides.
RULES = 20
RULE_NAME = 256
# Types of the parameters that say which tensors a rule inspects.
CHOOSING = ("regex", "regexes", "strings")

_RULE_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9])*")

Parameter = str | int | float | bool | None | list[str | int | float]


class Rule(Model):
    """One rule over a training job's tensors, and what becomes of the job when it finds issues."""

    rule: Annotated[str, Field(description="A rule's name, or <module>.<Class> of the model's folder")]
    name: Annotated[str | None, Field(description="What it is called in records; the rule's name unless told")] = None
    parameters: Mapping[str, Parameter] = {}
    action: Literal["stop", "notify", "record"] = "stop"

    @property
    def configuration_name(self) -> str:
        """The RuleConfigurationName of events."""
        return self.name or self.rule.rpartition(".")[2]

    @property
    def is_custom(self) -> bool:
        return "." in self.rule

    @model_validator(mode="after")
    def _known(self) -> Rule:
        if not _RULE_NAME.fullmatch(self.configuration_name) or len(self.configuration_name) > RULE_NAME:
            message = f"is {self.configuration_name!r}; use at most {RULE_NAME} letters, digits and hyphens"
            raise refusal(message, "name")
        if self.is_custom:
            if not own_code.is_dotted(self.rule):
                raise refusal(f"is {self.rule!r}; write a class of the model's folder as my_rules.MyRule", "rule")
        else:
            _check_built_in(self)
        return self


def _check_built_in(rule: Rule) -> None:
    known = table()
    if rule.rule not in known:
        raise refusal(f"is {rule.rule!r}, which is no rule{nearest(rule.rule, list(known))}", "rule")
    rule_parameters.check(rule.rule, known[rule.rule], rule.parameters)


def check_rules(rules: Sequence[Rule]) -> None:
    """Raises a refusal when they are too many, or two have one name."""
    if len(rules) > RULES:
        raise refusal(f"has {len(rules)} entries; a training job takes at most {RULES}", "rules")
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.configuration_name in seen:
            message = f"is the second called {rule.configuration_name!r}; give it a name of its own, as name: …"
            raise refusal(message, "rules", index)
        seen.add(rule.configuration_name)


def check_custom_rule(rule: Rule, folder: Path) -> str | None:
    """The end of a sentence about a rule of the model's own whose module or class isn't there; None where it is."""
    return own_code.check_class(rule.rule, folder)


def brings(rule: Rule) -> Mapping[str, Mapping[str, Any]]:
    """The probe's collections that a rule needs, by name, unless its parameters choose its tensors."""
    if rule.is_custom:
        return {}
    known = table()[rule.rule]
    chosen = {name for name, told in known["parameters"].items() if told["type"] in CHOOSING}
    found: Mapping[str, Mapping[str, Any]] = {} if chosen & rule.parameters.keys() else known["saves"]
    return found


def is_ratchets_own(name: str) -> bool:
    """Whether a built-in rule has no page among those of SageMaker Debugger's."""
    return not table()[name]["source"].startswith("https://")


@cache
def table() -> Mapping[str, Any]:
    """Rule → its parameters, sources and needs, as the file has them."""
    found: Mapping[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found
