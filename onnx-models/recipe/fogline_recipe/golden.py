"""Golden files: outputs of the QONNX graph for generated pictures, computed by the qonnx package.

The Rust engine is tested against these files, not against this recipe.
"""

import copy
import json
from pathlib import Path

import numpy as np
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from . import export, hashing
from .data import DataError
from .layout import Layout
from .net import Hybrid


def pictures(count: int, size: int, seed: int) -> np.ndarray:
    """Generated pictures, uint8 (N, S, S, 3): soft blobs with noise, so that both signs occur everywhere."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    images = np.empty((count, size, size, 3))
    for image in images:
        for channel in range(3):
            cx, cy, width, base = random.random(4)
            image[:, :, channel] = 80 * base + 170 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (0.05 + 0.3 * width))
        image += random.normal(0, 12, image.shape)
    return images.clip(0, 255).round().astype(np.uint8)


def packed(model: ModelWrapper, name: str, values: np.ndarray) -> bytes:
    """The elements of a quantised tensor as ``fogline::packed`` has them: levels, the first in the lowest bits."""
    quantiser = model.find_producer(name)
    if quantiser.op_type == "BipolarQuant":
        return np.packbits(values.reshape(-1) > 0, bitorder="little").tobytes()
    scale, bits = (model.get_initializer(quantiser.input[i]) for i in (1, 3))
    levels, bits = np.rint(values.reshape(-1) / scale).astype(np.int64), int(bits)
    each = (levels[:, None] >> np.arange(bits)) & 1
    return np.packbits(each.astype(bool).reshape(-1), bitorder="little").tobytes()


@torch.no_grad()
def split_of(net: Hybrid, image: np.ndarray, way: int) -> np.ndarray:
    """The split map (C, S, S) in float64."""
    x = (torch.from_numpy(image).permute(2, 0, 1)[None].double() - 128) / 128
    return copy.deepcopy(net.edge).eval().double()(x, way)[-1][0].numpy()


def write(folder: Path, net: Hybrid, count: int = 4, seed: int = 7) -> None:
    """Writes golden.json beside ``folder``/edge.qonnx, which is ``net``'s.

    On some pictures a real number lies on the border between two levels of a quantiser, its last bit decides which one it becomes, and no
    two runtimes need agree. With one quantised map behind real numbers that is rare; behind a stem of two convolutions it is one picture in
    ten. Such pictures, on which the graph differs from float64, are left out. Raises DataError if most are: then the graph is wrong.
    """
    model = ModelWrapper(str(folder / "edge.qonnx")).transform(InferShapes())
    picture, *chosen = [value.name for value in model.graph.input]
    ways = model.get_tensor_shape(chosen[0])[0] if chosen else 1
    samples = []
    for image in pictures(2 * count, net.layout.size, seed):
        normalised = ((image.astype(np.float32) - 128) / 128).transpose(2, 0, 1)[None]
        of_image = []
        for way in range(ways):
            outputs = execute_onnx(model, {picture: normalised} | {name: np.eye(ways, dtype=np.float32)[way] for name in chosen})
            *exits, split = [outputs[o.name] for o in model.graph.output]
            if not np.allclose(split[0], split_of(net, image, way), rtol=1e-3):
                break
            of_image.append({"rgb": image.tobytes().hex(), **({"way": way} if chosen else {}),
                             "exits": [[float(v) for v in e.reshape(-1)] for e in exits],
                             "split": packed(model, model.graph.output[-1].name, split).hex()})
        samples += of_image if len(of_image) == ways else []
        if len(samples) == count * ways:
            break
    else:
        raise DataError(f"{folder / 'edge.qonnx'} gives other maps than the network that it was exported from")
    (folder / "golden.json").write_text(json.dumps({"size": net.layout.size, "samples": samples}, indent=1) + "\n")


def tiny(folder: Path, layout: Layout) -> None:
    """Writes a small untrained pair with its golden file: for tests of the packer and the engine."""
    torch.manual_seed(3)
    net = Hybrid(layout)
    # Running statistics of real pictures, and slopes and shifts that are not their initial values.
    net.train()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        hashing.tie(net.shared(), layout.share)
        for block in net.mixed():
            block.conv.find_step()
        for seed in range(8):
            images = torch.from_numpy(pictures(16, layout.size, seed)).permute(0, 3, 1, 2)
            net((images.float() - 128) / 128)
    names = [f"class-{i}" for i in range(layout.classes)]
    thresholds = {"entropy": 1.0, "max_probability": 0.6, "margin": 0.3} | ({"appeal": 0.5} if layout.appeals else {})
    exit_ = {"temperature": 1.0, "thresholds": thresholds}
    export.write_pair(net.eval(), names, f"tiny-w{layout.bits}", "1.0.0", [exit_] * len(net.edge.exits), None, folder)
    write(folder, net)
