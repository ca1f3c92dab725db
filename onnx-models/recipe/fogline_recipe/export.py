"""Exports a trained network to the files of a pair: edge.qonnx, cloud.onnx and manifest.json."""

import hashlib
import json
import warnings
from pathlib import Path

import onnx
import torch
from brevitas.export import export_qonnx

from . import energy
from .net import Hybrid

MEAN_STD = 128.0 / 255.0


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_edge(net: Hybrid, path: Path) -> None:
    """Writes the edge as QONNX. Its outputs are the exits in order, then an extension if there is one, then the split map.

    Blocks with several ways take a second input, ``way``: a one-hot vector with 1 at the sample's way.
    """
    size = net.layout.size
    inputs = {"picture": torch.zeros(1, 3, size, size)}
    for block in net.mixed():
        block.conv.settle()
    if net.mixed():
        inputs["way"] = torch.eye(len(net.mixed()[0].bits))[0]
    names = [*(f"exit-{i + 1}" for i in range(len(net.edge.exits))), *(["extension"] if net.edge.extension else []), "split"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(net.edge.eval(), args=tuple(inputs.values()), export_path=str(path), input_names=list(inputs),
                     output_names=names, dynamo=False, opset_version=17)


def write_cloud(net: Hybrid, path: Path) -> None:
    """Writes the cloud part as plain ONNX with a free batch dimension."""
    split = torch.zeros(1, *net.edge.split_shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.cloud.eval(), (split,), str(path), input_names=["split"], output_names=["scores"],
                          dynamic_axes={"split": {0: "batch"}, "scores": {0: "batch"}}, dynamo=False, opset_version=17)
    onnx.checker.check_model(str(path))


def write_twin(net: Hybrid, path: Path) -> None:
    """Writes the full-precision twin as plain ONNX: one normalised picture in, its scores out."""
    picture = torch.zeros(1, 3, net.layout.size, net.layout.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), (picture,), str(path), input_names=["picture"],
                          output_names=["scores"], dynamo=False, opset_version=17)
    onnx.checker.check_model(str(path))


def policy(net: Hybrid) -> str:
    """The policy that decides unless the user chooses another."""
    return "appeal" if net.layout.appeals else "entropy"


def write_pair(net: Hybrid, names: list[str], name: str, version: str, calibrated: list[dict], measured: dict | None,
               folder: Path, curves: dict | None = None, normal: dict | None = None) -> None:
    """Writes edge.qonnx, cloud.onnx and manifest.json; ``cargo xtask pack`` then adds edge.fog to them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_edge(net, folder / "edge.qonnx")
    write_cloud(net, folder / "cloud.onnx")
    layout = net.layout
    files = {file: {"sha256": sha256(folder / file), "bytes": (folder / file).stat().st_size}
             for file in ("edge.qonnx", "cloud.onnx")}
    exits = [{"name": f"exit-{i + 1}", "after_block": after, **found}
             for i, (after, found) in enumerate(zip(net.edge.exit_after, calibrated, strict=True))]
    if net.edge.extension:
        hard = [names[index] for index in net.edge.extension.hard]
        exits.append({"name": "extension", "after_block": len(net.edge.blocks), "extends": hard})
    manifest = {
        "format": 1, "name": name, "version": version, "classes": names,
        "input": {"size": layout.size, "mean": [MEAN_STD] * 3, "std": [MEAN_STD] * 3},
        "exits": exits, "policy": policy(net),
        "split": {"shape": list(net.edge.split_shape), "bits": layout.bits},
        "parts": energy.parts(net),
        "files": files,
    }
    if layout.share > 1:
        manifest["share"] = layout.share
    if measured:
        manifest["measured"] = measured
    if curves:
        manifest["curves"] = curves
    if normal:
        manifest["normal"] = normal
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")

