"""Plots the results of ``cargo xtask bench edge``, ``compare``, ``plan`` and ``eval --rate-curve``."""

import json
from pathlib import Path

import matplotlib
import numpy as np

from .peers import LAYERS

matplotlib.use("svg")
from matplotlib import pyplot


def bench(results: Path, out: Path) -> None:
    """Plots ``cargo xtask bench edge``: bars of medians with quartiles, one panel per convolution and one for the edge."""
    cases = json.loads(results.read_text())["cases"]
    panels = [f"3x3 {channels}-{channels} {side}x{side}" for side, channels in LAYERS] + ["edge"]
    figure, all_axes = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), 4))
    for axes, panel in zip(all_axes, panels, strict=True):
        own = [case for case in cases if case["name"].endswith(panel)]
        for row, case in enumerate(reversed(own)):
            low, median, high = np.quantile(case["ms"], [0.25, 0.5, 0.75])
            ours = case["runtime"].startswith("fogline")
            axes.barh(row, median, xerr=[[median - low], [high - median]], color="seagreen" if ours else "slategray")
        bits = [case["name"].removesuffix(panel).strip() for case in reversed(own)]
        axes.set_yticks(range(len(own)), [f"{case['runtime']} {b}" for case, b in zip(reversed(own), bits, strict=True)], fontsize=7)
        axes.set_title(panel)
        axes.set_xlabel("milliseconds, one thread")
    figure.tight_layout()
    figure.savefig(out)
    pyplot.close(figure)


def plan(reckoned: Path, out: Path) -> None:
    """Plots ``cargo xtask plan`` for fleets of up to a million devices: concurrent instances, and dollars per thirty days."""
    found = json.loads(reckoned.read_text())
    figure, (need, dollars) = pyplot.subplots(1, 2, figsize=(11, 4))
    for fleet, colour in zip(found["fleets"], ["seagreen", "slategray"], strict=True):
        devices = [point["devices"] for point in fleet["points"]]
        need.plot(devices, [point["outcome"]["needed"] for point in fleet["points"]], ".-", color=colour, label=f"{fleet['name']}, needed")
        need.plot(devices, [point["outcome"]["mean_busy"] for point in fleet["points"]], ":", color=colour, label=f"{fleet['name']}, busy on the mean")
        dollars.plot(devices, fleet["dollars"], ".-", color=colour, label=fleet["name"])
    need.axhline(1000, color="crimson", linewidth=0.8, label="an account's first quota")
    for axes, label in ((need, "concurrency"), (dollars, "US dollars per 30 days")):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(f"devices, {found['each']:g} pictures per second each")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(out)
    pyplot.close(figure)


def compare(measured: Path, out: Path) -> None:
    """Plots ``cargo xtask compare``: accuracy by share at the edge and by energy, one line per system with a dot where it is deployed."""
    rows = json.loads(measured.read_text())["rows"]
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.5))
    colours = ["black", "crimson", "darkorange", "royalblue", "seagreen", "mediumorchid"]
    for row, colour in zip(rows, colours[:1] + colours[1:] * len(rows), strict=False):
        for axes, x, scale in ((panels[0], "share", 100), (panels[1], "energy", 1)):
            axes.plot([scale * point[x] for point in row["curve"]], [100 * point["accuracy"] for point in row["curve"]], color=colour,
                      linewidth=2 if row is rows[0] else 1, label=f"{row['model']}, by {row['policy']}")
            axes.plot(scale * row["own"][x], 100 * row["own"]["accuracy"], "o", color=colour, markersize=5)
    for axes, label in zip(panels, ("pictures answered at the edge, %", "computational energy per picture, µJ"), strict=True):
        axes.set_xlabel(label)
        axes.set_ylabel("system accuracy, %")
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(out)
    pyplot.close(figure)


def rate(measured: Path, out: Path) -> None:
    """Plots ``cargo xtask eval --rate-curve``: accuracy by mean bytes of a picture, a line for the system and each way to send files."""
    found = json.loads(measured.read_text())
    figure, axes = pyplot.subplots(figsize=(8, 5.8), layout="constrained")
    colours = {"JPEG": "slategray", "WebP": "royalblue", "own JPEG": "black"}
    for rival in found["rivals"]:
        # Nothing is sent where the exits answer all.
        points = [point for point in rival["points"] if point["bytes"] > 0]
        which = "hard pictures" if rival["after_exits"] else "every picture"
        axes.plot([point["bytes"] for point in points], [100 * point["accuracy"] for point in points],
                  "o--" if rival["after_exits"] else "s-", color=colours[rival["format"]], markersize=4, linewidth=1.2,
                  fillstyle="none" if rival["after_exits"] else "full", label=f"{which} as {rival['format']}, to the twin")
    curve = [point for point in found["curve"] if point["bytes"] > 0]
    axes.plot([point["bytes"] for point in curve], [100 * point["accuracy"] for point in curve], color="seagreen", linewidth=2.5,
              label="the system: hard pictures as maps")
    own = found["own"]
    if own["bytes"] > 0:
        axes.plot(own["bytes"], 100 * own["accuracy"], "o", color="seagreen", markersize=9, label=f"its own thresholds, {own['share']:.0%} at the edge")
    if found["twin"] is not None:
        axes.axhline(100 * found["twin"], color="crimson", linewidth=0.8, linestyle=":", label="the twin on the original pixels")
    axes.set_xscale("log")
    axes.set_xlabel("bytes per picture, mean over all")
    axes.set_ylabel("accuracy, %")
    axes.set_title(f"{found['model']} {found['version']}, {found['samples']} pictures of {found['data']}", fontsize=10)
    axes.grid(alpha=0.3, which="both")
    # Below the axes, where it hides no line.
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    figure.savefig(out)
    pyplot.close(figure)
