"""An ONNX graph from rows to labels and probabilities, written node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

OPSET, ML_OPSET, IR_VERSION = 18, 3, 9
"""Versions that ONNX Runtime 1.17 (2024) and all later ones read."""


class Graph:
    """Nodes that were added so far; each method adds one and gives the name of its output.

    Raises
    ------
    ImportError
        When the package onnx is not installed.
    """

    rows = "rows"

    def __init__(self) -> None:
        import onnx
        import onnx.helper
        import onnx.numpy_helper

        self._onnx = onnx
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """An operator of these inputs."""
        name = output or f"{kind.lower()}_{len(self._nodes)}"
        domain = "ai.onnx.ml" if kind.startswith("Tree") else ""
        self._nodes.append(
            self._onnx.helper.make_node(kind, list(inputs), [name], domain=domain, **attributes)
        )
        return name

    def constant(self, values: np.ndarray) -> str:
        """An array that is kept in the graph."""
        name = f"constant_{len(self._constants)}"
        array = np.ascontiguousarray(values)
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def plus(self, rows: str, other: np.ndarray | str) -> str:
        """A sum."""
        return self.node("Add", rows, self._value(other))

    def minus(self, rows: str, other: np.ndarray | str) -> str:
        """A difference."""
        return self.node("Sub", rows, self._value(other))

    def times(self, rows: str, other: np.ndarray | str) -> str:
        """A product, value by value."""
        return self.node("Mul", rows, self._value(other))

    def divide(self, rows: str, other: np.ndarray | float) -> str:
        """A quotient of doubles."""
        return self.node("Div", rows, self.constant(np.asarray(other, np.float64)))

    def matmul(self, rows: str, matrix: np.ndarray) -> str:
        """A product with a matrix."""
        return self.node("MatMul", rows, self.constant(matrix))

    def double(self, rows: str) -> str:
        """The same in double precision."""
        return self.node("Cast", rows, to=self._onnx.TensorProto.DOUBLE)

    def softmax(self, scores: str, output: str) -> None:
        """Probabilities of scores as an output, and as what `label` chooses by."""
        self._shares = self.node("Softmax", scores, axis=1)
        self.node("Cast", self._shares, output=output, to=self._onnx.TensorProto.FLOAT)

    def label(self, codes: np.ndarray) -> None:
        """The code of the largest probability as an output; the first of equals."""
        best = self.node("ArgMax", self._shares, axis=1, keepdims=0)
        self.node("Gather", self.constant(codes), best, output="label", axis=0)

    def trees(self, rows: str, trees: Sequence[tuple[int, np.ndarray]], answers: int) -> str:
        """Sums of the leaves that rows come to, float (n, answers).

        Parameters
        ----------
        rows : str
            Doubles (n, c).
        trees : sequence of (int, structured array)
            Which answer a tree adds to, and its nodes as scikit-learn's boosting keeps them.
        answers : int
        """
        nodes = np.concatenate([nodes for _, nodes in trees])
        tree = np.repeat(np.arange(len(trees)), [len(nodes) for _, nodes in trees])
        number = np.concatenate([np.arange(len(nodes)) for _, nodes in trees])
        target = np.repeat([answer for answer, _ in trees], [len(nodes) for _, nodes in trees])
        leaf = nodes["is_leaf"] != 0
        thresholds = np.where(leaf, 0.0, nodes["num_threshold"])
        tensor = self._onnx.numpy_helper.from_array
        return self.node(
            "TreeEnsembleRegressor",
            rows,
            n_targets=answers,
            nodes_treeids=tree.tolist(),
            nodes_nodeids=number.tolist(),
            nodes_featureids=np.where(leaf, 0, nodes["feature_idx"]).tolist(),
            nodes_modes=["LEAF" if end else "BRANCH_LEQ" for end in leaf.tolist()],
            nodes_values_as_tensor=tensor(thresholds, "thresholds"),
            nodes_truenodeids=np.where(leaf, 0, nodes["left"]).tolist(),
            nodes_falsenodeids=np.where(leaf, 0, nodes["right"]).tolist(),
            nodes_missing_value_tracks_true=nodes["missing_go_to_left"].tolist(),
            target_treeids=tree[leaf].tolist(),
            target_nodeids=number[leaf].tolist(),
            target_ids=target[leaf].tolist(),
            target_weights_as_tensor=tensor(nodes["value"][leaf], "leaves"),
        )

    def file(self, columns: int, classes: int, metadata: Mapping[str, str]) -> bytes:
        """The bytes of an ONNX file of this graph, which onnx's own checker has passed."""
        helper, kinds = self._onnx.helper, self._onnx.TensorProto
        graph = helper.make_graph(
            self._nodes,
            "daskfer",
            [helper.make_tensor_value_info(self.rows, kinds.FLOAT, ["n", columns])],
            [
                helper.make_tensor_value_info("label", kinds.INT64, ["n"]),
                helper.make_tensor_value_info("probabilities", kinds.FLOAT, ["n", classes]),
            ],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="daskfer"
        )
        helper.set_model_props(model, dict(metadata))
        self._onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())

    def _value(self, other: np.ndarray | str) -> str:
        return other if isinstance(other, str) else self.constant(other)
