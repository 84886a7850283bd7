"""ONNX graphs, built node by node."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..exceptions import MissingExtraError

OPSET = 18
# The first file format that knows this operator set, so that older runtimes read it, too.
IR_VERSION = 8


class Value(NamedTuple):
    """A tensor of the graph, and what it is for two rows of zeros.

    Attributes
    ----------
    name : str
        Its name in the graph.
    example : Tensor of shape (2, ...)
        Tells the shape of a row.
    """

    name: str
    example: torch.Tensor


def required(name: str) -> Any:
    """Return a module of the extra ``onnx``."""
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"to_onnx needs the package {name}. Got {error} instead; install it with pip install "
            "'hierlearn[onnx]'."
        ) from None


class Graph:
    """Nodes in the order in which they run, and the constants that they read.

    A graph inside another, as the branches of an ``If``, keeps its constants in the outermost one.

    Parameters
    ----------
    outer : Graph or None, default=None
    """

    def __init__(self, outer: Graph | None = None) -> None:
        self.onnx = required("onnx")
        self.nodes: list[Any] = []
        self.constants: list[Any] = [] if outer is None else outer.constants
        self._names: dict[Any, str] = {} if outer is None else outer._names
        self._count: list[int] = [0] if outer is None else outer._count

    def name(self, kind: str) -> str:
        """Return a name that nothing in the graph has."""
        self._count[0] += 1
        return f"{kind}_{self._count[0]}"

    def constant(self, values: Any, dtype: Any = None) -> str:
        """Return the name of a constant; equal small ones are kept once."""
        if isinstance(values, torch.Tensor):
            values = values.detach().cpu().numpy()
        array: NDArray[Any] = np.ascontiguousarray(np.asarray(values, dtype=dtype))
        array = array.reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 4096 else None
        if key is None or key not in self._names:
            name = self.name("constant")
            self.constants.append(self.onnx.numpy_helper.from_array(array, name))
            if key is None:
                return name
            self._names[key] = name
        return self._names[key]

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output and return the output's name."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, n_outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node and return the names of its outputs."""
        outputs = [self.name(kind.lower()) for _ in range(n_outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, outputs, **attributes))
        return outputs

    def choose(
        self, condition: str, then: Callable[[Graph], str], other: Callable[[Graph], str]
    ) -> str:
        """Add an ``If``; of its two branches only one is run."""
        return self.op(
            "If", condition, then_branch=self._branch(then), else_branch=self._branch(other)
        )

    def _branch(self, fill: Callable[[Graph], str]) -> Any:
        inner = Graph(self)
        output = fill(inner)
        helper = self.onnx.helper
        result = helper.make_tensor_value_info(output, self.onnx.TensorProto.FLOAT, None)
        return helper.make_graph(inner.nodes, self.name("branch"), [], [result])

    def model(self, inputs: list[Any], outputs: list[Any], metadata: dict[str, str]) -> Any:
        """Return the finished model."""
        helper = self.onnx.helper
        graph = helper.make_graph(self.nodes, "hierlearn", inputs, outputs, self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="hierlearn",
        )
        helper.set_model_props(model, metadata)
        return model

    def torch_module(self, module: nn.Module, value: Value) -> list[Value]:
        """Add whatever torch's own exporter makes of a module; return all that it returns."""
        required("onnxscript")
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # of torch's own making, about its own insides
                program = torch.onnx.export(
                    module,
                    (value.example,),
                    dynamo=True,
                    opset_version=OPSET,
                    dynamic_shapes=({0: torch.export.Dim("rows")},),
                    verbose=False,
                )
                found = module(value.example)
        except Exception as error:  # torch's exporter fails in as many ways as there are modules
            raise ValueError(
                "to_onnx needs layers that torch.onnx.export can convert. Got "
                f"{type(module).__name__}, which it cannot ({type(error).__name__}), instead; "
                "write its forward without steps that depend on values."
            ) from error
        assert program is not None
        names = self._merge(program.model_proto, value.name)
        results = (found,) if isinstance(found, torch.Tensor) else found
        return [Value(name, example) for name, example in zip(names, results, strict=True)]

    def _merge(self, model: Any, given: str) -> list[str]:
        """Take over the nodes of another model, under names of their own."""
        model = required("onnx.inliner").inline_local_functions(model)
        prefix = self.name("torch") + "/"
        graph = required("onnx.compose").add_prefix_graph(model.graph, prefix)
        self.nodes.append(self.onnx.helper.make_node("Identity", [given], [graph.input[0].name]))
        self.nodes.extend(graph.node)
        self.constants.extend(graph.initializer)
        return [output.name for output in graph.output]
