"""A pair's model card, MODEL.md: data, recipe, figures, limits."""

import shlex
from dataclasses import asdict, fields
from pathlib import Path

from .data import DataError
from .layout import Layout
from .quant import FULL
from .runs import Run, Schedule
from .teacher import EFFICIENTNET, RESNET

BEGIN, END = "<!-- cargo xtask figures: begin -->", "<!-- cargo xtask figures: end -->"

CARD = """\
# {name} {version}

A conditionally deep hybrid network (Long, Chakraborty, Roy 2020, arXiv 2005.10851): {edge_bits}-bit layers with {exits} exits for the
edge (`edge.qonnx`, packed in `edge.fog`), full-precision layers for the cloud (`cloud.onnx`){twin}.{system}

## Data

Trained on {trained}.
{chose} temperatures and thresholds. The test pictures were used for the figures below only.

Classes: {classes}.

## Recipe

`python -m fogline_recipe train` with

{options}

{taught}

## Calibration

Each exit's logits are divided by its temperature to calibrate its confidence. On the {held} held-out pictures the expected
calibration error (the mean gap between confidence and accuracy over 15 bins) is

| exit | temperature | before | after |
|---|---|---|---|
{calibration}

As exported, the thresholds are those of `{chosen}`.

## Figures

`cargo xtask eval --model {name} --data DATA` prints

{begin}
{end}

## Limits

- It knows these classes only, and names one of them whatever the picture shows; a confident answer about anything else means nothing.
- Pictures are cropped to their central square and scaled to {size}x{size}: finer detail is lost.
- Confidences were calibrated on pictures like those of training; on others, exits may be too sure, and answer more pictures than they should.
- Hard pictures are sent as maps of signs or levels. That is no protection of privacy: a picture can be reconstructed from its map.
"""


def layout(pair: Path) -> Layout:
    """The layout that the pair's card names, of whatever number of classes."""
    path = pair / "MODEL.md"
    if not path.is_file():
        raise DataError(f"{path} does not exist: without it, the layout of a pair of other classes or picture size is not known")
    words = shlex.split(" ".join(line for line in path.read_text().splitlines() if line.startswith("    --")))
    given = dict(zip(words[::2], words[1::2], strict=False))
    kinds = {field.name: field.type for field in fields(Layout)}
    try:
        return Layout(**{name: kinds[name](given[f"--{name}"]) for name in ("bits", "size", "stem", "edge", "split", "cloud")})
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} does not tell the pair's layout: {error}") from error


def ordinal(number: int) -> str:
    """"2nd", "20th"."""
    return f"{number}{'th' if number % 100 in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def system(layout: Layout, names: list[str]) -> str:
    """Describes what distinguishes the network from the plain one, one paragraph per feature."""
    hard = ", ".join(names[int(index)] for index in layout.hard.split())
    widths = " or ".join(layout.ways.replace(" ", ", ").rsplit(", ", 1))
    found = {
        "Each exit predicts whether its own answer is right, and decides by that: the policy `appeal` (AppealNet, Li et al. 2021, "
        "arXiv 2105.04104).": layout.appeals,
        f"In the blocks' 1-bit kernels every {layout.share} weights share one value, picked by hashing; `cargo xtask pack` stores it "
        "once (HashedNets, arXiv 1504.04788; deflate-inflate, doi 10.1002/cpe.6593).": layout.share > 1,
        f"The blocks behind the first exit run at {widths} bits, chosen for each picture by that exit's confidence, on "
        "one set of weights (after USDN, Jeon et al. 2024).": layout.ways,
        f"Where an exit is sure of a hard class ({hard}), an extension trained on those alone answers (MEANet, Long et al. 2021, arXiv "
        "2109.06440); the other layers were not trained again.": layout.extension,
    }
    return "".join(f"\n\n{text}" for text, there in found.items() if there)


def known(teacher: dict) -> str:
    """What a teacher of this layout is."""
    if teacher.get("backbone") == RESNET:
        return "a ResNet-18 trained on the same pictures (`recipe teacher`)"
    if teacher.get("backbone") == EFFICIENTNET:
        return f"EfficientNet-Lite0, trained on ImageNet and fine-tuned on these pictures (`recipe teacher --network {EFFICIENTNET}`)"
    if teacher["bits"] == FULL:
        return "its full-precision twin, whose weights were its first ones"
    return f"a trained pair with a {teacher['bits']}-bit edge"


def write(run: Run, name: str, version: str, data: str, twin: bool, held: int, chosen: str,
          calibration: list[dict], folder: Path) -> None:
    """Writes ``folder``/MODEL.md; ``cargo xtask figures`` then fills in the figures.

    ``chosen`` has export's options for the target; ``calibration`` is the report's, with one entry per exit.
    """
    layout, schedule = asdict(run.net.layout), asdict(run.schedule)
    layout.pop("classes")
    unused = asdict(Layout(classes=len(run.names)))
    for key in ("appeals", "share", "ways", "extension", "hard"):
        if layout[key] == unused[key]:
            layout.pop(key)
    every = f"every {ordinal(schedule['hold_out_every'])} picture of each class"
    trained, chose = f"the training pictures of {data}, less {every}", "Those were used to choose"
    if run.net.layout.appeals:
        trained = f"{data}. Its network was trained on the training pictures less {every}: half of those trained the predictors"
        chose = "The other half was used to choose"
        schedule.pop("distill")
    else:
        schedule.pop("price")
    for key in ("cutmix", "views", "crop", "jitter", "balance", "map_bytes"):
        if schedule[key] == getattr(Schedule(), key):
            schedule.pop(key)
    options = [f"--{key.replace('_', '-')}" + ("" if value is True else f" {value!r}" if isinstance(value, str) else f" {value}")
               for key, value in (layout | schedule).items()]
    taught, teachers = " and ".join(known(teacher) for teacher in run.teachers), "teacher" if len(run.teachers) == 1 else "teachers"
    if run.net.layout.appeals:
        taught = "Its predictors alone were trained, with the labels."
    else:
        taught = f"Its {teachers} (`--teacher`): {taught}." if taught else "It had no teacher: the final head taught the exits."
    if run.start:
        taught = f"Its first weights were those of {run.start} (`--start`). {taught}".replace(", whose weights were its first ones", "")
    minutes = "1 minute" if run.seconds < 90 else f"{run.seconds / 60:.0f} minutes"
    taught += f" Training took {minutes} on {run.machine}."
    rows = [f"| exit-{number} | {exit_['temperature']:.3f} | {exit_['ece_before']:.3f} | {exit_['ece_after']:.3f} |"
            for number, exit_ in enumerate(calibration, 1)]
    (folder / "MODEL.md").write_text(CARD.format(
        name=name, version=version, edge_bits=layout["bits"], exits=len(run.net.edge.exits), data=data,
        trained=trained, chose=chose, system=system(run.net.layout, run.names),
        twin="; `twin.onnx` is its full-precision twin, for comparison" if twin else "", classes=", ".join(run.names), size=layout["size"],
        options="\n".join(f"    {option}" for option in options), taught=taught, held=held, chosen=chosen, calibration="\n".join(rows), begin=BEGIN, end=END))
