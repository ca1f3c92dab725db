"""The example networks of the package brevitas_examples, untrained: bnn_pynq's and the 4-bit MobileNetV1."""

from configparser import ConfigParser
from pathlib import Path

from brevitas import nn as qnn
from brevitas_examples import imagenet_classification
from brevitas_examples.bnn_pynq.models import common, model_with_cfg, tensor_norm
from brevitas_examples.imagenet_classification.models.mobilenetv1 import quant_mobilenet_v1
from torch import nn

from .edge import Edge, Pictures
from .layers import Mean, Scaled, View

# They scale pixels of 0..1 themselves, or read them as they are.
PIXELS = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def _exit(inputs: int, bits: int) -> nn.Module:
    """An exit like the last layers of CNV and TFC."""
    layer = qnn.QuantLinear(inputs, 10, bias=False, weight_quant=common.CommonWeightQuant, weight_bit_width=bits)
    nn.init.uniform_(layer.weight, -1, 1)
    return nn.Sequential(View(), layer, tensor_norm.TensorNorm())


def cnv(name: str) -> Edge:
    """Split behind the second pool, with the network's own classifier as the second exit."""
    net, cfg = model_with_cfg(name, pretrained=False)
    features, classifier = list(net.conv_features), list(net.linear_features)
    pools = [at for at, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d)]
    first = nn.Sequential(Scaled(), *features[: pools[1] + 1])
    bits = cfg.getint("QUANT", "WEIGHT_BIT_WIDTH")
    return Edge(first, _exit(128 * 5 * 5, bits), nn.Sequential(*features[pools[1] + 1 :], View(), *classifier), early=True)


def tfc() -> Edge:
    """A row of signs as the split, behind the second of three hidden layers."""
    net, _ = model_with_cfg("tfc_1w1a", pretrained=False)
    layers = list(net.features)
    half = 2 + 2 * 4  # input quantiser, dropout; linear, norm, activation, dropout
    return Edge(nn.Sequential(View(), Scaled(), *layers[:half]), _exit(64, 1), nn.Sequential(*layers[half:]), early=True)


def resnet18() -> Edge:
    """Split behind the second of four stages."""
    net, _ = model_with_cfg("resnet18_4w4a", pretrained=False)
    first = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2)
    second = nn.Sequential(net.layer3, net.layer4, net.final_pool, View(), net.linear)
    return Edge(first, nn.Sequential(Mean(), nn.Linear(128, 10)), second, early=True)


def mobilenet() -> Edge:
    """A quarter as wide, over 64x64 pixels. Split in the last stage, whose activations have one scale."""
    cfg = ConfigParser()
    cfg.read(Path(imagenet_classification.__file__).parent / "models/cfg/quant_mobilenet_v1_4b.ini")
    cfg.set("MODEL", "WIDTH_SCALE", "0.25")
    net = quant_mobilenet_v1(cfg)
    net.final_pool.kernel_size = 2
    *stages, last = net.features
    exit1 = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 1000))
    return Edge(nn.Sequential(*stages, last[0]), exit1, nn.Sequential(last[1], net.final_pool, View(), net.output), early=True)


EXAMPLES = {
    "CNV_1W1A": (lambda: cnv("cnv_1w1a"), Pictures(32, **PIXELS)),
    "CNV_1W2A": (lambda: cnv("cnv_1w2a"), Pictures(32, **PIXELS)),
    "CNV_2W2A": (lambda: cnv("cnv_2w2a"), Pictures(32, **PIXELS)),
    "TFC_1W1A": (tfc, Pictures(28, channels=1, **PIXELS)),
    "RESNET18_4W4A": (resnet18, Pictures(32, **PIXELS)),
    "MOBILENETV1_4B": (mobilenet, Pictures(64, mean=(0.485, 0.456, 0.406), std=(0.226, 0.226, 0.226))),
}
