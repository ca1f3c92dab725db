"""Models for timing other runtimes next to the edge engine: single convolutions, and the edge without its quantisers.

The weights of the convolutions are random: only their number matters here.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS = [(28, 128), (14, 256)]
DEPTHWISE = [(28, 256), (14, 512)]
QUANTISERS = {"BipolarQuant", "Quant", "IntQuant"}


def _save(nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray], path: Path) -> None:
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _convolution(folder: Path, name: str, side: int, weights: np.ndarray, group: int) -> None:
    """``NAME-f32.onnx`` and ``NAME-int8.onnx``: a 3x3 convolution, as many outputs as inputs, (1, C, S, S) in and out."""
    shape = [1, len(weights), side, side]
    value = {kind: [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")]
             for kind in (TensorProto.FLOAT, TensorProto.UINT8)}
    x, y = value[TensorProto.FLOAT]
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4, group=group)
    _save([node], [x], [y], {"w": weights}, folder / f"{name}-f32.onnx")
    x, y = value[TensorProto.UINT8]
    node = helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"], pads=[1] * 4, group=group)
    levels = np.clip(np.rint(weights * 400), -127, 127).astype(np.int8)
    constants = {"xs": np.float32(0.02), "xz": np.uint8(128), "ws": np.float32(0.005), "wz": np.int8(0),
                 "ys": np.float32(0.05), "yz": np.uint8(128), "w": levels}
    _save([node], [x], [y], {name: np.asarray(v) for name, v in constants.items()}, folder / f"{name}-int8.onnx")


def convolutions(folder: Path, seed: int = 1) -> None:
    """The files of ``conv-SIDE-CHANNELS`` and ``depthwise-SIDE-CHANNELS``."""
    random = np.random.default_rng(seed)
    for side, channels in LAYERS:
        weights = random.normal(0, 0.1, (channels, channels, 3, 3)).astype(np.float32)
        _convolution(folder, f"conv-{side}-{channels}", side, weights, 1)
    for side, channels in DEPTHWISE:
        weights = random.normal(0, 0.1, (channels, 1, 3, 3)).astype(np.float32)
        _convolution(folder, f"depthwise-{side}-{channels}", side, weights, channels)


def _fold(graph: onnx.GraphProto) -> None:
    """Removes identity nodes after weights: the quantiser would otherwise treat those weights as activations."""
    weights = {tensor.name: tensor.name for tensor in graph.initializer}
    nodes = []
    for node in graph.node:  # in the order in which they run
        if node.op_type == "Identity" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
            continue
        node.input[:] = [weights.get(name, name) for name in node.input]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _without_channels_first(op: str, place: int, shape: list[int]) -> list[int]:
    """The shape of a constant for NHWC maps: kernels are (k, k, inputs, outputs), per-channel offsets and slopes come last."""
    if op == "Conv" and place == 1:
        outputs, inputs, h, w = shape
        return [h, w, inputs, outputs]
    return [n for n in shape if n != 1] if op in ("Add", "PRelu") else shape


def _for_tfjs(graph: onnx.GraphProto) -> dict:
    """The nodes of a folded graph, with the shapes of their constants and the attributes that tfjs needs."""
    shapes, constants, nodes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}, {}, []
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in shapes:
                constants[name] = _without_channels_first(node.op_type, place, shapes[name])
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute if a.name in ("strides", "pads", "kernel_shape", "transB")}
        nodes.append({"op": node.op_type, "inputs": list(node.input), "output": node.output[0], "attributes": attributes})
    n, c, h, w = (d.dim_value for d in graph.input[0].type.tensor_type.shape.dim)
    return {"nodes": nodes, "constants": constants, "input": {"name": graph.input[0].name, "shape": [n, h, w, c]},
            "outputs": [output.name for output in graph.output]}


def pictures(root: Path, count: int, folder: Path) -> None:
    """``pictures.rgb``: ``count`` test pictures of a dataset, spread evenly over it, of the edge's size, as RGB bytes."""
    from . import data

    size = json.loads((folder / "edge-tfjs.json").read_text())["input"]["shape"][1]
    images = data.load(root, "test", size).images
    every = images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]
    (folder / "pictures.rgb").write_bytes(every.permute(0, 2, 3, 1).contiguous().numpy().tobytes())


def edge(qonnx: Path, folder: Path, seed: int = 1) -> None:
    """An edge's graph without its quantisers, ``edge-f32.onnx``; quantised by onnxruntime, ``edge-int8.onnx``; and for tfjs, ``edge-tfjs.json``."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quant_pre_process, quantize_static

    model = onnx.load(qonnx)
    for node in model.graph.node:
        if node.op_type in QUANTISERS:
            del node.input[1:], node.attribute[:]
            node.op_type, node.domain = "Identity", ""
    _fold(model.graph)
    # Runtimes do not fold weights that are also inputs, because every run may replace them.
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:], model.opset_import[:]
    model.graph.input.extend(inputs)
    model.opset_import.append(helper.make_opsetid("", 17))
    onnx.checker.check_model(model)
    f32 = folder / "edge-f32.onnx"
    onnx.save(model, f32)
    picture = model.graph.input[0]
    shape = [d.dim_value for d in picture.type.tensor_type.shape.dim]

    class Pictures(CalibrationDataReader):
        left = 8
        random = np.random.default_rng(seed)

        def get_next(self):
            self.left -= 1
            return {picture.name: self.random.normal(0, 0.5, shape).astype(np.float32)} if self.left >= 0 else None

    # Fold batch-norms into convolutions, as onnxruntime recommends: quantisers between them would prevent it.
    int8 = folder / "edge-int8.onnx"
    quant_pre_process(f32, int8, skip_symbolic_shape=True)
    (folder / "edge-tfjs.json").write_text(json.dumps(_for_tfjs(onnx.load(int8).graph)))
    quantize_static(int8, int8, Pictures(), quant_format=QuantFormat.QDQ, per_channel=True)


def time_cloud(onnx_file: Path, batches: list[int], samples: int = 10) -> dict[int, list[float]]:
    """Milliseconds that onnxruntime takes on one thread for a ``cloud.onnx``, by batch size.

    A model with a fixed batch of one runs its samples one after the other, like the function.
    """
    import time

    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])
    taken = session.get_inputs()[0]
    frozen = taken.shape[0] == 1
    random = np.random.default_rng(1)
    times = {}
    for batch in batches:
        maps = np.sign(random.normal(size=(batch, *taken.shape[1:]))).astype(np.float32)
        parts = np.split(maps, batch) if frozen else [maps]
        times[batch] = []
        for sample in range(samples + 2):
            start = time.perf_counter()
            for part in parts:
                session.run(None, {taken.name: part})
            if sample >= 2:  # the first allocate
                times[batch].append((time.perf_counter() - start) * 1e3)
    return times
