import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from hierlearn.controls import Comparison, Measurement
from hierlearn.display import CostAccuracyDisplay

SCORES = {
    "base": [0.80, 0.82, 0.81],
    "heads": [0.84, 0.86, 0.86],
    "heads, permuted": [0.81, 0.82, 0.82],
}


def _comparison(costs=(100, 103, 103)):
    nan = float("nan")
    return Comparison(
        tuple(
            Measurement(name, seed, score, nan, cost, 10, 1.0, 0.1)
            for (name, scores), cost in zip(SCORES.items(), costs, strict=True)
            for seed, score in enumerate(scores)
        )
    )


def test_points_are_means_and_students_intervals():
    display = CostAccuracyDisplay.from_comparison(_comparison())
    assert display.drawn_ == list(SCORES)
    assert display.subject == "heads"
    np.testing.assert_allclose(display.means_, [np.mean(scores) for scores in SCORES.values()])
    low, high = stats.t.interval(0.95, 2, np.mean(SCORES["base"]), stats.sem(SCORES["base"]))
    assert (display.lows_[0], display.highs_[0]) == pytest.approx((low, high))


def test_differences_are_those_of_the_comparison():
    comparison = _comparison()
    display = CostAccuracyDisplay.from_comparison(comparison, relative_to="base")
    drawn = np.stack([display.means_, display.lows_, display.highs_])
    np.testing.assert_allclose(drawn[:, 1], comparison.difference("heads", "base"))
    assert drawn[:, 0].tolist() == [0, 0, 0]


def test_records_give_the_same_picture():
    one = CostAccuracyDisplay.from_comparison(_comparison())
    two = CostAccuracyDisplay.from_records(reversed(_comparison().to_records()))
    assert sorted(two.means_) == pytest.approx(sorted(one.means_))


def test_unknown_costs_are_left_out_and_said_so():
    display = CostAccuracyDisplay.from_comparison(_comparison((100, 103, float("nan"))))
    assert display.left_out_ == ["heads, permuted"]
    assert "1 of unknown cost left out" in display.ax_.get_title(loc="left")
    with pytest.raises(ValueError, match="multiply_adds must be known for one variant at least"):
        CostAccuracyDisplay.from_comparison(_comparison([float("nan")] * 3))


def test_one_seed_has_no_interval():
    display = CostAccuracyDisplay(["a", "b"], [[0.5], [0.6]], [10, 1000]).plot()
    assert np.isnan(display.lows_).all()
    assert "no intervals" in display.ax_.get_title(loc="left")
    assert display.ax_.get_xscale() == "log"


def test_names_stand_apart_whatever_they_are():
    names = ["x" * 99, "🐈 שלום <script>", "$a$", "one\ntwo", "a", "b", "c"]
    display = CostAccuracyDisplay(names, [[0.5, 0.51]] * 7, [10] * 7).plot()
    display.figure_.canvas.draw()
    spans = sorted((text.get_window_extent().y0) for text in display.names_)
    assert np.diff(spans).min() > 5
    assert max(len(text.get_text()) for text in display.names_) <= 36


def test_axes_given_are_drawn_on():
    _, ax = plt.subplots()
    assert CostAccuracyDisplay(["a"], [[0.5]], [10]).plot(ax=ax).ax_ is ax


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"relative_to": "c"}, r"relative_to must be one of \['a'\]\. Got 'c' instead"),
        ({"subject": "c"}, r"subject must be one of \['a'\]\. Got 'c' instead"),
        ({"costs": [1, 2]}, "must have an entry for each variant. Got 1, 1 and 2 instead"),
    ],
)
def test_parts_that_do_not_fit_are_refused(settings, message):
    costs, relative_to = settings.pop("costs", [1]), settings.pop("relative_to", None)
    with pytest.raises(ValueError, match=message):
        CostAccuracyDisplay(["a"], [[0.5]], costs, **settings).plot(relative_to=relative_to)


@pytest.mark.parametrize("records", [[], [{"variant": "a", "seed": 0, "score": 1.0}]])
def test_records_without_their_entries_are_refused(records):
    with pytest.raises(ValueError, match="records must be dicts with the entries variant"):
        CostAccuracyDisplay.from_records(records)
