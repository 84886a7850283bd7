import numpy as np
import pytest

from hierlearn.hierarchy import combine, route

GATE = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0]])


def random_gate(n_samples=50, n_clusters=7, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(n_clusters, 0.3), size=n_samples)


# Counted by hand: the kept entries of each row of GATE, divided by their sum.
@pytest.mark.parametrize(
    ("routing", "expected"),
    [
        ("hard", [[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
        (1, [[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
        (2, [[5 / 8, 3 / 8, 0], [1 / 9, 0, 8 / 9], [0, 1, 0]]),
        (3, GATE),
        (99, GATE),
        ("soft", GATE),
    ],
)
def test_route_keeps_the_most_probable_clusters(routing, expected):
    np.testing.assert_allclose(route(GATE, routing), expected)


@pytest.mark.parametrize(("routing", "visited"), [("hard", [0]), (2, [0, 1]), ("soft", [0, 1, 2])])
@pytest.mark.parametrize("value", [0.0, 1 / 3])
def test_ties_go_to_the_lowest_clusters_and_a_row_of_zeros_is_a_tie(routing, visited, value):
    weights = route(np.full((1, 3), value), routing)
    assert np.flatnonzero(weights[0]).tolist() == visited
    np.testing.assert_allclose(weights[0, visited], 1 / len(visited))


def test_tie_for_the_last_place():
    assert np.flatnonzero(route(np.array([[0.2, 0.4, 0.2, 0.2]]), 2)).tolist() == [0, 1]


@pytest.mark.parametrize("routing", ["hard", 1, 2, 5, 7, 8, np.int64(2), "soft"])
def test_routed_rows_sum_to_one_over_the_clusters_kept(routing):
    gate = random_gate()
    weights = route(gate, routing)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    most = {"hard": 1, "soft": 7}.get(routing, routing)
    assert (np.count_nonzero(weights, axis=1) <= most).all()
    assert np.array_equal(weights.argmax(axis=1), gate.argmax(axis=1))


def test_route_leaves_the_gate_as_it_was():
    gate = np.vstack([random_gate(), np.zeros((1, 7))])
    before = gate.copy()
    for routing in ("hard", 3, "soft"):
        route(gate, routing)
    assert np.array_equal(gate, before)


@pytest.mark.parametrize("routing", ["best", None])
def test_unknown_routing_lists_the_choices(routing):
    with pytest.raises(ValueError, match=r"^routing must be one of 'hard', 'soft'. Got .*\.$"):
        route(GATE, routing)


@pytest.mark.parametrize(
    ("routing", "expected"),
    [
        (0.25, [[5 / 8, 3 / 8, 0], [0, 0, 1], [0, 1, 0]]),
        (0.3, [[5 / 8, 3 / 8, 0], [0, 0, 1], [0, 1, 0]]),
        (0.6, [[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
        (1e-9, GATE),
    ],
)
def test_threshold_keeps_the_clusters_that_reach_it_and_the_most_probable_one(routing, expected):
    np.testing.assert_allclose(route(GATE, routing), expected)


@pytest.mark.parametrize("routing", [0.0, 1.0, 1.5, -0.1, float("nan")])
def test_threshold_must_be_a_probability(routing):
    with pytest.raises(
        ValueError, match=r"^routing must be .* between 0 and 1, both excluded. Got"
    ):
        route(GATE, routing)


@pytest.mark.parametrize("routing", [0, -3])
def test_routing_to_no_cluster_is_refused(routing):
    with pytest.raises(ValueError, match=rf"routing must be .* at least 1. Got {routing} instead"):
        route(GATE, routing)


def constant(row, asked=None):
    """Return a class assignment classifier that answers the same row, noting whom it is asked."""

    def posteriors(rows):
        if asked is not None:
            asked.append(rows.tolist())
        return np.tile(np.asarray(row, dtype=float), (len(rows), 1))

    return posteriors


def test_two_paths_to_a_class_add_up():
    # Class 1 is in both clusters: 0.6 * 0.25 + 0.4 * 0.5 = 0.35.
    members = [np.array([0, 1]), np.array([1, 2])]
    fine = [constant([0.75, 0.25]), constant([0.5, 0.5])]
    posteriors = combine(np.array([[0.6, 0.4]]), fine, members, 3)
    np.testing.assert_allclose(posteriors, [[0.45, 0.35, 0.2]])


def test_columns_are_the_members_codes_whatever_their_cluster():
    members = [np.array([1, 3]), np.array([0]), np.array([2])]
    fine = [constant([0.9, 0.1]), constant([1]), constant([1])]
    weights = np.array([[1.0, 0, 0], [0, 1.0, 0], [0.5, 0.25, 0.25]])
    expected = [[0, 0.9, 0, 0.1], [1, 0, 0, 0], [0.25, 0.45, 0.25, 0.05]]
    np.testing.assert_allclose(combine(weights, fine, members, 4), expected)


def test_only_visited_clusters_are_asked_and_for_their_rows_only():
    asked = [[], [], []]
    members = [np.array([0]), np.array([1]), np.array([2])]
    fine = [constant([1], calls) for calls in asked]
    combine(route(GATE[:2], "hard"), fine, members, 3)
    assert asked == [[[0]], [], [[1]]]


def test_combined_rows_sum_to_one_with_overlap():
    members = [np.arange(c, c + 3) for c in range(7)]
    rng = np.random.default_rng(1)
    fine = [lambda rows: rng.dirichlet(np.ones(3), size=len(rows)) for _ in members]
    for routing in ("hard", 2, "soft"):
        posteriors = combine(route(random_gate(), routing), fine, members, 9)
        np.testing.assert_allclose(posteriors.sum(axis=1), 1)
        assert posteriors.min() >= 0


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6, 7])
def test_repeated_maxima_are_the_stable_sort(k):
    gate = np.random.default_rng(k).integers(0, 4, size=(200, 7)) / 4
    order = np.argsort(-np.where(gate.any(1, keepdims=True), gate, 1.0), axis=1, kind="stable")
    expected = np.zeros(gate.shape, dtype=bool)
    np.put_along_axis(expected, order[:, :k], True, axis=1)
    assert not (route(gate, k)[~expected]).any()
