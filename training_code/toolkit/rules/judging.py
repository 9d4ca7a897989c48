"""One rule over a job: from saved tensors to a status, in Debugger's words (contract/verdicts.py)."""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contract.environment import ACTIONS, STOP
from contract.verdicts import ERROR, IN_PROGRESS, ISSUES_FOUND, NO_ISSUES, STOPPED
from toolkit.probe.errors import NotSavedError
from toolkit.probe.layout import EVAL, TRAIN
from toolkit.rules.feed import Moment
from toolkit.rules.parameters import RuleError
from toolkit.rules.rule import Rule, Saved, Tensors, Verdict
from toolkit.rules.table import built_in


@dataclass(frozen=True)
class Configuration:
    """A rule as the job has it: RATCHET_RULES holds a list of these. action: stop, notify or record."""

    rule: str
    name: str
    parameters: Mapping[str, Any]
    action: str = STOP

    @staticmethod
    def of(document: Any) -> Configuration:
        """The configuration that {"rule", "name"?, "parameters"?, "action"?} holds. Raises RuleError."""
        if not isinstance(document, dict) or not isinstance(document.get("rule"), str):
            raise RuleError(f'a rule is {{"rule": name, …}}, not {document!r}')
        rule = document["rule"]
        action = document.get("action") or STOP
        if action not in ACTIONS:
            raise RuleError(f"{rule}: action is {action!r}; it must be one of {', '.join(ACTIONS)}")
        name = document.get("name") or rule.rpartition(".")[2]
        return Configuration(rule, name, document.get("parameters") or {}, action)


@dataclass(frozen=True)
class Status:
    """A rule's status so far. at: seconds since 1970 of its last change."""

    name: str
    rule: str
    action: str
    status: str
    step: int | None = None
    value: float | None = None
    reason: str = ""
    at: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether it is final."""
        return self.status != IN_PROGRESS


class Judge:
    """Feeds one rule and keeps its status. Whatever the rule does, nothing is raised here."""

    def __init__(self, configuration: Configuration, trial: Tensors, clock: Callable[[], float]) -> None:
        self.configuration, self._clock = configuration, clock
        self._rule: Rule | None = None
        self._evaluated: Moment | None = None
        self.status = Status(configuration.name, configuration.rule, configuration.action, IN_PROGRESS, at=clock())
        try:
            self._rule = load(configuration.rule)(trial, configuration.parameters, configuration.name)
            # evaluate(self, step) is enough for a rule that cares for no mode.
            self._takes = len(inspect.signature(self._rule.evaluate).parameters)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a class of the user's may raise anything
            self._end(ERROR, reason=_cause(error))

    def judge(self, moment: Moment) -> None:
        """Judges what was saved at a step."""
        rule = self._rule
        self._evaluated = moment if moment.mode == EVAL else self._evaluated
        if rule is None or moment.mode not in rule.modes:
            return
        both = (moment.step, moment.mode)
        self._ask(moment.step, lambda: rule.evaluate(*both[: self._takes]), moment.mode)

    def idle(self, step: int, seconds: float) -> None:
        """Tells the rule that nothing is being saved."""
        rule = self._rule
        if rule is not None:
            self._ask(step, lambda: rule.idle(step, seconds))

    def finish(self, seen: Sequence[Saved], cut_short: str = "") -> None:
        """Ends the judging: no more comes. cut_short: why, when the training didn't end in good order."""
        rule = self._rule
        if rule is None or self.status.ended:
            return
        self._ask(rule.last[0] if rule.last else -1, rule.finish)
        if self.status.ended:
            return
        missing = rule.missing(seen)
        if missing or cut_short:
            self._end(ERROR, reason="; ".join(filter(None, [missing, cut_short])))
            return
        step, value = rule.last or (None, None)
        reason = f"judged {rule.judgements} times" + (f", {_skips(rule)}" if rule.skips else "")
        self._end(NO_ISSUES, step, value, reason)

    def stopped(self, reason: str) -> None:
        """Ends the judging of a job that was stopped, not by this rule, before all of it was judged."""
        if not self.status.ended:
            step, value = (self._rule and self._rule.last) or (None, None)
            self._end(STOPPED, step, value, reason)

    def _ask(self, step: int, question: Callable[[], Any], mode: str = TRAIN) -> None:
        if self.status.ended:
            return
        try:
            verdict = _verdict(question(), step)
        except NotSavedError as error:
            self._end(ERROR, step, reason=str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a rule's mistake is its own verdict
            self._end(ERROR, step, reason=f"the rule raised {_cause(error)}")
        else:
            self._took(verdict, mode)

    def _took(self, verdict: Verdict | None, mode: str) -> None:
        if verdict is not None:
            value = verdict.value if verdict.value is not None and math.isfinite(verdict.value) else None
            self._end(ISSUES_FOUND, self._training_step(verdict, mode), value, verdict.reason)
        elif self._rule is not None and self._rule.last is not None:
            step, value = self._rule.last
            self.status = replace(self.status, step=step, value=value)

    def _training_step(self, verdict: Verdict, mode: str) -> int:
        """The step of a verdict as training counts: evaluation counts its own, which tell nobody where that was."""
        last = self._evaluated
        if (verdict.mode or mode) == EVAL and last and last.step == verdict.step and last.train_step is not None:
            return last.train_step
        return verdict.step

    def _end(self, status: str, step: int | None = None, value: float | None = None, reason: str = "") -> None:
        self.status = replace(self.status, status=status, step=step, value=value, reason=reason, at=self._clock())


def load(name: str) -> type[Rule]:
    """The class of a rule: a built-in one, or `module.Class` of the model's folder. Raises RuleError."""
    if "." not in name:
        return built_in(name)
    module, _, class_name = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), class_name)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0] and error.name != module:
            raise RuleError(f"{name}: importing {module} failed: {error}") from error
        folders = ", ".join(path for path in sys.path[:3] if path)
        raise RuleError(f"{name}: there is no module {module} in the model's folder ({folders})") from error
    except AttributeError as error:
        raise RuleError(f"{name}: {module} has no class {class_name}") from error
    if not (isinstance(found, type) and issubclass(found, Rule)):
        raise RuleError(f"{name} is no rule; write class {class_name}(toolkit.rules.Rule)")
    return found


def _verdict(found: Any, step: int) -> Verdict | None:
    """A rule's answer as a verdict; True is one without words, as Debugger's own rules returned it."""
    if found is None or found is False or isinstance(found, Verdict):
        return found or None
    if found is True:
        return Verdict(step, None, "the rule's condition is met")
    raise RuleError(f"evaluate returned {found!r}; it must return a Verdict, True, False or None")


def _skips(rule: Rule) -> str:
    name, why = next(iter(rule.skipped.items()))
    return f"not {rule.skips} times, the first: {name}: {why}"


def _cause(error: BaseException) -> str:
    if isinstance(error, RuleError):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {error}{where}"
