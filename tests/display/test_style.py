import subprocess
import sys
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from hierlearn.display import ClassDendrogramDisplay, ConfusionOrderDisplay
from hierlearn.display._matrix import round_values
from hierlearn.display._style import (
    PALETTE,
    beside,
    cluster_colors,
    drawable,
    drawable_code_points,
    font_families,
)
from hierlearn.exceptions import MissingExtraError
from hierlearn.partition import LabelPartition

PARTITION = LabelPartition(["a", "b", "c"], [0, 0, 1])
CONFUSION = np.array([[5, 2, 0], [1, 6, 1], [0, 1, 8]])
LABELS = ["a", "b", "c", "a"]


def test_importing_the_displays_does_not_import_matplotlib():
    code = "import sys, hierlearn.display; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("ClassDendrogramDisplay.plot", lambda: ClassDendrogramDisplay([[0, 1, 1, 2]]).plot()),
        (
            "ClassDendrogramDisplay.from_estimator",
            lambda: ClassDendrogramDisplay.from_estimator(None),
        ),
        (
            "ClassDendrogramDisplay.from_confusion",
            lambda: ClassDendrogramDisplay.from_confusion(CONFUSION),
        ),
        (
            "ClassDendrogramDisplay.from_predictions",
            lambda: ClassDendrogramDisplay.from_predictions(LABELS, LABELS),
        ),
        (
            "ConfusionOrderDisplay.plot",
            lambda: ConfusionOrderDisplay(CONFUSION, PARTITION).plot(),
        ),
        (
            "ConfusionOrderDisplay.from_estimator",
            lambda: ConfusionOrderDisplay.from_estimator(None),
        ),
        (
            "ConfusionOrderDisplay.from_predictions",
            lambda: ConfusionOrderDisplay.from_predictions(LABELS, LABELS, PARTITION),
        ),
    ],
)
def test_without_matplotlib_the_error_names_the_extra(monkeypatch, name, draw):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError) as caught:
        draw()
    assert str(caught.value) == (
        f'{name} needs matplotlib: install it with pip install "hierlearn[plot]".'
    )


def _seen_by_dichromat(color, missing):
    """Simulate how a colour looks without one kind of cones (Viénot et al., 1999)."""
    to_lms = np.array([[17.88, 43.52, 4.12], [3.46, 27.16, 3.87], [0.03, 0.18, 1.47]])
    without = {
        "protan": [[0, 2.02, -2.53], [0, 1, 0], [0, 0, 1]],
        "deutan": [[1, 0, 0], [0.49, 0, 1.25], [0, 0, 1]],
    }[missing]
    linear = np.array(to_rgb(color)) ** 2.2
    return np.linalg.solve(to_lms, np.array(without) @ to_lms @ linear).clip(0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("missing", ["protan", "deutan"])
def test_colours_stay_apart_for_the_colour_blind(missing):
    seen = np.array([_seen_by_dichromat(color, missing) for color in PALETTE])
    distances = np.linalg.norm(seen[:, None] - seen, axis=2)[np.triu_indices(len(PALETTE), 1)]
    assert distances.min() > 0.1


def test_neighbouring_clusters_differ_in_colour():
    labels = np.random.default_rng(0).permutation(np.arange(30) % 15)
    order = np.argsort(labels, kind="stable")[::-1]
    colors = cluster_colors(labels, order)
    assert len(colors) == 15
    drawn = [colors[cluster] for cluster in dict.fromkeys(labels[order].tolist())]
    assert all(one != other for one, other in pairwise(drawn))
    assert drawn[0] == PALETTE[0]


def test_own_palette_is_used_in_drawing_order():
    assert cluster_colors(np.array([1, 0]), np.array([0, 1]), ["red", "blue"]) == ["blue", "red"]


def test_characters_without_a_glyph_are_spelt_out():
    assert drawable(["Ω1", "中文x"]) == ["Ω1", "U+4E2D U+6587 x"]


@pytest.mark.parametrize("family", ["serif", "monospace", ["DejaVu Sans Mono"]])
def test_fonts_fall_back_on_those_that_come_with_matplotlib(family):
    with mpl.rc_context({"font.family": family}):
        families = font_families()
        assert families[0] in ("serif", "monospace", "DejaVu Sans Mono")
        assert set(map(ord, "aΩЖ∞ℵ⨌")) <= drawable_code_points()


def test_coordinates_beside_axes_are_points_and_data():
    figure, ax = plt.subplots(dpi=144)
    ax.set(xlim=(0, 10), ylim=(0, 5))
    box = ax.get_window_extent()
    right = beside(ax, "right").transform((36.0, 5.0))
    np.testing.assert_allclose(right, [box.x1 + 72, box.y1])
    below = beside(ax, "bottom").transform((10.0, -36.0))
    np.testing.assert_allclose(below, [box.x1, box.y0 - 72])
    figure.set_size_inches(3, 3)  # still beside the axes, wherever they move
    assert beside(ax, "left").transform((0.0, 0.0))[0] == ax.get_window_extent().x0


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.3), (0.0, 1.0), (0.002, 2.0), (0.0, 7.5e4)])
def test_values_of_the_colour_bar_are_round_and_within_the_bounds(low, high):
    values = round_values(low, high)
    assert values == sorted(set(values))
    assert values[0] >= low
    assert values[-1] <= high
    assert {f"{value:e}"[0] for value in values} <= set("0125")
