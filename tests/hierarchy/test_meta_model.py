import itertools

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn import SelectionTable
from hierlearn.hierarchy import SelectionRow, fit_meta_model
from hierlearn.hierarchy.meta_model import META_MODELS, candidate_shapes, rows_to_explore

SIZES = {"linear": (), "narrow": (10,), "wide": (200,), "deep": (200, 100)}
CANDIDATES = [(name, MLPClassifier(sizes)) for name, sizes in SIZES.items()]
NAMES = tuple(SIZES)
COSTS = {"linear": 100.0, "narrow": 1e3, "wide": 1e4, "deep": 1e5}
KINDS = sorted(META_MODELS)


def table_where(winner_of, n_rows, *, noise=0.0, seed=0, margin=0.1, **extra):
    """Return a table whose winner follows from the confusion inside the cluster."""
    rng = np.random.RandomState(seed)
    rows = []
    for confusion in rng.rand(n_rows):
        scores = {name: 0.7 + noise * rng.randn() for name in NAMES}
        best = winner_of(confusion)
        scores[best] += margin
        statistics = {
            "n_classes": float(rng.randint(2, 20)),
            "n_samples": float(rng.randint(50, 5000)),
            "confusion_inside": confusion,
            **extra,
        }
        rows.append(SelectionRow(statistics, scores, COSTS, best, dict.fromkeys(NAMES, 0.1)))
    return SelectionTable(NAMES, tuple(rows))


def by_confusion(confusion):
    return "linear" if confusion < 0.5 else "deep"


def statistics(confusion):
    return {"n_classes": 8.0, "n_samples": 400.0, "confusion_inside": confusion}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_rows", [30, 100])
def test_winner_that_follows_from_a_statistic_is_found(kind, n_rows):
    model = fit_meta_model(table_where(by_confusion, n_rows), CANDIDATES, kind=kind)
    assert model.learns_
    for confusion in (0.0, 0.1, 0.2, 0.8, 0.9, 1.0):
        assert NAMES[model.choose(statistics(confusion))] == by_confusion(confusion)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_rows", [0, 1, 2, 4])
def test_few_rows_give_the_best_on_average(kind, n_rows):
    table = table_where(lambda confusion: "wide", n_rows)
    model = fit_meta_model(table, CANDIDATES, kind=kind)
    assert not model.learns_
    expected = "wide" if n_rows else NAMES[0]
    assert NAMES[model.choose(statistics(0.5))] == expected


@pytest.mark.parametrize("n_rows", [5, 12, 30])
def test_scores_without_rhyme_or_reason_give_a_good_average(n_rows):
    # One candidate is better everywhere, by less than the noise of a single cluster.
    right = [
        fit_meta_model(
            table_where(lambda c: "wide", n_rows, noise=0.05, margin=0.1, seed=seed), CANDIDATES
        ).choose(statistics(0.5))
        == NAMES.index("wide")
        for seed in range(10)
    ]
    assert np.mean(right) >= 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_same_table_same_choice(kind):
    table = table_where(by_confusion, 20, noise=0.1)
    choices = [
        [
            fit_meta_model(table, CANDIDATES, kind=kind).choose(statistics(c))
            for c in (0.2, 0.5, 0.7)
        ]
        for _ in range(2)
    ]
    assert choices[0] == choices[1]


@pytest.mark.parametrize("kind", KINDS)
def test_missing_figure_counts_as_typical(kind):
    model = fit_meta_model(table_where(by_confusion, 30), CANDIDATES, kind=kind)
    known = statistics(0.9)
    del known["n_samples"]
    assert NAMES[model.choose(known)] == "deep"
    assert model.choose({}) in range(len(NAMES))


def test_figures_that_not_every_row_has_are_left_out():
    table = table_where(by_confusion, 8, only_here=1.0) + table_where(by_confusion, 8)
    model = fit_meta_model(table, CANDIDATES)
    assert model.statistics_ == ["confusion_inside", "n_classes", "n_samples"]


def test_rows_without_all_scores_are_left_out():
    table = table_where(by_confusion, 20)
    bare = [
        SelectionRow(r.statistics, {**r.scores, "wide": np.nan}, r.costs, "narrow", r.seconds)
        for r in table.rows
    ]
    mixed = SelectionTable(NAMES, (*table.rows, *bare))
    models = [fit_meta_model(each, CANDIDATES) for each in (table, mixed)]
    for confusion in (0.1, 0.4, 0.6, 0.9):
        first, second = (model.choose(statistics(confusion)) for model in models)
        assert first == second


@pytest.mark.parametrize("kind", KINDS)
def test_cost_decides_where_scores_are_near(kind):
    # "deep" is better by 0.1 and costs a thousand times as much as "linear".
    table = table_where(lambda confusion: "deep", 20)
    dear = fit_meta_model(table, CANDIDATES, kind=kind, cost_weight=0.02)
    cheap = fit_meta_model(table, CANDIDATES, kind=kind, cost_weight=0.1)
    assert NAMES[dear.choose(statistics(0.5))] == "deep"
    assert NAMES[cheap.choose(statistics(0.5))] == "linear"


@pytest.mark.parametrize("kind", KINDS)
def test_costs_that_the_table_does_not_know_cannot_be_weighed(kind):
    known = table_where(by_confusion, 8)
    costs = {**COSTS, "wide": np.nan}
    rows = [SelectionRow(r.statistics, r.scores, costs, r.winner, r.seconds) for r in known.rows]
    table = SelectionTable(NAMES, tuple(rows))
    with pytest.raises(ValueError, match=r"^cost_weight must be 0 .* Got 0\.1, .* 'wide', instea"):
        fit_meta_model(table, CANDIDATES, kind=kind, cost_weight=0.1)
    assert fit_meta_model(table, CANDIDATES, kind=kind).learns_


def test_shapes_are_layers_and_their_units():
    shapes = candidate_shapes(CANDIDATES)
    assert shapes.shape == (4, 3)
    assert shapes[:, 0].tolist() == [0, 1, 1, 2]
    assert shapes[1, 1:] == pytest.approx([np.log(11), 0])


def test_shape_in_a_pipeline_is_seen():
    piped = [("piped", make_pipeline(StandardScaler(), MLPClassifier((7, 3))))]
    assert candidate_shapes(piped)[0, 0] == 2


def test_shapes_need_perceptrons():
    with pytest.raises(ValueError, match="needs candidates with hidden_layer_sizes"):
        fit_meta_model(SelectionTable(("bayes",)), [("bayes", GaussianNB())], kind="shape")


# -- which clusters are explored ---------------------------------------------------------------


@pytest.mark.parametrize("explore", [0, 0.1, 0.25, 0.5, 1])
@pytest.mark.parametrize("n_clusters", [1, 2, 7, 30])
def test_share_explored(explore, n_clusters):
    sizes = np.random.RandomState(0).permutation(n_clusters) + 1
    explored = rows_to_explore(sizes, explore, 0)
    assert len(explored) == len(set(explored)) == max(1, int(np.ceil(explore * n_clusters)))
    if len(explored) > 1:
        seen = sizes[explored]
        assert {1, n_clusters} <= set(seen)
        assert max(b - a for a, b in itertools.pairwise(sorted(seen))) <= 1 + n_clusters / (
            len(explored) - 1
        )


def test_enough_experience_leaves_nothing_to_explore():
    assert rows_to_explore([3, 1, 2], 0.5, 10) == []
    assert rows_to_explore([3, 1, 2], 0.5, 9) != []
    assert rows_to_explore([], 0.5, 0) == []
