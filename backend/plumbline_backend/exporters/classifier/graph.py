"""A small writer for ONNX graphs: names every value, keeps constants, and ends in a checked model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
"""ai.onnx opset: has everything used here, and ONNX Runtime reads it since 1.12 (2022)."""
CONTRIB = "com.microsoft"
ML = "ai.onnx.ml"
IR_VERSION = 8
PREFIX = "plumbline/"
"""Inner values are named plumbline/1, plumbline/2, ...; inputs keep the names of their columns."""
ELEMENT_TYPES = {"float64": TensorProto.DOUBLE, "float32": TensorProto.FLOAT, "string": TensorProto.STRING,
                 "uint8": TensorProto.UINT8, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}  # fmt: skip


class GraphWriter:
    """Collects nodes in the order in which they run."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._constants: list[Any] = []
        self._outputs: list[Any] = []
        self._n_names = 0

    def input(self, name: str, element: str, shape: tuple[int, ...]) -> str:
        """Declare an input of `shape` per item; the first axis is the items'. Returns its name."""
        info = helper.make_tensor_value_info(name, ELEMENT_TYPES[element], ["N", *shape])
        self._inputs.append(info)
        return name

    def output(self, value: str, name: str, element: str, shape: tuple[int, ...]) -> None:
        """Give `value` out under `name`, with `shape` per item."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        info = helper.make_tensor_value_info(name, ELEMENT_TYPES[element], ["N", *shape])
        self._outputs.append(info)

    def constant(self, array: NDArray[Any] | list[str] | float) -> str:
        """A constant; strings are kept as UTF-8. Returns its name."""
        name = self._name()
        values = np.asarray(array, dtype=object if isinstance(array, list) else None)
        if values.dtype == object:
            encoded = [text.encode() for text in values.ravel()]
            tensor = helper.make_tensor(name, TensorProto.STRING, values.shape, encoded)
        else:
            tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        self._constants.append(tensor)
        return name

    def double(self, array: NDArray[Any]) -> str:
        """A float64 constant, kept in the file as float32 where that loses nothing."""
        exact = np.asarray(array, dtype=np.float64)
        short = exact.astype(np.float32)
        if np.array_equal(short.astype(np.float64), exact):
            return self.cast(self.constant(short), "float64")
        return self.constant(exact)

    def cast(self, value: str, element: str) -> str:
        """The value as another element type."""
        return self.op("Cast", value, to=ELEMENT_TYPES[element])

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; returns the output's name."""
        name = self._name()
        self._nodes.append(helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def two(self, kind: str, *inputs: str, **attributes: Any) -> tuple[str, str]:
        """Add a node with two outputs; returns their names."""
        names = self._name(), self._name()
        self._nodes.append(helper.make_node(kind, list(inputs), list(names), **attributes))
        return names

    def tensor(self, array: NDArray[Any]) -> onnx.TensorProto:
        """An array as an attribute of a node takes it."""
        return numpy_helper.from_array(np.ascontiguousarray(array))

    def model(self, name: str, doc: str, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The finished model, checked. `metadata` are the model's own properties, text to text."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._constants, doc)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1), helper.make_opsetid(ML, 3)]
        model = helper.make_model(
            graph, opset_imports=opsets, producer_name="plumbline", ir_version=IR_VERSION
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model)
        return model

    def _name(self) -> str:
        self._n_names += 1
        return f"{PREFIX}{self._n_names}"
