"""Design-space exploration: edge bits x split position x exit thresholds, as in the paper (2005.10851).

Every (bits, split) is one briefly trained network. Every share of pictures answered at the edge is one
of its points, with thresholds chosen on held-out pictures and figures measured on the test pictures.
Writes ``points.csv`` and two plots.
"""

import csv
from pathlib import Path

import matplotlib
from tqdm import tqdm

from . import calibrate, data, energy
from .answers import temperature, threshold
from .layout import Layout
from .runs import Schedule, load, logits
from .train import new, train

matplotlib.use("svg")
from matplotlib import pyplot

# About the same layers, split after three, four and five blocks: edge, channels sent (of W), cloud. W is the width, hW half of it.
SPLITS = {
    "early": ("hW pool W exit4 W exit4", 0.25, "W pool 2W pool 2W+ 2W+ 2W+"),
    "middle": ("hW pool W W exit4 pool W exit4", 1, "2W pool 2W+ 2W+ 2W+"),
    "late": ("hW pool W W exit4 pool W W exit4", 1, "2W pool 2W+ 2W+"),
}
SHARES = [percent / 100 for percent in range(0, 101, 5)]
POLICY = "entropy"
COLOURS = {1: "seagreen", 2: "royalblue", 4: "darkorange", 8: "mediumorchid"}
MARKERS = {"early": "v", "middle": "o", "late": "^"}
FIELDS = ["bits", "split", "target_share", "accuracy", "final_accuracy", "edge_share", "offload_rate",
          "energy_reduction", "payload_bytes"]
PAPER = {10: ("CIFAR-10, 1 bit", 5.5, 0.65), 100: ("CIFAR-100, 4 bits", 4.8, 0.52)}


def points(run: Path, bits: int, split: str, held: data.Pictures, test: data.Pictures) -> list[dict]:
    """The rows of one trained network."""
    net = load(run).net
    parts, (c, h, w) = energy.parts(net), net.edge.split_shape
    held_logits, test_logits = logits(net, held.images), logits(net, test.images)
    rows = []
    # Temperatures are the same at every share, and only one policy is drawn.
    temperatures = [temperature(exit_, held.labels) for exit_ in held_logits[:-1]]
    scaled = [exit_ / t for exit_, t in zip(held_logits, [*temperatures, 1.0], strict=True)]
    for share in SHARES:
        choice = calibrate.choose(scaled, held.labels, POLICY, calibrate.Target(edge_share=share))
        exits = [{"temperature": t, "thresholds": {POLICY: threshold(POLICY, cut)}}
                 for t, cut in zip(temperatures, choice.cuts, strict=True)]
        figures = calibrate.evaluate(test_logits, test.labels, exits, POLICY)
        rows.append({
            "bits": bits, "split": split, "target_share": share,
            "accuracy": figures["accuracy"]["system"], "final_accuracy": figures["accuracy"]["final"],
            "edge_share": 1 - figures["share"]["cloud"], "offload_rate": figures["share"]["cloud"],
            "energy_reduction": energy.reduction(parts, figures["share"]["exits"]),
            "payload_bytes": c * h * w * bits // 8,
        })
    return rows


def front(rows: list[dict], better: str) -> list[dict]:
    """The Pareto front: rows that no other row dominates in ``better`` and accuracy."""
    best, kept = -1.0, []
    for row in sorted(rows, key=lambda row: (row[better], row["accuracy"]), reverse=True):
        if row["accuracy"] > best:
            best = row["accuracy"]
            kept.append(row)
    return kept


def plot(rows: list[dict], x: str, label: str, good: str, paper: tuple[str, float], path: Path) -> None:
    """Plots accuracy against ``x``: one line per network, the Pareto front over ``good``, and the paper's figure."""
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for bits, split in sorted({(row["bits"], row["split"]) for row in rows}):
        own = [row for row in rows if (row["bits"], row["split"]) == (bits, split)]
        axes.plot([row[x] for row in own], [100 * row["accuracy"] for row in own], linewidth=0.8, alpha=0.7, markersize=4,
                  color=COLOURS[bits], marker=MARKERS[split], label=f"{bits} bit{'s' * (bits > 1)}, {split} split")
    pareto = front(rows, good)
    axes.plot([row[x] for row in pareto], [100 * row["accuracy"] for row in pareto], "k--", linewidth=1.2, label="Pareto front")
    axes.axvline(paper[1], color="crimson", linestyle=":", label=paper[0])
    axes.set_xlabel(label)
    axes.set_ylabel("system accuracy, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def layout(bits: int, split: str, width: int, classes: int, size: int) -> Layout:
    """The layout of a candidate whose blocks have ``width`` channels."""
    def wide(text: str) -> str:
        return text.replace("2W", str(2 * width)).replace("hW", str(width // 2)).replace("W", str(width))

    edge, share, cloud = SPLITS[split]
    return Layout(classes, bits, size, width // 4, wide(edge), int(share * width), wide(cloud))


def explore(root: Path, out: Path, all_bits: list[int], schedule: Schedule, size: int, width: int) -> None:
    """Trains the networks that are not trained yet, measures all, and writes table and plots to ``out``."""
    pictures, test = data.load(root, "train", size), data.load(root, "test", size)
    _, held = data.hold_out(pictures, schedule.hold_out_every)
    classes, rows = len(pictures.names), []
    for bits, split in tqdm([(b, s) for b in all_bits for s in SPLITS], desc="networks"):
        run = out / f"{bits}-bit-{split}"
        there = (run / "checkpoint.pt").is_file()
        train(pictures, new(layout(bits, split, width, classes, size), schedule), schedule, run, resume=there)
        rows += points(run, bits, split, held, test)
    with (out / "points.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, FIELDS)
        table.writeheader()
        table.writerows({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    name, times, share = PAPER.get(classes, PAPER[10])
    plot(rows, "energy_reduction", "computational energy: times less than the full-precision twin", "energy_reduction",
         (f"paper: {name}, {times}x", times), out / "accuracy-energy.svg")
    plot(rows, "offload_rate", "offload rate", "edge_share", (f"paper: {name}, {1 - share:.0%} offloaded", 1 - share),
         out / "accuracy-offload.svg")
