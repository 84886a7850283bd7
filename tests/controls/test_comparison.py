"""Paired differences, ratios, tables and verdicts, from measurements made by hand."""

import math

import numpy as np
import pytest

from hierlearn.controls import Comparison, Measurement


def row(variant, seed, score, **figures):
    defaults = {
        "cluster_accuracy": math.nan,
        "multiply_adds": 10.0,
        "parameters": 10.0,
        "fit_seconds": 1.0,
        "predict_seconds": 1.0,
    }
    return Measurement(variant, seed, score, **{**defaults, **figures})


def measured(**scores):
    """A comparison of named variants; underscores are spaces, double ones commas."""
    names = {key: key.replace("__", ", ").replace("_", " ") for key in scores}
    return Comparison(
        tuple(
            row(names[key], seed, value, multiply_adds=103.0 if "heads" in key else 100.0)
            for key, values in scores.items()
            for seed, value in enumerate(values)
        ),
        scoring="map@50",
    )


def test_difference_is_paired_by_seed():
    rows = [row("a", s, acc) for s, acc in enumerate([0.5, 0.6, 0.7])]
    rows += [row("b", s, acc) for s, acc in reversed(list(enumerate([0.51, 0.61, 0.71])))]
    mean, low, high = Comparison(tuple(rows)).difference("b", "a")
    assert mean == pytest.approx(0.01)
    # The gain is the same for every seed, so the interval has no width although accuracies differ.
    assert (low, high) == pytest.approx((0.01, 0.01))


def test_difference_by_students_t():
    rows = [row("a", 0, 0.5), row("a", 1, 0.5), row("b", 0, 0.6), row("b", 1, 0.8)]
    mean, low, high = Comparison(tuple(rows)).difference("b", "a")
    # Differences 0.1 and 0.3: mean 0.2, standard error 0.1, t(0.975, 1) = 12.706.
    assert mean == pytest.approx(0.2)
    assert high - mean == pytest.approx(1.2706, abs=1e-4)
    assert mean - low == pytest.approx(1.2706, abs=1e-4)


def test_difference_of_one_seed_has_no_interval():
    mean, low, high = Comparison((row("a", 0, 0.5), row("b", 0, 0.6))).difference("b", "a")
    assert mean == pytest.approx(0.1)
    assert math.isnan(low)
    assert math.isnan(high)


def test_unknown_variant_lists_those_there_are():
    with pytest.raises(KeyError, match=r"one of \['a'\]. Got 'z'"):
        Comparison((row("a", 0, 0.5),)).values("z")


def test_only_seeds_of_both_are_paired():
    rows = (row("a", 0, 0.5), row("a", 1, 0.9), row("b", 1, 0.8), row("b", 2, 0.1))
    assert Comparison(rows).difference("a", "b")[0] == pytest.approx(0.1)


# -- relative gain and cost ------------------------------------------------------------------------


def test_relative_is_the_ratio_of_every_seed():
    result = measured(base=[0.5, 0.8], heads=[0.6, 0.88])
    mean, low, high = result.relative("heads")
    # Gains of 20 % and 10 %: mean 15 %, standard error 5 %, t(0.975, 1) = 12.706.
    assert mean == pytest.approx(0.15)
    assert high - mean == pytest.approx(0.6353, abs=1e-4)
    assert mean - low == pytest.approx(0.6353, abs=1e-4)
    assert result.relative("heads", "heads") == (0, 0, 0)


def test_relative_to_nothing_is_undefined():
    assert math.isnan(measured(base=[0.0, 0.1], heads=[0.1, 0.1]).relative("heads")[0])


def test_cost_ratio_is_that_of_multiply_adds():
    assert measured(base=[0.5, 0.8], heads=[0.6, 0.9]).cost_ratio("heads") == pytest.approx(1.03)


# -- table -----------------------------------------------------------------------------------------


def test_table_names_the_scorer_and_aligns():
    result = measured(base=[0.5, 0.8], heads=[0.6, 0.9])
    lines = result.table().splitlines()
    assert "map@50 %" in lines[0]
    assert "HC %" not in lines[0]
    assert len({len(line) for line in lines}) == 1
    assert "65.00 ±21.21" in lines[1]
    assert "+10.00 [+10.00, +10.00]" in lines[2]
    assert "1.030" in lines[2]


def test_table_against_another_control():
    assert "vs heads" in measured(base=[0.5, 0.8], heads=[0.6, 0.9]).table("heads")


def test_what_is_unknown_is_left_open():
    rows = (
        row("a", 0, 0.5, multiply_adds=math.nan, fit_seconds=math.nan),
        row("b", 0, 0.6, cluster_accuracy=0.75),
    )
    table = Comparison(rows).table()
    assert "unknown" in table
    assert "nan" not in table
    assert "75.0" in table


# -- verdict ---------------------------------------------------------------------------------------

BASE = [0.500, 0.510, 0.520]


def shifted(*points):
    return [score + point / 100 for score, point in zip(BASE, points, strict=True)]


def sentences(result):
    """The verdict's sentences, with broken lines joined."""
    return result.verdict().replace("\n  ", " ").splitlines()


def test_verdict_where_structure_pays():
    result = measured(
        base=BASE,
        base__trained_as_long=shifted(0.1, 0.2, 0.1),
        base__as_expensive=shifted(0.3, 0.2, 0.2),
        one_head_for_all=shifted(0.5, 0.5, 0.4),
        heads=shifted(2.0, 2.1, 1.9),
        heads__permuted=shifted(0.8, 0.9, 0.7),
    )
    lines = sentences(result)
    assert lines[0] == "Worth it over 3 seeds: heads beats base and every control."
    assert lines[1].startswith("heads: +2.00 points of map@50 [+1.75, +2.25] over base, +3.92 %")
    assert lines[1].endswith("at 1.030 times the multiply-adds.")
    assert lines[2] == (
        "Structure pays here: heads +1.20 points [+1.20, +1.20] over the same partition with "
        "labels permuted."
    )
    assert lines[3].startswith("Dividing the labels pays: heads +1.53 points [")
    assert lines[4].startswith("The gain is more than training time: heads +1.87 points [")
    assert lines[5].startswith("The gain is more than width: heads +1.77 points [")
    assert len(lines) == 6
    assert str(result).endswith(result.verdict())


def test_verdict_where_structure_does_not_pay():
    result = measured(
        base=BASE,
        base__trained_as_long=shifted(3.0, 3.1, 3.0),
        heads=shifted(2.0, 2.1, 1.9),
        heads__permuted=shifted(2.5, 2.6, 2.5),
    )
    lines = sentences(result)
    assert lines[0] == (
        "Not worth it over 3 seeds: 'base, trained as long' and 'heads, permuted' do as well as "
        "heads or better."
    )
    assert lines[2].startswith("Structure does not pay here: heads -0.53 points [-0.68, -0.39] ov")
    assert lines[3].startswith("Training the base as long does as well or better: heads -1.03")


def test_verdict_where_nothing_is_settled():
    result = measured(
        base=BASE, heads=shifted(2.0, 2.1, 1.9), heads__permuted=shifted(1.0, 3.0, 1.5)
    )
    lines = sentences(result)
    assert lines[0] == (
        "Not settled over 3 seeds: the interval of heads includes 0 against 'heads, permuted'."
    )
    assert lines[2].startswith("Whether structure pays is not settled: heads +0.17 points [-2.")
    assert lines[2].endswith("the interval includes 0 over 3 seeds.")


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("points", [(-0.5, -0.6, -0.7), (-2, 1, -0.8)], ids=["settled", "not"])
def test_verdict_where_there_is_a_loss_calls_it_none_a_gain(points, seeds):
    scores = {
        "base": BASE,
        "base__trained_as_long": shifted(-1.0, 2.0, 1.0),
        "base__as_expensive": shifted(3.0, 3.0, 3.0),
        "heads": shifted(*points),
        "heads__permuted": shifted(-5.0, -5.2, -5.1),
    }
    result = measured(**{name: values[:seeds] for name, values in scores.items()})
    lines = sentences(result)
    assert lines[1].startswith("There is no gain to explain: heads -")
    assert "points of map@50" in lines[1]
    assert "1.030 times the multiply-adds" in lines[1]
    assert lines[2].startswith("heads +")
    assert lines[2].endswith(
        "over the same partition with labels permuted" + (", one seed." if seeds == 1 else ".")
    )
    assert lines[3].startswith("heads ")
    assert "over the base trained as long" in lines[3]
    assert lines[4].startswith("heads -")
    assert "gain" not in " ".join(lines[2:])
    assert "pay" not in result.verdict()


def test_verdict_names_three_controls_at_most_and_breaks_its_lines():
    names = ["base__fine_tuned", "base__trained_as_long", "base__as_expensive", "one_head_for_all"]
    better = {name: shifted(3.0, 3.2, 3.1) for name in names}
    for n_better, listed in {
        1: "'base, fine tuned' does",
        3: "'base, fine tuned', 'base, trained as long' and 'base, as expensive' do",
        4: "'base, fine tuned', 'base, trained as long', 'base, as expensive' and 1 more do",
    }.items():
        controls = dict(list(better.items())[:n_better])
        result = measured(base=BASE, **controls, heads=shifted(1, 1.1, 1), heads__permuted=BASE)
        assert sentences(result)[0] == (
            f"Not worth it over 3 seeds: {listed} as well as heads or better."
        )
        lines = result.verdict().splitlines()
        assert max(map(len, lines)) <= 100
        assert len(lines) > len(sentences(result))


@pytest.mark.parametrize(("seeds", "doubt"), [(1, ", one seed."), (3, "over 3 seeds.")])
def test_verdict_says_what_speaks_against_a_gain(seeds, doubt):
    scores = {
        "base": BASE,
        "base__trained_as_long": shifted(3.0, 1.0, 3.0),
        "heads": shifted(2.0, 2.1, 1.9),
        "heads__permuted": shifted(1.0, 1.1, 1.0),
    }
    result = measured(**{name: values[:seeds] for name, values in scores.items()})
    lines = sentences(result)
    assert lines[3].startswith("Training the base as long does as well or better, it seems: heads")
    assert lines[3].endswith(doubt)


def test_verdict_where_partitions_make_no_difference_at_all():
    result = measured(base=BASE, heads=shifted(1, 1, 1), heads__permuted=shifted(1, 1, 1))
    assert result.verdict().startswith(
        "Not worth it over 3 seeds: 'heads, permuted' does as well as heads"
    )


def test_verdict_of_one_seed_settles_nothing():
    lines = sentences(measured(base=[0.5], heads=[0.6], heads__permuted=[0.4]))
    assert lines[0] == "One seed settles nothing: measure several to have intervals."
    assert lines[1] == (
        "heads: +10.00 points of map@50 over base, +20.00 % relative, at 1.030 times the "
        "multiply-adds."
    )
    assert lines[2] == (
        "Whether structure pays is not settled: heads +20.00 points over the same partition with "
        "labels permuted, one seed."
    )


def test_other_variants_of_the_subject_are_no_controls():
    result = measured(
        base=BASE,
        heads=shifted(2.0, 2.1, 1.9),
        heads__all_evaluated=shifted(9.0, 9.1, 9.0),
        heads__permuted=shifted(1.0, 1.1, 0.9),
    )
    assert result.verdict().startswith("Worth it over 3 seeds: heads")


@pytest.mark.parametrize(
    ("names", "subject"),
    [
        (["flat", "hierarchy", "hierarchy, permuted"], "hierarchy"),
        (["flat", "gamma 3", "gamma 3, permuted"], "gamma 3"),
        (["base", "heads"], "heads"),
        (["a", "b"], None),
    ],
)
def test_subject_is_what_was_permuted(names, subject):
    result = Comparison(tuple(row(name, 0, 0.5) for name in names))
    assert result.subject == subject
    assert bool(result.verdict()) == (subject is not None)


def test_records_hold_every_field():
    (record,) = Comparison((row("a", 3, 0.5),)).to_records()
    assert (record["variant"], record["seed"], record["score"]) == ("a", 3, 0.5)
    assert np.isnan(record["cluster_accuracy"])
