"""The network as an ONNX file, built node by node, so that the result does not depend on the version of PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.export.network import FORBIDDEN, MASK_COLUMNS, MASK_HEIGHT, Exported
from rlbot.policy.actor import Network

OPSET, IR_VERSION = 20, 9  # of ONNX 1.15 (2023); onnxruntime runs it from 1.17 on
HINT = 'install it with `pip install -c constraints.txt -e ".[onnx]"`'
_NODES = {"relu": "Relu", "tanh": "Tanh", "elu": "Elu", "gelu": "Gelu", "leaky_relu": "LeakyRelu"}


class _Graph:
    """Collects nodes and constants."""

    def __init__(self, onnx: Any, tensors: Mapping[str, NDArray[Any]]) -> None:
        self.onnx, self._tensors = onnx, tensors
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def add(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, name: str, value: Any = None) -> str:
        array = self._tensors[name] if value is None else value
        self.constants[name] = self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def linear(self, x: str, prefix: str, output: str | None = None) -> str:
        inputs = [x, self.constant(f"{prefix}.weight"), self.constant(f"{prefix}.bias")]
        return self.add("Gemm", inputs, output, transB=1)

    def trunk(self, prefix: str, network: Network) -> str:
        x = "observations"
        for i in range(len(network.hidden)):
            x = self.linear(x, f"{prefix}.linears.{i}")
            if network.layer_norm:
                norm = [self.constant(f"{prefix}.norms.{i}.{name}") for name in ("weight", "bias")]
                x = self.add("LayerNormalization", [x, *norm], axis=-1, epsilon=1e-5)
            if network.activation == "silu":
                x = self.add("Mul", [x, self.add("Sigmoid", [x])])
            else:
                slope: dict[str, Any] = {"alpha": 0.01} if network.activation == "leaky_relu" else {}
                x = self.add(_NODES[network.activation], [x], **slope)
        return x


def onnx_file(exported: Exported, network: Network) -> bytes:
    """observations (B, size) -> controls (B, 8), logits (B, outputs), value (B,), for any B.

    Raises ValueError if the package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ValueError(f"format=onnx: the package onnx is missing; {HINT}") from error
    model = exported.model
    graph = _Graph(onnx, {name: each.detach().numpy() for name, each in model.state_dict().items()})
    features = graph.trunk("actor_trunk", network)
    if network.action_mask:
        _mask(graph, graph.linear(features, "actor_output"), exported.allowed.numpy())
    else:
        graph.linear(features, "actor_output", "logits")
    _HEADS[network.action_head](graph)
    critic = features if model.critic_trunk is None else graph.trunk("critic_trunk", network)
    value = graph.linear(critic, "critic_output")
    graph.add("Squeeze", [value, graph.constant("last_axis", np.array([1]))], "value")
    shapes = {
        "observations": ["batch", network.observation_size],
        "controls": ["batch", 8],
        "logits": ["batch", network.head.outputs],
        "value": ["batch"],
    }
    described = {
        name: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items()
    }
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes, "policy", [described.pop("observations")], list(described.values()),
            list(graph.constants.values()),
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="rlbot-trainer",
    )  # fmt: skip
    onnx.checker.check_model(made, full_check=True)
    data: bytes = made.SerializeToString()
    return data


def run(data: bytes, observations: NDArray[np.float32]) -> dict[str, NDArray[np.float32]] | None:
    """Outputs of the file in onnxruntime, by name; None if onnxruntime is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, {"observations": observations}), strict=True))


def _mask(graph: _Graph, logits: str, by_effects: NDArray[np.bool_]) -> None:
    """Writes "logits", as network.Exported does."""
    zero = graph.constant("mask.zero", np.array([0], np.float32))
    boost, has_flip, has_jumped, air_time, up, height = (
        graph.add("Gather", ["observations", graph.constant(f"mask.column_{column}", np.array([column]))], axis=1)
        for column in MASK_COLUMNS
    )
    held = graph.add("Not", [graph.add("Greater", [air_time, zero])])
    rises = graph.add("And", [graph.add("Greater", [has_jumped, zero]), held])
    low = graph.add("Less", [height, graph.constant("mask.height", np.array([MASK_HEIGHT], np.float32))])
    on_roof = graph.add("And", [graph.add("Less", [up, zero]), low])
    jump = graph.add("Or", [graph.add("Or", [graph.add("Greater", [has_flip, zero]), rises]), on_roof])
    effects = [graph.add("Greater", [boost, zero]), jump]
    boost, jump = (graph.add("Cast", [each], to=graph.onnx.TensorProto.INT64) for each in effects)
    index = graph.add("Add", [boost, graph.add("Add", [jump, jump])])
    index = graph.add("Squeeze", [index, graph.constant("mask.last_axis", np.array([1]))])
    allowed = graph.add("Gather", [graph.constant("mask.allowed", by_effects), index], axis=0)
    forbidden = graph.constant("mask.forbidden", np.array([FORBIDDEN], np.float32))
    graph.add("Where", [allowed, logits, forbidden], "logits")


def _table(graph: _Graph) -> None:
    row = graph.add("ArgMax", ["logits"], axis=1, keepdims=0)
    graph.add("Gather", [graph.constant("head.table"), row], "controls", axis=0)


def _multi_discrete(graph: _Graph) -> None:
    sizes = [3] * 5 + [2] * 3
    parts = [f"choices_{i}" for i in range(len(sizes))]
    lengths = graph.constant("sizes", np.array(sizes))
    graph.nodes.append(graph.onnx.helper.make_node("Split", ["logits", lengths], parts, axis=1))
    chosen = [graph.add("ArgMax", [part], axis=1, keepdims=1) for part in parts]
    numbers = graph.add("Cast", [graph.add("Concat", chosen, axis=1)], to=graph.onnx.TensorProto.FLOAT)
    offset = graph.constant("offset", np.array([1] * 5 + [0] * 3, np.float32))  # the choices of an axis are -1, 0, 1
    graph.add("Sub", [numbers, offset], "controls")


def _continuous(graph: _Graph) -> None:
    graph.nodes.append(
        graph.onnx.helper.make_node(
            "Split", ["logits", graph.constant("sizes", np.array([5, 3]))], ["axes", "buttons"], axis=1
        )
    )
    pressed = graph.add("Greater", ["buttons", graph.constant("zero", np.array(0, np.float32))])
    pressed = graph.add("Cast", [pressed], to=graph.onnx.TensorProto.FLOAT)
    graph.add("Concat", [graph.add("Tanh", ["axes"]), pressed], "controls", axis=1)


_HEADS: dict[str, Callable[[_Graph], None]] = {
    "table": _table,
    "multi_discrete": _multi_discrete,
    "continuous": _continuous,
}
