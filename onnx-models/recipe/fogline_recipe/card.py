"""A pair's model card, MODEL.md: data, recipe, figures, limits."""

from dataclasses import asdict
from pathlib import Path

from .runs import Run

BEGIN, END = "<!-- cargo xtask figures: begin -->", "<!-- cargo xtask figures: end -->"

CARD = """\
# {name} {version}

A conditionally deep hybrid network (Long, Chakraborty, Roy 2020, arXiv 2005.10851): {edge_bits}-bit layers with {exits} exits for the
edge (`edge.qonnx`, packed in `edge.fog`), full-precision layers for the cloud (`cloud.onnx`){twin}.

## Data

Trained on the training pictures of {data}, less every {every}th picture of each class: those chose temperatures and thresholds. The
test pictures were used for the figures below only.

Classes: {classes}.

## Recipe

`python -m fogline_recipe train` with

{options}

{taught}

## Calibration

Each exit's logits are divided by its temperature, so that its confidences mean what they say. On the {held} held-out pictures the expected
calibration error (the gap between confidence and accuracy, on the mean of 15 bins) is

| exit | temperature | before | after |
|---|---|---|---|
{calibration}

## Figures

`cargo xtask eval --model {name} --data DATA` prints

{begin}
{end}

## Limits

- It knows these classes only, and names one of them whatever the picture shows; a confident answer to another kind of picture means nothing.
- Pictures are scaled to {size}x{size}, their central square: what needs finer detail is lost.
- Confidences were calibrated on pictures like those of training; on others, exits may be too sure, and more samples end at the edge than should.
- An offloaded sample sends a map of signs or levels, not the picture; that is no promise of privacy.
"""


def write(run: Run, name: str, version: str, data: str, twin: bool, held: int, calibration: list[dict], folder: Path) -> None:
    """Writes ``folder``/MODEL.md; ``cargo xtask figures`` then fills in the figures. ``calibration`` is the report's, an exit each."""
    layout, schedule = asdict(run.net.layout), asdict(run.schedule)
    layout.pop("classes")
    options = [f"--{key.replace('_', '-')} {value!r}" if isinstance(value, str) else f"--{key.replace('_', '-')} {value}"
               for key, value in (layout | schedule).items()]
    taught = " and ".join("EfficientNet-Lite0, trained on ImageNet and fine-tuned on these pictures (`recipe teacher`)" if "backbone" in teacher
                          else "its full-precision twin, whose weights were its first ones" for teacher in run.teachers)
    taught = f"Its teachers (`--teacher`): {taught}." if taught else "It had no teacher: the final head taught the exits."
    if run.start:
        taught = f"Its first weights were those of {run.start} (`--start`). {taught}".replace(", whose weights were its first ones", "")
    rows = [f"| exit-{number} | {exit_['temperature']:.3f} | {exit_['ece_before']:.3f} | {exit_['ece_after']:.3f} |"
            for number, exit_ in enumerate(calibration, 1)]
    (folder / "MODEL.md").write_text(CARD.format(
        name=name, version=version, edge_bits=layout["bits"], exits=len(run.net.edge.exits), data=data,
        twin="; `twin.onnx` is its full-precision twin, for comparison" if twin else "",
        every=schedule["hold_out_every"], classes=", ".join(run.names), size=layout["size"],
        options="\n".join(f"    {option}" for option in options), taught=taught, held=held, calibration="\n".join(rows), begin=BEGIN, end=END))
