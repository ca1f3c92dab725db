"""Writes a network as a pair, edge.qonnx, cloud.onnx and manifest.json, with what qonnx computes of it."""

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from brevitas.export import export_qonnx
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from fogline_recipe import golden

from .edge import Edge, Pictures, settle

# torch's two exporters, each with the opset that is usual with it.
EXPORTERS = {"dynamo": {"dynamo": True, "opset_version": 18}, "torchscript": {"dynamo": False, "opset_version": 13}}


def export(net: Edge, pictures: Pictures, path: Path, options: dict) -> None:
    """Writes ``net`` as QONNX."""
    shape = (1, pictures.channels, pictures.size, pictures.size)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        export_qonnx(net, args=torch.zeros(shape), export_path=str(path), input_names=["picture"], output_names=["exit-1", "exit-2", "split"], **options)


def write_cloud(shape: list[int], classes: int, path: Path) -> None:
    """Writes a cloud part: a linear layer over the split map's mean, with a free batch dimension."""
    weights = np.random.default_rng(1).normal(0, 1, (classes, shape[0])).astype(np.float32)
    nodes = [helper.make_node("GlobalAveragePool", ["split"], ["mean"]), helper.make_node("Flatten", ["mean"], ["row"]),
             helper.make_node("Gemm", ["row", "weights"], ["scores"], transB=1)]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *dims]) for name, dims in (("split", shape), ("scores", [classes]))]
    graph = helper.make_graph(nodes, "cloud", value[:1], value[1:], [numpy_helper.from_array(weights, "weights")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def write(name: str, make, pictures: Pictures, options: dict, folder: Path, seed: int) -> None:
    """Writes the pair to ``folder`` and, as outputs.npz, some pictures with what qonnx computes of them."""
    torch.manual_seed(seed)
    net = make()
    settle(net, [pictures.read(golden.pictures(16, pictures.size, seed)) for seed in range(4)])
    folder.mkdir(parents=True, exist_ok=True)
    export(net, pictures, folder / "edge.qonnx", options)
    found = outputs(folder / "edge.qonnx", pictures)
    np.savez(folder / "outputs.npz", **found)
    classes = found["exit-1"].shape[1]
    # A row is a map of 1x1 pixels.
    split = [*found["split"].shape[1:], 1, 1][:3]
    write_cloud(split, classes, folder / "cloud.onnx")
    exits = [{"name": f"exit-{i}", "after_block": i, "temperature": 1.0, "thresholds": {"entropy": 0.3}} for i in (1, 2)]
    work = {"32": split[0] * classes}
    manifest = {"format": 1, "name": name, "version": folder.name, "classes": [f"class-{i}" for i in range(classes)],
                "input": {"size": pictures.size, "mean": pictures.mean, "std": pictures.std}, "policy": "entropy", "exits": exits,
                "split": {"shape": split, "bits": 1}, "parts": [{"name": "cloud", "role": "cloud", "macs": work, "reads": work}], "files": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))


def outputs(path: Path, pictures: Pictures, count: int = 2) -> dict[str, np.ndarray]:
    """Generated pictures as ``rgb``, and what qonnx computes of them: the outputs by name, and the split's levels as ``levels``."""
    model = ModelWrapper(str(path)).transform(InferShapes())
    rgb = golden.pictures(count, pictures.size, 7)
    if pictures.channels == 1:  # grey
        rgb[..., 1:] = rgb[..., :1]
    each = [execute_onnx(model, {"picture": pictures.read(image[None]).numpy()}) for image in rgb]
    found = {name: np.concatenate([one[name] for one in each]) for name in ("exit-1", "exit-2", "split")}
    return {"rgb": rgb, **found, "levels": levels(model, found["split"])}


def levels(model: ModelWrapper, split: np.ndarray) -> np.ndarray:
    """The levels of split maps, one row each: 0 and 1 for signs, else integers."""
    node = model.find_producer("split")
    while node.op_type not in ("BipolarQuant", "Quant", "IntQuant"):  # the maximum of levels is a level
        node = model.find_producer(node.input[0])
    sign = node.op_type == "BipolarQuant"
    found = split > 0 if sign else np.rint(split / model.get_initializer(node.input[1]))
    return found.reshape(len(split), -1).astype(np.int64)


def as_the_cloud_reads(levels: np.ndarray, split: dict) -> np.ndarray:
    """The numbers that the cloud makes of a split map, by the manifest's ``split``; NaN for levels that its bits cannot hold."""
    if split["bits"] == 1:
        return (2 * levels - 1) * np.float32(split["scale"])
    first = -(2 ** (split["bits"] - 1)) if split.get("signed", True) else 0
    fit = (first <= levels) & (levels < first + 2 ** split["bits"])
    return np.where(fit, levels * np.float32(split["scale"]), np.nan)


def write_golden(folder: Path) -> None:
    """Writes golden.json from outputs.npz, the split maps packed in as many bits as the packed model's manifest says.

    Raises ValueError if the cloud would make other numbers of them than the graph has.
    """
    found = np.load(folder / "outputs.npz")
    split = json.loads((folder / "manifest.json").read_text())["split"]
    if not np.allclose(as_the_cloud_reads(found["levels"], split), found["split"].reshape(found["levels"].shape), rtol=1e-6, atol=0):
        raise ValueError(f"the cloud reads other numbers than the graph has at the split: {split}")
    bits = split["bits"]
    digits = (found["levels"][..., None] >> np.arange(bits)) & 1
    packed = np.packbits(digits.reshape(len(digits), -1).astype(bool), axis=1, bitorder="little")
    exits = [found[f"exit-{i}"].reshape(len(packed), -1) for i in (1, 2)]
    samples = [{"rgb": rgb.tobytes().hex(), "exits": [rows.tolist() for rows in logits], "split": split.tobytes().hex()}
               for rgb, split, *logits in zip(found["rgb"], packed, *exits, strict=True)]
    (folder / "golden.json").write_text(json.dumps({"samples": samples}))
