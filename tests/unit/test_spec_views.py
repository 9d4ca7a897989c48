"""`views` of pipeline.yaml: what it may say, and what it is told when it says something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_world import World, make_spec, run

from contract import built_in_views, environment, views
from infra.workflow.steps.plan import spec_hash
from infra.workflow.tuning_request import definition, trials
from ratchet.spec import PipelineSpec, SpecError, watching

PROBED = "from toolkit.probe import Probe\n"
OWN = """\
import numpy
from elsewhere import imported

def latents(trial, step, perplexity=30, *, colours): ...
def maps(trial, step, **parameters): ...
def confusion(trial, step): ...
def alone(trial): ...
async def later(trial, step): ...
def told(trial, step, /, first, second=2): ...
made = decorate(latents)
@cached
def wrapped(): ...
"""


def viewed(folder: Path, *found: Any, own: str | None = OWN, train: str = PROBED, **changes: Any) -> PipelineSpec:
    (folder / "train.py").write_text(train)
    if own is not None:
        (folder / "views.py").write_text(own)
    return make_spec(folder, views=list(found), **changes)


def named(view: str, **more: Any) -> dict[str, Any]:
    return {"view": view, **more}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (named("losses"), ("losses", "losses", 100, {})),
        (
            named("maps", parameters={"scale": 2, "rows": ["a", 1]}),
            ("maps", "maps", 100, {"scale": 2, "rows": ["a", 1]}),
        ),
        (named("latents", every=7, parameters={"colours": "blue"}), ("latents", "latents", 7, {"colours": "blue"})),
        (named("maps", every="evaluation", name="maps-2"), ("maps", "maps-2", "evaluation", {})),
        (named("more_views.head_view"), ("more_views.head_view", "head_view", 100, {})),
        (named("told", parameters={"first": None}), ("told", "told", 100, {"first": None})),
        # Imported, made, wrapped: what they take is known when they are called.
        (named("imported", parameters={"any": 1}), ("imported", "imported", 100, {"any": 1})),
        (named("made"), ("made", "made", 100, {})),
        (named("wrapped", parameters={"any": 1}), ("wrapped", "wrapped", 100, {"any": 1})),
    ],
    ids=lambda case: case["view"] if isinstance(case, dict) else "",
)
def test_what_a_view_is_told_as(tmp_path: Path, said: dict[str, Any], told: tuple[Any, ...]) -> None:
    (tmp_path / "more_views.py").write_text("def head_view(trial, step): ...\n")
    (found,) = viewed(tmp_path, said).views
    document = found.document(tmp_path)
    assert (document["view"], document["name"], document["every"], document["parameters"]) == told


def test_a_confusion_matrix_is_of_evaluations_unless_it_is_the_folders_own(tmp_path: Path) -> None:
    (built_in,) = viewed(tmp_path, named("confusion"), own=None).views
    assert (built_in.is_built_in(tmp_path), built_in.document(tmp_path)["every"]) == (True, views.EVALUATION)
    (own,) = viewed(tmp_path, named("confusion")).views
    assert (own.is_built_in(tmp_path), own.document(tmp_path)["every"], own.brings(tmp_path)) == (False, 100, {})


BAD: dict[str, tuple[list[Any], str]] = {
    "unknown, near to an own": (
        [named("latent")],
        "views[0].view: is 'latent', which is no function of views.py and no",
    ),
    "unknown, what was meant": ([named("latent")], "no built-in view; did you mean latents?"),
    "unknown, near to a built-in": ([named("norm", every=2)], "no built-in view; did you mean norms?"),
    "another module that isn't there": (
        [named("more.head")],
        "views[0].view: is 'more.head', but there is no more.py in",
    ),
    "a function that its module lacks": ([named("views.latent")], "but views.py has no function latent; did you mean"),
    "a module of Python's own": ([named("json.dumps")], "is 'json.dumps', but json is a module of Python's own"),
    "no name at all": (
        [named("my views", name="mine")],
        "views[0].view: is 'my views'; write a function of views.py by its name",
    ),
    "too few arguments": (
        [named("alone")],
        "is 'alone', but views.py:7 takes trial; a view is called with a trial and",
    ),
    "async": ([named("later")], "views[0].view: is 'later', but views.py:8 is async; a view is a plain function"),
    "an own view's unknown parameter": (
        [named("latents", parameters={"colours": "x", "perplexty": 3})],
        "views[0].parameters.perplexty: is no parameter of latents (views.py:4); did you mean perplexity?",
    ),
    "an own view's missing parameter": (
        [named("latents")],
        "views[0].parameters: lacks colours, which latents (views.py:4) needs",
    ),
    "what it is given anyway": (
        [named("maps", parameters={"step": 3})],
        "views[0].parameters.step: is what maps (views.py:5) is called with anyway; leave it out",
    ),
    "a built-in's unknown parameter": (
        [named("losses", parameters={"smothing": 3})],
        "views[0].parameters.smothing: is no parameter of losses; did you mean smoothing?",
    ),
    "a built-in's wrong parameter": (
        [named("losses", parameters={"smoothing": "ten"})],
        "views[0].parameters.smoothing: is 'ten'; it must be a whole number",
    ),
    "a built-in's parameter out of bounds": (
        [named("losses", parameters={"smoothing": 0})],
        "views[0].parameters.smoothing: is 0; it must be at least 1",
    ),
    "every of another kind": (
        [named("maps", every="100")],
        "views[0].every: is '100'; write a number of training steps",
    ),
    "every never": ([named("maps", every=0)], "views[0].every: is 0; write a number of training steps, 1 or more, or"),
    "every half a step": ([named("maps", every=0.5)], "views[0].every: is 0.5; write a number of training steps"),
    "every yes": ([named("maps", every=True)], "views[0].every: is True; write a number of training steps"),
    "every misspelt": ([named("maps", every="evaluations")], "is 'evaluations'; did you mean evaluation?"),
    "no name for a folder": ([named("maps", name="../x")], "views[0].name: is '../x'; use at most 64 letters, digits,"),
    "a function's name that no folder has": (
        [named("_hidden")],
        "views[0].view: is '_hidden'; use at most 64 letters, digits, hyphens and underscores",
    ),
    "two of one name": (
        [named("maps"), named("maps", every=5)],
        "views[1]: is the second called 'maps'; give it a name of its own, as name: …",
    ),
    "too many": (
        [named("maps", name=f"maps-{number}") for number in range(21)],
        "views: has 21 entries; a training job draws at most 20",
    ),
    "an unknown key": ([named("maps", evry=5)], "views[0].evry: unknown key; did you mean every?"),
    "without a view": ([{"every": 5}], "views[0].view: is required"),
    "a word alone": (["losses"], "views[0]: is 'losses'; it must be a mapping of names to values"),
    "a nested parameter": ([named("maps", parameters={"a": {"b": 1}})], "views[0].parameters.a"),
    "more than the job's variables hold": (
        [named("maps", name=f"m{number}", parameters={"text": "x" * 5000}) for number in range(10)],
        "views: take 104 variables of a training job (1 for probe, 99 for views), of 512 characters each; SageMaker",
    ),
}


@pytest.mark.parametrize(("found", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_in_words(tmp_path: Path, found: list[Any], message: str) -> None:
    with pytest.raises(SpecError) as refused:
        viewed(tmp_path, *found)
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / 'pipeline.yaml'}:")


def test_a_refusal_names_the_line_of_its_parameter(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refused:
        viewed(tmp_path, named("losses"), named("latents", parameters={"colours": 1, "perplexty": 2}))
    line = next(
        number
        for number, text in enumerate((tmp_path / "pipeline.yaml").read_text().splitlines(), start=1)
        if "perplexty" in text
    )
    assert str(refused.value).startswith(f"{tmp_path / 'pipeline.yaml'}:{line}: views[1].parameters.perplexty: ")


def test_a_views_py_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"views\[0\].view: is 'losses', but views.py can't be read: .*views.py, line 1"
    ):
        viewed(tmp_path, named("losses"), own="def latents(trial, step) return\n")


def test_without_a_views_py_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"is 'latents', which is no built-in view, and there is no views.py in .*; known"
    ):
        viewed(tmp_path, named("latents"), own=None)


def test_a_script_without_a_probe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"views: need a script with a probe, .*train.py doesn't import toolkit.probe: wri"
    ):
        viewed(tmp_path, named("losses"), train="print('trained')\n")
    (tmp_path / "learning.py").write_text(PROBED)
    assert viewed(tmp_path, named("losses"), train="import learning\n").views


def test_debugger_has_the_probes_folder(tmp_path: Path) -> None:
    pytorch = {"name": "pytorch", "version": "2.6.0"}
    rules = [{"rule": "LossNotDecreasing"}]
    with pytest.raises(
        SpecError, match="views: are drawn from the probe's tensors, which SageMaker Debugger takes; wri"
    ):
        viewed(tmp_path, named("losses"), framework=pytorch, rules=rules, rules_service="sagemaker")


def test_an_image_of_ones_own_draws_nothing(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY main /main\nENTRYPOINT ["/main"]\n')
    (tmp_path / "main").write_text("a program")
    with pytest.raises(
        SpecError, match=r"views\[0\]: is drawn by Ratchet's toolkit beside your training, and the image"
    ):
        viewed(tmp_path, named("losses"), framework=None, dockerfile="Dockerfile")


# ----------------------------------------------------------------------------------------------- what a job is told


def told(spec: PipelineSpec, name: str) -> Any:
    (request,) = run(spec, World()).called("createTrainingJob")
    assert len(request["Environment"]) <= watching.VARIABLES
    return json.loads(environment.whole(name, request["Environment"]) or "null")


def test_a_job_is_told_of_its_views_in_a_request_that_aws_takes(tmp_path: Path) -> None:
    """botocore's limits of each variable are checked by `run`."""
    many = [named("maps", name=f"m{number}", parameters={"text": "'\"x" * 200}) for number in range(20)]
    spec = viewed(tmp_path, *many)
    assert told(spec, environment.VIEWS) == [view.document(tmp_path) for view in spec.views]
    assert "RATCHET_VIEWS" not in run(viewed(tmp_path), World()).called("createTrainingJob")[0]["Environment"]


def test_what_a_view_brings_changes_nothing_of_what_rules_are_given(tmp_path: Path) -> None:
    found = [named("norms", every=20), named("norms", name="often", every=5), named("losses"), named("maps")]
    rules = [{"rule": "VanishingGradient"}]
    spec = viewed(tmp_path, *found, rules=rules, probe={"collections": {"weights": {"interval": 9}}})
    collections = told(spec, environment.PROBE)["collections"]
    before = {"gradients": {}, "weights": {"interval": 9}}
    assert {name: how for name, how in collections.items() if ":" not in name} == before
    assert collections["gradients:norms"] == built_in_views.brings("norms", 20, {})["gradients"]
    assert collections["weights:often"]["interval"] == 5


def test_the_probes_defaults_stay_where_a_view_alone_brings_something(tmp_path: Path) -> None:
    assert set(watching.saved(viewed(tmp_path, named("norms")))) == {
        *watching.USUAL,
        "weights:norms",
        "gradients:norms",
    }
    assert watching.saved(viewed(tmp_path, named("maps"))) == {}


def test_no_trial_of_a_tuning_job_draws(tmp_path: Path) -> None:
    tune = {"objective": {"maximize": "f1"}, "ranges": {"depth": {"integer": [1, 9]}}, "max_jobs": 4}
    from run_world import surroundings  # noqa: PLC0415

    at = surroundings(viewed(tmp_path, named("norms"), tune=tune))
    without = surroundings(viewed(tmp_path, tune=tune))
    trial = definition(at, trials(), "arn")["Environment"]
    assert trial == definition(without, trials(), "arn")["Environment"]


def test_a_spec_without_views_is_hashed_as_before_there_were_any(tmp_path: Path) -> None:
    plain = make_spec(tmp_path)
    assert spec_hash(plain) == spec_hash(viewed(tmp_path)) != spec_hash(viewed(tmp_path, named("losses")))
