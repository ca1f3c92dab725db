"""Measures what a split map reveals about its picture: a decoder learns to reconstruct the picture from the map, like an attacker
who reads the frames and has the edge's weights and similar pictures.

Two decoders are trained: for the map that is sent, and for the real-valued map before the last quantiser. The result is a lower
bound: a larger decoder, trained for longer, reconstructs a little better.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import conv2d, mse_loss
from tqdm import tqdm

from . import data

# QONNX's quantisers as ONNX functions, so that onnxruntime can run an edge unchanged.
QUANTISERS = ["""
<domain: "qonnx.custom_op.general", opset_import: ["" : 17]>
BipolarQuant (x, scale) => (y) {
    zero = Constant <value = float {0.0}> ()
    above = GreaterOrEqual (x, zero)
    below = Neg (scale)
    y = Where (above, scale, below)
}""", """
<domain: "qonnx.custom_op.general", opset_import: ["" : 17]>
Quant <signed, narrow, rounding_mode> (x, scale, zero, bits) => (y) {
    one = Constant <value = float {1.0}> ()
    two = Constant <value = float {2.0}> ()
    signed_int = Constant <value_int: int = @signed> ()
    sign = Cast <to = 1> (signed_int)
    narrow_int = Constant <value_int: int = @narrow> ()
    less = Cast <to = 1> (narrow_int)
    all_but_sign = Sub (bits, sign)
    half = Pow (two, all_but_sign)
    unsigned = Sub (one, sign)
    less_at_top = Mul (less, unsigned)
    most = Sub (half, one)
    high = Sub (most, less_at_top)
    least = Sub (less, half)
    low = Mul (least, sign)
    scaled = Div (x, scale)
    moved = Add (scaled, zero)
    level = Round (moved)
    over = Max (level, low)
    within = Min (over, high)
    back = Sub (within, zero)
    y = Mul (back, scale)
}"""]


@dataclass
class Maps:
    """Of the same pictures, (N, C, h, w) each, in half precision."""

    real: Tensor
    sent: Tensor


class EdgeFile:
    """The edge of a pair, from its edge.qonnx."""

    def __init__(self, pair: Path):
        path = pair / "edge.qonnx"
        if not path.is_file():
            raise data.DataError(f"{path}: not there; --pair takes the folder NAME/VERSION of a pair")
        model = onnx.load(path)
        model.functions.extend(onnx.parser.parse_function(text) for text in QUANTISERS)
        split = model.graph.output[-1].name
        quantiser = next(node for node in model.graph.node if split in node.output)
        self.size = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
        self.manifest = json.loads((pair / "manifest.json").read_text())
        split_said = self.manifest["split"]
        self.bits, self.signed = split_said["bits"], split_said.get("signed", True)
        scales = {value.name: onnx.numpy_helper.to_array(value) for value in model.graph.initializer}
        self.scale = float(scales[quantiser.input[1]]) if quantiser.input[1] in scales else split_said["scale"]
        self.outputs, self.heads = [quantiser.input[0], split], [output.name for output in model.graph.output[:-1]]
        # The file's shapes are those of one picture.
        del model.graph.value_info[:], model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.outputs + self.heads)
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def maps(self, images: Tensor, batch: int = 100) -> Maps:
        """The edge's maps for uint8 pictures (N, 3, S, S)."""
        found = []
        for part in tqdm(images.split(batch), desc="maps", unit=" batches", leave=False):
            made = self.session.run(self.outputs, {self.session.get_inputs()[0].name: data.normalise(part).numpy()})
            found.append([torch.from_numpy(values).half() for values in made])
        return Maps(*(torch.cat(part) for part in zip(*found, strict=True)))

    def exits(self, images: Tensor, batch: int = 100) -> list[list[Tensor]]:
        """The logits (N, scores) of all exits for uint8 pictures (N, 3, S, S), on each way of the edge; most have one."""
        picture, *way = self.session.get_inputs()
        mean, std = (torch.tensor(self.manifest["input"][name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        every = []
        for one in torch.eye(way[0].shape[-1] if way else 1).numpy():
            found = []
            for part in tqdm(images.split(batch), desc="exits", unit=" batches", leave=False):
                given = {picture.name: ((part / 255 - mean) / std).numpy()} | {each.name: one for each in way}
                found.append([torch.from_numpy(logits) for logits in self.session.run(self.heads, given)])
            every.append([torch.cat(part) for part in zip(*found, strict=True)])
        return every

    def levels(self, images: Tensor) -> Tensor:
        """The maps that are sent, as signs or whole levels."""
        return (self.maps(images).sent.float() / self.scale).round().to(torch.int16)


def decoder(channels: int, enlarge: int) -> nn.Sequential:
    """Decodes maps to pictures between 0 and 1 that are ``enlarge`` times as wide and high; ``enlarge`` is a power of two."""
    width = 64
    layers = [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    while enlarge > 1:
        narrower = max(width // 2, 24)
        layers += [nn.Conv2d(width, 4 * narrower, 3, padding=1), nn.PixelShuffle(2), nn.BatchNorm2d(narrower), nn.ReLU()]
        layers += [nn.Conv2d(narrower, narrower, 3, padding=1), nn.BatchNorm2d(narrower), nn.ReLU()]
        width, enlarge = narrower, enlarge // 2
    return nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1), nn.Sigmoid())


def teach(maps: Tensor, images: Tensor, epochs: int, seed: int, name: str, batch: int = 64) -> nn.Module:
    """A decoder trained on these maps and pictures for ``epochs`` epochs."""
    torch.manual_seed(seed)
    net = decoder(maps.shape[1], images.shape[2] // maps.shape[2]).to(memory_format=torch.channels_last).train()
    steps = epochs * -(-len(maps) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=steps)
    with tqdm(total=steps, desc=name, unit=" steps", leave=False, mininterval=5) as progress:
        for _ in range(epochs):
            for chosen in torch.randperm(len(maps)).split(batch):
                drawn = net(maps[chosen].float().contiguous(memory_format=torch.channels_last))
                mse_loss(drawn, images[chosen].float() / 255).backward()
                optimiser.step()
                optimiser.zero_grad()
                schedule.step()
                progress.update()
    return net.eval()


@torch.no_grad()
def draw(net: nn.Module, maps: Tensor) -> Tensor:
    """Reconstructs uint8 pictures (N, 3, S, S) from maps."""
    return torch.cat([net(part.float()).mul(255).round().byte() for part in maps.split(500)])


def psnr(one: Tensor, other: Tensor) -> float:
    """Mean peak signal-to-noise ratio of uint8 pictures in dB; 99 for identical ones."""
    error = (one.float() - other.float()).square().mean((1, 2, 3))
    return (10 * (255**2 / error).log10()).clamp(max=99).mean().item()


def ssim(one: Tensor, other: Tensor) -> float:
    """Structural similarity (Wang et al. 2004) of uint8 pictures (N, 3, S, S), the mean over windows, channels and pictures."""
    offset = torch.arange(11) - 5
    bell = torch.exp(-offset.square() / (2 * 1.5**2))
    window = torch.outer(bell, bell)[None, None] / bell.sum() ** 2
    blur = lambda x: conv2d(x, window)  # noqa: E731
    x, y = (pictures.float().flatten(0, 1)[:, None] for pictures in (one, other))
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y, both = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2, blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return alike.mean().item()


def strip(rows: list[Tensor], out: Path, enlarge: int = 3, gap: int = 4) -> None:
    """Writes rows of uint8 pictures as one PNG, each pixel a square."""
    side = rows[0].shape[2] * enlarge + gap
    sheet = Image.new("RGB", (len(rows[0]) * side + gap, len(rows) * side + gap), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            tile = Image.fromarray(picture.permute(1, 2, 0).numpy())
            tile = tile.resize((side - gap, side - gap), Image.Resampling.NEAREST)
            sheet.paste(tile, (gap + x * side, gap + y * side))
    sheet.save(out, optimize=True)


def invert(pair: Path, root: Path, count: int, epochs: int, show: Path | None, out: Path, seed: int = 1) -> dict:
    """Trains both decoders on ``count`` training pictures and measures them on the test pictures; shows those in ``show`` as a strip.

    The strip's rows: the picture, its reconstruction from the real-valued map, and that from the map that is sent.
    """
    edge = EdgeFile(pair)
    train, test = data.load(root, "train", edge.size), data.load(root, "test", edge.size)
    chosen = train.images[torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:count]]
    shown = data.of_folder(show, edge.size) if show else test.images[:: max(1, len(test) // 8)][:8]
    known, asked, drawn = edge.maps(chosen), edge.maps(test.images), edge.maps(shown)
    nothing = chosen.float().mean(0).round().byte().expand_as(test.images)
    figures, rows = {"mean picture, from no map": scores(nothing, test.images)}, [shown]
    for name, kind in (("real-valued map", "real"), (f"map that is sent, {edge.bits} bits", "sent")):
        net = teach(getattr(known, kind), chosen, epochs, seed, name)
        figures[name] = scores(draw(net, getattr(asked, kind)), test.images)
        rows.append(draw(net, getattr(drawn, kind)))
    strip(rows, out)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return {"train": len(chosen), "epochs": epochs, "parameters": parameters, "test": len(test), "drawn from": figures}


def scores(drawn: Tensor, images: Tensor) -> dict[str, float]:
    return {"psnr": round(psnr(drawn, images), 2), "ssim": round(ssim(drawn, images), 3)}
