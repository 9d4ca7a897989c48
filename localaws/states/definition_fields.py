"""Which fields each type of state has, by query language (States Language specification; Developer Guide, "Discovering
workflow states")."""

from __future__ import annotations

from localaws.states.choices import OPERATORS

COMMON = frozenset({"Type", "Comment", "QueryLanguage"})
_TRANSITION = frozenset({"Next", "End"})
_RESULT = frozenset({"Retry", "Catch"})

# Fields of both languages.
FIELDS = {
    "Pass": _TRANSITION | {"Assign"},
    "Task": _TRANSITION | _RESULT | {"Assign", "Resource", "TimeoutSeconds", "HeartbeatSeconds", "Credentials"},
    "Choice": frozenset({"Choices", "Default", "Assign"}),
    "Wait": _TRANSITION | {"Assign", "Seconds", "Timestamp"},
    "Succeed": frozenset[str](),
    "Fail": frozenset({"Error", "Cause"}),
    "Parallel": _TRANSITION | _RESULT | {"Assign", "Branches"},
    "Map": _TRANSITION | _RESULT | {"Assign", "ItemProcessor", "ItemSelector", "MaxConcurrency"},
}
JSONATA_FIELDS = {
    "Pass": frozenset({"Output"}),
    "Task": frozenset({"Arguments", "Output"}),
    "Choice": frozenset({"Output"}),
    "Wait": frozenset({"Output"}),
    "Succeed": frozenset({"Output"}),
    "Fail": frozenset[str](),
    "Parallel": frozenset({"Arguments", "Output"}),
    "Map": frozenset({"Items", "Output"}),
}
_PATHS = frozenset({"InputPath", "OutputPath"})
_PARAMETERS = _PATHS | {"Parameters", "ResultSelector", "ResultPath"}
JSONPATH_FIELDS = {
    "Pass": _PARAMETERS | {"Result"},
    "Task": _PARAMETERS | {"TimeoutSecondsPath", "HeartbeatSecondsPath"},
    "Choice": _PATHS,
    "Wait": _PATHS | {"SecondsPath", "TimestampPath"},
    "Succeed": _PATHS,
    "Fail": frozenset({"ErrorPath", "CausePath"}),
    "Parallel": _PARAMETERS,
    "Map": _PARAMETERS | {"ItemsPath", "Iterator", "MaxConcurrencyPath"},
}
REQUIRED = {
    "Task": ("Resource",),
    "Choice": ("Choices",),
    "Parallel": ("Branches",),
}

# What AWS has and this interpreter hasn't: refused by name when a machine is made.
NOT_HERE = {
    "Credentials": "tasks in other accounts",
    "ItemReader": "the distributed Map",
    "ItemBatcher": "the distributed Map",
    "ResultWriter": "the distributed Map",
    "Label": "the distributed Map",
    "ToleratedFailureCount": "the distributed Map",
    "ToleratedFailureCountPath": "the distributed Map",
    "ToleratedFailurePercentage": "the distributed Map",
    "ToleratedFailurePercentagePath": "the distributed Map",
}

MACHINE = frozenset({"Comment", "StartAt", "States", "QueryLanguage", "TimeoutSeconds", "Version"})
BRANCH = frozenset({"Comment", "StartAt", "States", "QueryLanguage", "ProcessorConfig"})
RETRIER = frozenset(
    {"ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy", "Comment"}
)
CATCHER = frozenset({"ErrorEquals", "Next", "Comment", "Assign"})
CHOICE_RULE = frozenset({"Next", "Comment", "Assign"})

# JSONPath's comparison operators: those with a value, and those that compare with what a path selects.
COMPARISONS = frozenset(
    {*OPERATORS, *(f"{name}Path" for name in OPERATORS if not name.startswith("Is") and name != "StringMatches")}
) | {"IsPresent"}
