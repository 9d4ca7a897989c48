"""The search space: values within their ranges, on their scales, as SageMaker's strings."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaws.sagemaker.tuning.space import Categorical, Continuous, Integer, SearchSpace, from_ranges

POSITIONS = st.floats(0, 1)


def test_the_ranges_of_a_request_are_the_space_in_their_order() -> None:
    space = from_ranges(
        {
            "ContinuousParameterRanges": [
                {"Name": "rate", "MinValue": "1e-4", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
            ],
            "IntegerParameterRanges": [{"Name": "trees", "MinValue": "1", "MaxValue": "200"}],
            "CategoricalParameterRanges": [{"Name": "features", "Values": ['"sqrt"', '"log2"']}],
        }
    )
    assert space.parameters == (
        Integer("trees", 1, 200, "Auto"),
        Continuous("rate", 1e-4, 0.1, "Logarithmic"),
        Categorical("features", ('"sqrt"', '"log2"')),
    )
    assert space.at([0, 1, 0.5]) == {"trees": "1", "rate": "0.1", "features": '"log2"'}


@given(POSITIONS, st.sampled_from(["Auto", "Linear", "Logarithmic"]))
def test_every_position_is_a_value_in_the_range_and_back(position: float, scaling: str) -> None:
    for parameter in (Continuous("x", 0.003, 7.5, scaling), Integer("n", 1, 5000, scaling)):
        value = parameter.at(position)
        assert parameter.low <= float(value) <= parameter.high
        assert float(parameter.at(parameter.position(value))) == pytest.approx(float(value))


def test_every_whole_number_has_the_same_share_of_a_linear_range() -> None:
    drawn = Counter(Integer("n", 1, 4, "Linear").at(step / 1000) for step in range(1000))
    assert set(drawn) == {"1", "2", "3", "4"}
    assert max(drawn.values()) - min(drawn.values()) <= 2


@pytest.mark.fidelity(
    "Tuning",
    "Logarithmic scaling searches each order of magnitude alike.",
    "Define Hyperparameter Ranges (developer guide, automatic-model-tuning-define-ranges): use it for a "
    "range that spans several orders of magnitude",
)
def test_a_logarithmic_range_searches_each_order_of_magnitude_alike() -> None:
    values = [float(Continuous("x", 1e-4, 1.0, "Logarithmic").at(step / 1000)) for step in range(1000)]
    decades = [sum(low <= value < low * 10 for value in values) for low in (1e-4, 1e-3, 1e-2, 1e-1)]
    assert all(abs(count - 250) <= 1 for count in decades)


@pytest.mark.fidelity(
    "Tuning",
    "Reverse logarithmic scaling is most sensitive to small changes close to 1.",
    "Define Hyperparameter Ranges (developer guide, automatic-model-tuning-define-ranges): for a range "
    "that is highly sensitive to small changes that are very close to 1, within 0 <= x < 1",
)
def test_a_reverse_logarithmic_range_is_searched_most_closely_near_one() -> None:
    values = [float(Continuous("x", 0.0, 0.999, "ReverseLogarithmic").at(step / 999)) for step in range(1000)]
    assert values[0] == 0.0
    assert values[-1] == pytest.approx(0.999)
    thirds = [sum(low <= value < high for value in values) for low, high in ((0, 0.9), (0.9, 0.99), (0.99, 0.9991))]
    assert all(abs(count - 333) <= 2 for count in thirds)


def test_auto_is_logarithmic_over_three_orders_of_magnitude_of_positive_values_only() -> None:
    middle = {
        (low, high): float(Continuous("x", low, high, "Auto").at(0.5))
        for low, high in ((1.0, 200.0), (1e-5, 1e-1), (0.0, 1e6), (-5.0, 5000.0))
    }
    assert middle[1.0, 200.0] == pytest.approx(100.5)
    assert middle[1e-5, 1e-1] == pytest.approx(1e-3)
    assert middle[0.0, 1e6] == pytest.approx(5e5)
    assert middle[-5.0, 5000.0] == pytest.approx(2497.5)


def test_a_range_of_one_value_has_that_value() -> None:
    assert {Continuous("x", 0.5, 0.5, "Linear").at(place) for place in (0, 0.3, 1)} == {"0.5"}
    assert {Integer("n", 7, 7, "Logarithmic").at(place) for place in (0, 0.3, 1)} == {"7"}
    assert Continuous("x", 0.5, 0.5, "Linear").position("0.5") == 0.5


def test_a_parents_value_outside_of_the_range_lies_outside() -> None:
    assert Integer("n", 10, 19, "Linear").position("29.0") == pytest.approx(1.95)
    assert Continuous("x", 0.1, 0.2, "Linear").position("0.05") == pytest.approx(-0.5)


def test_a_parents_value_that_is_nowhere_on_the_scale_is_not_of_this_space() -> None:
    space = SearchSpace((Categorical("kind", ("a", "b")), Continuous("x", 0.1, 1.0, "Logarithmic")))
    assert space.holds({"kind": "a", "x": "7", "else": "1"})
    assert not space.holds({"kind": "z", "x": "7"})
    assert not space.holds({"kind": "a", "x": "0"})
    assert not space.holds({"kind": "a", "x": "many"})
    assert not space.holds({"kind": "a"})


def test_the_size_of_a_space_is_the_number_of_its_combinations() -> None:
    kinds, count = Categorical("kind", ("a", "b")), Integer("n", 3, 5, "Linear")
    assert SearchSpace((kinds, count)).size() == 6
    assert SearchSpace((kinds, Continuous("x", 0, 1, "Linear"))).size() is None


def test_a_grid_goes_through_every_combination_once() -> None:
    space = SearchSpace((Categorical("a", ("1", "2")), Categorical("b", ("x", "y", "z"))))
    assert [tuple(values.values()) for values in space.grid()] == list(itertools.product("12", "xyz"))
    with pytest.raises(TypeError, match="categorical hyperparameters only"):
        list(SearchSpace((Integer("n", 1, 2, "Linear"),)).grid())
