"""A perceptron that names relevant clusters of labels, and the labels within them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._caching import MEMORY_CONSTRAINT
from .._progress import begin_stage, expect
from .._validation import HasMethods, Interval, StrOptions, check_weights, draw_seeds
from ..partition import LabelPartition
from ._base import BaseTorchClassifier
from ._data import BatchDataset, as_tensor
from ._forward import forward
from ._skorch import TrainingPlan, train_network
from .label_tree import (
    LabelTree,
    LabelTreeLoss,
    TreeScores,
    below_output,
    check_routing,
    label_shares,
    probe_rows,
)
from .label_tree_clusters import cluster_work, learn_label_clusters
from .mlp import _ACTIVATIONS, perceptron_of


class MultiLabelDecompositionClassifier(BaseTorchClassifier):
    """Multi-layer perceptron with a shallow tree of labels: relevant clusters, labels within.

    Labels that occur together share a cluster. A cluster is relevant to a sample that has any of
    its labels; the network says so for each cluster, and one small network a cluster, a linear one
    on the same hidden features, says which labels the sample has if the cluster is relevant. It
    learns from the samples to which the cluster is, and from others as ``negatives`` says. The
    probability of a label is the product of the two.

    With ``routing`` a sample visits some clusters only, and the other small networks are not
    evaluated: their labels are as probable as the cluster is, times the share of its samples that
    have the label. So all labels stay ranked.

    One class a sample is taken, too: every class is a label then, and probabilities are divided by
    their sum. There :class:`PartitionSoftmaxClassifier` is made for it.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(200, 150)
        Units of each hidden layer.
    partitioner : str, partitioner, LabelPartition, mapping or None, default=None
        What makes the clusters. None is a :class:`ConfusionSpectralPartitioner`, and one cluster
        below four labels. A partitioner of confusions gets what ``affinity`` says, one of scores
        those of held-out rows, one of features the mean of each label's samples; names are those of
        :func:`hierlearn.partition.resolve_partitioner`. Where clusters overlap, labels are in their
        primary ones.
    n_clusters : int or None, default=None
        Number of clusters of ``partitioner=None``. None is about the square root of the number of
        labels.
    affinity : {"cooccurrence", "confusion"}, default="cooccurrence"
        What brings labels together. ``"cooccurrence"``: that samples have both, more often than by
        chance (normalised pointwise mutual information). ``"confusion"``: that a flat network,
        trained for a few epochs, detects both in held-out rows; for one class a sample always, for
        there no sample has two.
    cv : None, float, int, splitter or iterable, default=None
        What is held out for confusions and scores, as in :func:`held_out_scores
        <hierlearn.confusion.held_out_scores>`; None is a fifth of the rows. Nothing is held out
        where neither is needed.
    routing : {"soft"}, int or float in (0, 1), default="soft"
        Which clusters a sample visits: all, the so many most probable ones, or those of at least
        that probability and in any case the most probable one. See :meth:`rerouted`.
    negatives : float, default=0.3
        What a sample counts for the small network of a cluster that is not relevant to it, from 0
        to 1. Probabilities are corrected for it. With 0 they learn p(label | cluster) from the
        cluster's own samples alone; with 1 from all samples, as a flat network does, and clusters
        serve to route.
    cluster_weight : float, default=0.2
        Factor of the clusters' loss beside that of the labels.
    activation : {"relu", "tanh", "gelu", "logistic"}, default="relu"
        Activation of the hidden layers.
    dropout, input_dropout : float, default=0.0
        Dropout behind every hidden layer, and of the inputs.
    max_epochs : int, default=20
        Passes over the training data.
    batch_size : int or "auto", default="auto"
        Rows a step. ``"auto"`` is about a hundredth of the data, a power of two from 64 to 256.
    optimizer : {"adamw", "adam", "sgd"} or torch.optim.Optimizer class, default="adamw"
        How the weights are moved.
    lr : float, default=1e-3
        (Peak) learning rate.
    weight_decay : float, default=0.01
        Weight decay of the optimiser.
    momentum : float, default=0.9
        Momentum, used by ``optimizer="sgd"`` only.
    lr_schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        How the learning rate moves over the run.
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the data, stop when its loss has not improved for
        ``n_iter_no_change`` epochs and keep the best weights.
    validation_fraction : float, default=0.1
        Share of the data held out by ``early_stopping``.
    n_iter_no_change : int, default=5
        Patience of ``early_stopping`` in epochs.
    class_weight : dict, "balanced" or None, default=None
        Weights by class label, as in scikit-learn; see :class:`TorchClassifier` for multi-label y.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the last fit; the clusters are kept.
    device : str, default="auto"
        ``"auto"`` (CUDA where available), ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
    mixed_precision : bool or "always", default=True
        Train in bfloat16 where the device is a GPU that supports it; with ``"always"`` on a CPU,
        too.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Floating type of the network; ``"auto"`` is float32, but float64 when the whole training set
        fits in one batch.
    callbacks : sequence or None, default=None
        Further skorch callbacks of the final fit.
    memory : None, str, path-like or joblib.Memory, default=None
        Where every trained network is kept, and found again by this or any other fit that would
        train the same on the same rows. A network that trains for long is kept after epochs, too.
        None keeps nothing.
    n_jobs : int or None, default=None
        CPU threads for torch. None means 1, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, batch order, dropout, clusters and all splits.
    verbose : int, default=0
        1 shows on the standard error how far the training is and about how long it will take; 2
        prints a line an epoch on the standard output, too.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels as given; label indices for a multi-label y.
    partition_ : LabelPartition
        The clusters.
    module_ : torch.nn.Sequential
        The trained network: ``hidden1``, ``activation1``, ..., ``output``, a
        :class:`~hierlearn.networks.label_tree.LabelTree`.
    history_ : list of dict
        One record an epoch: ``epoch``, ``train_loss``, ``dur`` and perhaps ``valid_loss``.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.
    multilabel_ : bool
        Whether y was a label indicator matrix.

    See Also
    --------
    PartitionSoftmaxClassifier : The same for one class a sample.
    LabelEmbeddingClassifier : Labels that occur together as vectors that point the same way.

    References
    ----------
    Jasinska et al., Extreme F-measure maximization using sparse probability estimates, ICML 2016
    (probabilistic label trees, of which this is one of two levels).

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn import MultiLabelDecompositionClassifier
    >>> random = np.random.RandomState(0)
    >>> X = random.standard_normal((400, 8))
    >>> Y = (X @ random.standard_normal((8, 12)) > 2).astype(int)
    >>> clf = MultiLabelDecompositionClassifier((64,), lr=0.01, random_state=0)
    >>> clf = clf.fit(X[:300], Y[:300])
    >>> clf.partition_.n_clusters
    3
    >>> from hierlearn.metrics import average_precision_at_k
    >>> average_precision_at_k(Y[300:], clf.predict_proba(X[300:]), 5) > 0.8
    True
    >>> sparing = clf.rerouted(1)
    >>> sparing.routing
    1
    """

    _beside_flat = True

    # Its upper layer knows clusters of labels, which a branch of fewer labels has not.
    _branchable = False

    _keeps_parts = True

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "hidden_layer_sizes": ["array-like"],
        "partitioner": [str, LabelPartition, dict, HasMethods("fit"), None],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "affinity": [StrOptions({"cooccurrence", "confusion"})],
        "cv": "no_validation",
        "memory": MEMORY_CONSTRAINT,
        "routing": "no_validation",
        "negatives": [Interval(Real, 0, 1, closed="both")],
        "cluster_weight": [Interval(Real, 0, None, closed="neither")],
        "activation": [StrOptions(set(_ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (200, 150),
        *,
        partitioner: Any = None,
        n_clusters: int | None = None,
        affinity: str = "cooccurrence",
        cv: Any = None,
        routing: str | float = "soft",
        negatives: float = 0.3,
        cluster_weight: float = 0.2,
        activation: str = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        max_epochs: int = 20,
        batch_size: int | str = "auto",
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        momentum: float = 0.9,
        lr_schedule: str = "one_cycle",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: dict | str | None = None,
        warm_start: bool = False,
        device: str = "auto",
        mixed_precision: bool | str = True,
        dtype: str = "auto",
        callbacks: Sequence[Any] | None = None,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            max_epochs=max_epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            lr_schedule=lr_schedule,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            class_weight=class_weight,
            warm_start=warm_start,
            device=device,
            mixed_precision=mixed_precision,
            dtype=dtype,
            callbacks=callbacks,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.hidden_layer_sizes = hidden_layer_sizes
        self.partitioner = partitioner
        self.n_clusters = n_clusters
        self.affinity = affinity
        self.cv = cv
        self.memory = memory
        self.routing = routing
        self.negatives = negatives
        self.cluster_weight = cluster_weight
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout

    # -- fitting -------------------------------------------------------------------------------

    def _weights(
        self, target: Any, classes: np.ndarray, multilabel: bool, sample_weight: Any
    ) -> np.ndarray:
        check_routing(self.routing)
        weight = super()._weights(target, classes, multilabel, sample_weight)
        given = check_weights(sample_weight, target.shape[0])
        self._rows = weight > 0, np.ones(len(weight)) if given is None else given
        return weight

    def _train(self, X: Any, target: Any, weight: np.ndarray, resume: bool) -> None:
        kept, given = self.__dict__.pop("_rows")
        if not resume:
            self._check_n_clusters()
            work = cluster_work(self)
            expect(1.0 + work)
            begin_stage("clusters of labels", work)
            seed = int(draw_seeds(self.random_state, 3)[2])  # those before are the base's own
            self.partition_ = learn_label_clusters(self, X, target, given[kept], kept, seed)
            self._shares = label_shares(target, given[kept], self.partition_.labels)
        super()._train(X, target, weight, resume)
        self.__dict__.pop("_shares", None)

    def _check_n_clusters(self) -> None:
        if self.partitioner is None and (self.n_clusters or 1) > len(self.classes_):
            raise ValueError(
                f"n_clusters must be at most the number of labels, {len(self.classes_)}. Got "
                f"{self.n_clusters} instead; leave it out, or lower it."
            )

    def _make_module(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        network: Any = perceptron_of(self, input_shape[0], 1)
        width = network.output.in_features
        network.output = LabelTree(
            width,
            self.partition_.labels,
            self._shares,
            self.routing,
            negatives=float(self.negatives),
            exclusive=not self.multilabel_,
        )
        return network

    def _run(
        self,
        module: nn.Module,
        train: BatchDataset,
        valid: BatchDataset | None,
        plan: TrainingPlan,
    ) -> list[dict[str, Any]]:
        network: Any = module
        tree = network.output
        # A warm start may have changed them.
        tree.routing, tree.negatives = self.routing, float(self.negatives)
        plan = replace(
            plan,
            criterion=partial(LabelTreeLoss, tree, float(self.cluster_weight)),
            n_outputs=len(tree.sizes) + len(tree.labels),
        )
        history = train_network(TreeScores(network), train, valid, plan)
        network.eval()
        rows = as_tensor(train.X[probe_rows(train)], train.dtype).to(plan.device)
        with torch.inference_mode():
            tree.probe(below_output(network, rows))
        return history

    # -- predicting ----------------------------------------------------------------------------

    def rerouted(self, routing: str | float) -> Self:
        """Return the same classifier with another routing; nothing is trained, weights are shared.

        Parameters
        ----------
        routing : {"soft"}, int or float in (0, 1)

        Returns
        -------
        MultiLabelDecompositionClassifier
            Fitted.

        Raises
        ------
        ValueError
            If the routing is none of these.
        NotFittedError
            If this one is not fitted.
        """
        check_is_fitted(self, "module_")
        check_routing(routing)
        found = copy.copy(self)
        found.routing = routing
        network: Any = self.module_
        layers = dict(network.named_children())
        layers["output"] = copy.copy(network.output)
        layers["output"].routing = routing
        found.module_ = nn.Sequential()
        for name, layer in layers.items():
            found.module_.add_module(name, layer)
        found.module_.eval()
        return found

    def to_onnx(self, path: Any, *, input_dtype: str = "float32") -> None:
        """Write the network as an ONNX file, see :meth:`TorchMLPClassifier.to_onnx`.

        Parameters
        ----------
        path : str or path-like
            File to write.
        input_dtype : {"float32", "uint8"}, default="float32"
            Type of the rows that the file takes.

        Raises
        ------
        ValueError
            If ``routing`` is not ``"soft"``: a file has no place for heads that are left out.
        MissingExtraError
            If onnx or onnxscript is not installed.
        """
        if self.routing != "soft":
            raise ValueError(
                f"routing must be 'soft' to write a file. Got {self.routing!r} instead; write "
                "rerouted('soft'), which asks every cluster."
            )
        super().to_onnx(path, input_dtype=input_dtype)

    def cluster_probabilities(self, X: Any) -> np.ndarray:
        """Return how probable each cluster is to be relevant.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            Columns in the order of ``partition_``; a row does not sum to one.
        """
        X = self._check_X(X)
        network: Any = self.module_
        gate = nn.Sequential(*network[:-1], network.output.gate, nn.Sigmoid()).eval()
        return forward(gate, X, self.device, self.n_jobs)
