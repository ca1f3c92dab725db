"""The 59 ordinary networks, by name. They are a sample of what people write: the list stays as it is, whatever packs."""

from functools import partial

from .edge import Pictures
from .examples import PIXELS
from .families import averaged, bottleneck, dense, fire, mlp, mobilenet, nin, plain_bias, quicknet, real, resnet, vgg, xnor

NETS = {
    "vgg-w1a1": partial(vgg, 1, "sign"),
    "vgg-w1a1-real-pools": partial(vgg, 1, "sign", real_pools=True),
    "vgg-w1a1-flat-sign": partial(vgg, 1, "sign", heads=("gap", "flat_sign")),
    "vgg-w1a2": partial(vgg, 1, "levels2"),
    "vgg-w2a2-average": partial(vgg, 2, "relu2", "average"),
    "vgg-w4a4": partial(vgg, 4, "relu4"),
    "vgg-w4a4-max3": partial(vgg, 4, "relu4", "max3"),
    "vgg-w4a4-stride": partial(vgg, 4, "relu4", "stride", heads=("mean", "mean")),
    "vgg-w4a4-real-pools": partial(vgg, 4, "relu4", heads=("view", "mlp"), real_pools=True),
    "vgg-w8a8": partial(vgg, 8, "relu8", heads=("gap", "flat_float")),
    "vgg-w8a8-unsigned-pixels": partial(vgg, 8, "relu8", read="unsigned"),
    "vgg-w4-six": partial(vgg, 4, "relu_six_4", heads=("pool", "mlp")),
    "vgg-w4-clip-six": partial(vgg, 4, "clip_six_4"),
    "vgg-w4-hardtanh": partial(vgg, 4, "hardtanh4", "average", real_pools=True),
    "vgg-w2-quant-hardtanh": partial(vgg, 2, "quant_hardtanh4"),
    "vgg-w4-prelu": partial(vgg, 4, "prelu4", "stride"),
    "vgg-w4-leaky": partial(vgg, 4, "leaky4", real_pools=True, heads=("mean", "flat_float")),
    "vgg-w4a4-normalised": partial(vgg, 4, "relu4", read="normalised", heads=("mean", "flat")),
    "vgg-w4a4-per-tensor": partial(vgg, 4, "levels4", "stride", per_channel=False),
    "vgg-w4a4-per-channel-levels": partial(vgg, 4, "relu_per_channel_4", heads=("gap", "gap")),
    "vgg-w4-bias": partial(plain_bias, 4, "relu4"),
    "vgg-w8-bias-int16": partial(plain_bias, 8, "relu8", "int16"),
    "resnet-w1a1": partial(resnet, 1, "sign"),
    "resnet-w4a4": partial(resnet, 4, "relu4"),
    "resnet-w4a4-sum-of-levels": partial(resnet, 4, "relu4", levels="relu4"),
    "resnet-w4a4-imagenet": partial(resnet, 4, "relu4", "imagenet"),
    "resnet-w4a4-early": partial(resnet, 4, "relu4", early=True, heads=("mean", "view")),
    "resnet-w8a8-imagenet": partial(resnet, 8, "relu8", "imagenet", levels="levels8"),
    "resnet-w4-bottleneck": partial(resnet, 4, "relu4", blocks=bottleneck),
    "resnet-w4-bottleneck-imagenet": partial(resnet, 4, "relu4", "imagenet", bottleneck, "levels8", heads=("gap", "mean")),
    "resnet-d-w4": partial(resnet, 4, "relu4", blocks=averaged),
    "bireal-w1a1": partial(resnet, 1, "sign", blocks=real),
    "bireal-w2a2-imagenet": partial(resnet, 2, "levels2", "imagenet", real),
    "densenet-w4": partial(dense, 4, "relu4"),
    "densenet-w1": partial(dense, 1, "sign", shrink="max"),
    "densenet-w8": partial(dense, 8, "relu8", heads=("mean", "nin")),
    "densenet-w4-levels": partial(dense, 4, "levels4", True),
    "fire-w4": partial(fire, 4, "relu4"),
    "fire-w4-max3": partial(fire, 4, "relu4", pooled="max3", shared=True),
    "fire-w8-bypass": partial(fire, 8, "relu8", bypass=True, shared=True),
    "fire-w1": partial(fire, 1, "sign", heads=("gap", "nin_mean"), shared=True),
    "fire-w4-ceil": partial(fire, 4, "clip_six_4", pooled="ceil"),
    "quicknet": partial(quicknet),
    "quicknet-blur-of-levels": partial(quicknet, blurred="relu8"),
    "quicknet-w1a2": partial(quicknet, "levels2", "relu8", "whole"),
    "quicknet-whole-stem": partial(quicknet, stem_kind="whole", relu=False),
    "mobilenet-v1-w4": partial(mobilenet, 4, "relu4"),
    "mobilenet-v1-w8": partial(mobilenet, 8, "relu8", heads=("view", "gap")),
    "mobilenet-v1-w1": partial(mobilenet, 1, "levels4"),
    "mobilenet-v2-w4": partial(mobilenet, 4, "clip_six_4", 2),
    "mobilenet-v2-w8": partial(mobilenet, 8, "relu_six_8", 2, read="scaled"),
    "resnext-w4": partial(mobilenet, 4, "relu4", groups=2),
    "mlp-w1a1": partial(mlp),
    "mlp-w4a4": partial(mlp, 4, "relu4", "scaled"),
    "nin-w4": partial(nin, 4, "relu4"),
    "nin-w1": partial(nin, 1, "sign", ("nin_mean", "nin_mean"), "max3"),
    "xnor-w1a1": partial(xnor),
    "xnor-w4a4-average": partial(xnor, 4, "levels4", ("mean", "pool"), "average"),
    "nin-w8-fcn": partial(nin, 8, "relu8", ("nin_mean", "fcn"), "average3"),
}


def pictures(name: str, make: partial) -> Pictures:
    """What a network's pictures are: pixels if it scales them itself."""
    size = 12 if name.startswith("mlp") else 32 if "imagenet" in make.args else 24
    return Pictures(size, **(PIXELS if make.keywords.get("read") or "scaled" in make.args else {}))


ORDINARY = {name: (make, pictures(name, make)) for name, make in NETS.items()}
