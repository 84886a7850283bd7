"""Taking a fitted estimator to where it is served: one torch module, or an ONNX file."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .._validation import check_choice
from .export_graph import Graph, Value, required
from .export_routing import emit_posteriors

INPUT, OUTPUT = "rows", "probabilities"
# A protobuf file holds less than two gigabytes; weights beyond go into a file beside it.
MAX_BYTES = 2**31 - 2**20


def as_module(estimator: Any, **settings: Any) -> nn.Module:
    """Return a fitted estimator as one torch module, from rows to class posteriors.

    The module is a copy on the CPU, in evaluation mode, with the estimator's own precision. It
    computes what ``predict_proba`` does, without checks and without the batches; ``torch.export``
    and ``torch.compile`` take it. Every branch and head is evaluated, and what routing leaves out
    has a weight of zero.

    Parameters
    ----------
    estimator : classifier
        One of our networks, a :class:`HierarchicalDecompositionClassifier` or a
        :class:`SpecialistHeadAugmenter` made of them.
    **settings
        ``routing`` of a hierarchy, ``evaluate`` of an augmenter: other than those it has.

    Returns
    -------
    torch.nn.Module
        Takes a tensor of shape (n_samples, ...), of any numeric type; returns one of shape
        (n_samples, n_classes), columns in the order of ``classes_``.

    Raises
    ------
    ValueError
        If a part of the estimator is no torch network.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import TorchMLPClassifier
    >>> from hierlearn.networks import as_module
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = TorchMLPClassifier((32,), max_epochs=5, random_state=0).fit(X, y)
    >>> module = as_module(clf)
    >>> program = torch.export.export(
    ...     module,
    ...     (torch.zeros(2, 64),),
    ...     dynamic_shapes=({0: torch.export.Dim("rows", max=2**20)},),
    ...     strict=False,
    ... )
    >>> program.module()(torch.from_numpy(X[:5]).float()).shape
    torch.Size([5, 10])
    """
    build = getattr(estimator, "_posterior_module", None)
    if build is None:
        raise ValueError(
            "estimator must be a torch network of hierlearn, a hierarchy or an augmenter. Got "
            f"{type(estimator).__name__} instead; export what is no network by other means, such "
            "as skl2onnx."
        )
    module = copy.deepcopy(build(**settings)).cpu().eval()
    return module.requires_grad_(False)


def write_onnx(estimator: Any, path: Any, *, input_dtype: str = "float32", **settings: Any) -> None:
    """Write a fitted estimator as an ONNX file, from rows to class posteriors.

    What ``to_onnx`` of the estimators does, see :meth:`TorchMLPClassifier.to_onnx`.

    Parameters
    ----------
    estimator : classifier
        See :func:`as_module`.
    path : str or path-like
        File to write.
    input_dtype : {"float32", "uint8"}, default="float32"
        Type of the rows that the file takes.
    **settings
        See :func:`as_module`.

    Raises
    ------
    ValueError
        If a part of the estimator is no torch network, or a layer cannot be converted.
    MissingExtraError
        If onnx is not installed.
    """
    check_choice(input_dtype, ("float32", "uint8"), "input_dtype")
    onnx = required("onnx")
    module = as_module(estimator, **settings).float()
    row_shape = _row_shape(estimator)
    graph = Graph()
    name, example = INPUT, torch.zeros((2, *row_shape))
    if input_dtype == "uint8":
        name = graph.op("Cast", INPUT, to=onnx.TensorProto.FLOAT)
    found = emit_posteriors(graph, module, Value(name, example))
    graph.nodes.append(onnx.helper.make_node("Identity", [found.name], [OUTPUT]))
    info, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    kind = types.UINT8 if input_dtype == "uint8" else types.FLOAT
    model = graph.model(
        [info(INPUT, kind, ["n_samples", *row_shape])],
        [info(OUTPUT, types.FLOAT, ["n_samples", found.example.shape[1]])],
        _metadata(estimator, row_shape, settings),
    )
    _save(onnx, model, Path(path))


def _row_shape(estimator: Any) -> tuple[int, ...]:
    """Return the shape of one row as ``fit`` was given it; of a network of images, as they are."""
    shape: Sequence[int] = vars(estimator).get("_row_shape") or estimator._input_shape
    return tuple(int(side) for side in shape)


def _metadata(
    estimator: Any, row_shape: tuple[int, ...], settings: dict[str, Any]
) -> dict[str, str]:
    """Return what a reader of the file needs to know, each as JSON."""
    from .. import __version__

    classes = np.asarray(estimator.classes_)
    facts = {
        "classes": classes.tolist(),
        "classes_dtype": str(classes.dtype),
        "multilabel": bool(getattr(estimator, "multilabel_", False)),
        "row_shape": row_shape,
        "estimator": type(estimator).__name__,
        "hierlearn_version": __version__,
    }
    for name in ("routing", "evaluate"):
        if hasattr(estimator, name):
            given = settings.get(name)
            facts[name] = getattr(estimator, name) if given is None else given
    return {name: json.dumps(fact, ensure_ascii=False, default=str) for name, fact in facts.items()}


def _save(onnx: Any, model: Any, path: Path) -> None:
    if model.ByteSize() > MAX_BYTES:
        onnx.save_model(model, str(path), save_as_external_data=True, location=f"{path.name}.data")
        onnx.checker.check_model(str(path))
        return
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))
