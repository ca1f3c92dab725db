"""Initialises weights from a pair's files, so that training can continue from a published version without its checkpoint.

ONNX keeps the running order of the layers but not all of their names, and the cloud's batch-norms are folded into the convolutions
before them. Layers and nodes are therefore matched in order, and a folded batch-norm gets its statistics from some pictures.
"""

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import onnx
import torch
from brevitas.nn import QuantConv2d
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import nn

from . import card, data, hashing, quant
from .blocks import Shift
from .data import DataError
from .net import Hybrid
from .quant import Levels
from .ways import NestedConv

COUNT = 500  # pictures whose statistics the folded batch-norms get
NEW = re.compile(r"^edge\.extension|\.appeal\.")  # modules that a --start pair may lack
KINDS = {"Conv": nn.Conv2d, "BatchNormalization": nn.BatchNorm2d, "PRelu": nn.PReLU, "Add": Shift, "Gemm": nn.Linear, "Quant": Levels}


def files_of(net: Hybrid, pair: Path) -> list[Path]:
    """The graphs with the weights: the twin's, or the edge's and the cloud's."""
    names = ["twin.onnx"] if net.layout.bits == quant.FULL else ["edge.qonnx", "cloud.onnx"]
    for path in (paths := [pair / name for name in names]):
        if not path.is_file():
            raise DataError(f"{path} does not exist; --start needs the pair's {' and '.join(names)}")
    return paths


def nodes_of(paths: list[Path]) -> list[tuple[str, list[torch.Tensor]]]:
    """The nodes that have weights, in order: operation and weights, those of a quantiser from before it, with its scale behind."""
    nodes = []
    for path in paths:
        try:
            graph = onnx.load(path).graph
        except DecodeError as error:
            raise DataError(f"{path} is not an ONNX file") from error
        picture = {value.name for value in graph.input}  # its quantiser has no parameters
        given = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
        given |= {node.output[0]: torch.from_numpy(numpy_helper.to_array(node.attribute[0].t).copy())
                  for node in graph.node if node.op_type == "Constant"}
        scales = {}
        for node in graph.node:
            if node.op_type == "Identity" and node.input[0] in given:  # equal tensors are stored once
                given[node.output[0]] = given[node.input[0]]
            elif node.op_type in ("Quant", "BipolarQuant") and node.input[0] in given:
                given[node.output[0]], scales[node.output[0]] = given[node.input[0]], given[node.input[1]]
            elif node.op_type in KINDS and not (node.op_type == "Quant" and node.input[0] in picture):
                weights = [given[name] for name in node.input[1:] if name in given]
                if weights:
                    nodes.append((node.op_type, weights + [scales[name] for name in node.input[1:] if name in scales]))
    return nodes


def take_weights(net: nn.Module, donor: nn.Module, but: str | None = None) -> int:
    """Copies a network's weights to ``net`` where name and shape match, except in modules named ``but``; returns how many tensors. A twin
    matches completely."""
    there = net.state_dict()
    same = {name: value for name, value in donor.state_dict().items()
            if name in there and there[name].shape == value.shape and but not in name.split(".")}
    net.load_state_dict(same, strict=False)
    return len(same)


@torch.no_grad()
def start_from(net: Hybrid, pair: Path, pictures: data.Pictures) -> None:
    """Gives ``net`` the weights of the pair's files, and its folded batch-norms the statistics of some of ``pictures``.

    From a pair of other classes or picture size comes what has the same name and shape, such as the blocks of the trunk; heads of other
    classes are new. Raises DataError if the files have another layout than they should.
    """
    path = pair / "manifest.json"
    try:
        manifest = json.loads(path.read_text()) if path.is_file() else None
        _ = manifest and (manifest["classes"], manifest["input"]["size"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged") from error
    if manifest is None or (manifest["classes"], manifest["input"]["size"]) == (pictures.names, net.layout.size):
        return fill(net, pair, pictures)
    layout = card.layout(pair)
    donor = Hybrid(replace(layout, bits=net.layout.bits, classes=len(manifest["classes"])))
    smaller = nn.functional.interpolate(pictures.images[::max(1, len(pictures) // COUNT)].float(), (layout.size, layout.size), mode="area")
    fill(donor, pair, data.Pictures(smaller, torch.empty(len(smaller)), pictures.names))
    taken = take_weights(net, donor, but=None if manifest["classes"] == pictures.names else "linear")
    print(f"{taken} of {len(net.state_dict())} tensors are those of {pair}")


@torch.no_grad()
def fill(net: Hybrid, pair: Path, pictures: data.Pictures) -> None:
    """``start_from`` a pair whose layout is ``net``'s."""
    names, order = {module: name for name, module in net.named_modules()}, []
    hooks = [module.register_forward_hook(lambda module, *_: order.append(module))
             for module, name in names.items() if isinstance(module, tuple(KINDS.values())) and not NEW.search(name)]
    net.eval()(torch.zeros(1, 3, net.layout.size, net.layout.size))
    for hook in hooks:
        hook.remove()
    # Only full-precision convolutions have their batch-norm, the next layer that runs, folded into them.
    folding = {module: norm for module, norm in pairwise(order)
               if isinstance(norm, nn.BatchNorm2d) and not isinstance(module, QuantConv2d | NestedConv)}
    left = {operation: [module for module in order if isinstance(module, kind) and module not in folding.values()]
            for operation, kind in KINDS.items()}
    there, state, biases = net.state_dict(), {}, {}
    other = DataError(f"{pair}: its layers do not match this layout; its MODEL.md says which layout it was trained with")

    def put(module: nn.Module, name: str, value: torch.Tensor) -> None:
        key = f"{names[module]}.{name}"
        if there[key].numel() != value.numel():
            raise other
        state[key] = value.reshape(there[key].shape)

    for operation, weights in nodes_of(files_of(net, pair)):
        if not left[operation]:
            raise other
        module = left[operation].pop(0)
        if operation == "Quant":
            put(module, "log_scale", weights[0].log())
            put(module, "started", torch.tensor(True))
        elif operation == "Add":
            put(module, "bias", weights[0])
        elif operation == "BatchNormalization":
            for name, value in zip(("weight", "bias", "running_mean", "running_var"), weights, strict=True):
                put(module, name, value)
        else:
            put(module, "weight", weights[0])
        if operation == "Gemm":
            put(module, "bias", weights[1])
        if module in folding:
            biases[folding[module]] = weights[1]
        if f"{names[module]}.{LEARNED_SCALE}" in there:
            highest = 2 ** (int(module.weight_quant.bit_width()) - 1) - 1
            put(module, LEARNED_SCALE, (weights[-1] * highest).log2())  # Brevitas learns the logarithm of the largest weight
    if any(left.values()):
        raise other
    net.load_state_dict(state, strict=False)
    unfold(net, biases, pictures)
    hashing.tie(net.shared(), net.layout.share)
    for block in net.mixed():
        block.spread()


LEARNED_SCALE = "weight_quant.tensor_quant.scaling_impl.value"


def unfold(net: Hybrid, biases: dict[nn.BatchNorm2d, torch.Tensor], pictures: data.Pictures) -> None:
    """Batch-norms that add ``biases`` and change nothing else, while the statistics of their maps are those of ``COUNT`` pictures."""
    def set_statistics(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(biases[norm] + mean)

    hooks = [norm.register_forward_pre_hook(set_statistics) for norm in biases]
    net.eval()(data.normalise(pictures.images[::max(1, len(pictures) // COUNT)]))
    for hook in hooks:
        hook.remove()
