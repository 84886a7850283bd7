"""What a report says, as plain values: no estimator, no array, nothing that is drawn yet."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "Branch",
    "ClassRow",
    "ClusterRow",
    "Confusions",
    "Figure",
    "Level",
    "Pair",
    "ReportData",
    "Results",
    "Setting",
    "Taken",
    "Tree",
    "Variant",
]


@dataclass(frozen=True)
class Figure:
    """One of the figures at the head of the report.

    Parameters
    ----------
    label, value, note : str
        As in ``"Accuracy"``, ``"41.2 %"``, ``"on 10,000 samples"``.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Taken:
    """How often samples of one class are taken for another.

    Parameters
    ----------
    place : int
        The other class, by its place in the report's order.
    count : int
        Number of samples.
    share : float
        Of the samples of the class.
    """

    place: int
    count: int
    share: float


@dataclass(frozen=True)
class ClassRow:
    """One class.

    Parameters
    ----------
    name : str
        Its name, printable, of any length.
    n_samples : int
        Test samples of it.
    right : float
        Share of them that is taken for it; NaN where there are none.
    taken_for : tuple of Taken
        What they are taken for instead, most often first.
    guest_of : tuple of int
        Clusters that hold it beside its own, by their rank in the report.
    pictures : tuple of str
        Examples, as data URIs.
    """

    name: str
    n_samples: int
    right: float
    taken_for: tuple[Taken, ...] = ()
    guest_of: tuple[int, ...] = ()
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two classes and how often each is taken for the other.

    Parameters
    ----------
    one, other : int
        Their places in the report's order; ``one`` is taken for ``other`` at least as often as the
        other way round.
    count, count_back : int
        Samples of ``one`` taken for ``other``, and the other way round.
    share, share_back : float
        The same as shares of the samples of the class.
    pictures, pictures_back : tuple of str
        Some of those samples, as data URIs.
    """

    one: int
    other: int
    count: int
    count_back: int
    share: float
    share_back: float
    pictures: tuple[str, ...] = ()
    pictures_back: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClusterRow:
    """One cluster; its own classes are side by side in the report's order.

    Parameters
    ----------
    name : str
        Its name, printable.
    start, stop : int
        Places of its first class and behind its last.
    guests : tuple of int
        Places of the classes that overlap adds.
    n_samples : int
        Test samples of its own classes.
    right, within, between : float
        Where samples of its classes end up, each class counting the same: taken for their own
        class, for another one of a cluster that holds it, for the rest.
    pairs : tuple of Pair
        The classes confused most within it.
    color : int
        Number of its colour.
    """

    name: str
    start: int
    stop: int
    guests: tuple[int, ...]
    n_samples: int
    right: float
    within: float
    between: float
    pairs: tuple[Pair, ...]
    color: int


@dataclass(frozen=True)
class Branch:
    """The dendrogram inside one cluster.

    Parameters
    ----------
    x, row : float
        Where it begins: across the drawing from 0 (root) to 1 (classes), and down its rows.
    lines : tuple of tuple of float
        Forks: ``(x, first row, last row)`` vertically, and for each child
        ``(x, row, x of the child)`` horizontally, both as ``(x1, row1, x2, row2)``.
    """

    x: float
    row: float
    lines: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Tree:
    """The dendrogram of all classes.

    Parameters
    ----------
    branches : tuple of Branch
        One for each cluster.
    forks : tuple of (float, tuple of int)
        Merges of clusters, children first: where they lie across the drawing, and what they join: a
        cluster by its rank, the fork i by ``n_clusters + i``.
    ticks : tuple of (float, str)
        The axis; empty where heights have no unit.
    axis : str
        What the axis says.
    cut : float or None
        Where one cut through the tree gives the clusters; None where none does.
    """

    branches: tuple[Branch, ...]
    forks: tuple[tuple[float, tuple[int, ...]], ...]
    ticks: tuple[tuple[float, str], ...]
    axis: str
    cut: float | None


@dataclass(frozen=True)
class Confusions:
    """A sparse confusion matrix in the report's order, row = true class.

    Parameters
    ----------
    starts : tuple of int
        Where each row begins in the next two, and where the last one ends.
    columns : tuple of int
        Places of predicted classes, ascending in a row.
    counts : tuple of int
        Numbers of samples.
    n_left_out : int
        Entries left out, the smallest, where there were too many for a file.
    share_inside : float
        Share of the confusion that stays inside the clusters; NaN where nothing is confused.
    across : tuple of Pair
        The classes of different clusters that are confused most.
    flow : tuple of tuple of float
        For the classes of each cluster, in the report's order, the share taken for each cluster.
    """

    starts: tuple[int, ...]
    columns: tuple[int, ...]
    counts: tuple[int, ...]
    n_left_out: int
    share_inside: float
    across: tuple[Pair, ...]
    flow: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Variant:
    """One line of the table of accuracy and cost.

    Parameters
    ----------
    name : str
        What was measured.
    role : {"baseline", "subject", "routing", "control"}
        What it is in the comparison.
    score, spread : float
        Mean, and standard deviation over seeds (NaN for one).
    gain, low, high : float
        Difference from the baseline and its interval of 95 %; NaN where unknown.
    ratio, multiply_adds, parameters : float
        Cost of a prediction, as a ratio to the baseline and in full; NaN where unknown.
    """

    name: str
    role: str
    score: float
    spread: float
    gain: float
    low: float
    high: float
    ratio: float
    multiply_adds: float
    parameters: float


@dataclass(frozen=True)
class Level:
    """How well one model names the cluster, the class within it, and the class.

    Parameters
    ----------
    name : str
        The model.
    cluster, within, final : float
        Share of samples whose class is in the cluster of the predicted one, share of these whose
        class is right, share of all whose class is right.
    """

    name: str
    cluster: float
    within: float
    final: float


@dataclass(frozen=True)
class Results:
    """Accuracy and cost.

    Parameters
    ----------
    scoring : str
        Name of the score.
    source : str
        What the figures come from, a sentence.
    interval : str
        What the intervals say, a sentence.
    variants : tuple of Variant
        The baseline first.
    levels : tuple of Level
        Of the models at hand; empty for several labels a sample.
    verdict : tuple of str
        Sentences on what the comparison shows; empty without one.
    missing : str
        What was not measured, a sentence; empty where nothing is missing.
    remedy : str
        The lines of code that measure it.
    """

    scoring: str
    source: str
    interval: str
    variants: tuple[Variant, ...]
    levels: tuple[Level, ...]
    verdict: tuple[str, ...]
    missing: str
    remedy: str


@dataclass(frozen=True)
class Setting:
    """One setting.

    Parameters
    ----------
    name, value : str
        A parameter and its value, or a decision and what was decided.
    is_default : bool, default=True
        Whether the value is the parameter's default.
    """

    name: str
    value: str
    is_default: bool = True


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows.

    Parameters
    ----------
    title : str
        Title of the page.
    estimator : str
        Name of the estimator's type.
    timestamp : str
        When, as given; empty for no time.
    version : str
        Of hierlearn.
    multilabel : bool
        Whether samples have several labels: counts are of labels detected, then.
    n_samples : int
        Number of test samples.
    detected : int
        How many labels of a sample count as detected; 0 with one label a sample.
    figures : tuple of Figure
        The figures at the head.
    classes : tuple of ClassRow
        In the report's order: clusters side by side, similar classes next to each other.
    clusters : tuple of ClusterRow
        In the same order.
    tree : Tree or None
        The dendrogram.
    confusions : Confusions
        The confusion matrix.
    results : Results
        Accuracy and cost.
    decisions : tuple of Setting, default=()
        What was chosen in ``fit``.
    parameters : tuple of Setting, default=()
        Parameters of the estimator.
    """

    title: str
    estimator: str
    timestamp: str
    version: str
    multilabel: bool
    n_samples: int
    detected: int
    figures: tuple[Figure, ...]
    classes: tuple[ClassRow, ...]
    clusters: tuple[ClusterRow, ...]
    tree: Tree | None
    confusions: Confusions
    results: Results
    decisions: tuple[Setting, ...] = field(default=())
    parameters: tuple[Setting, ...] = field(default=())
