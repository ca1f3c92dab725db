"""What is normal for a pair: histograms of each exit's confidence and of the classes on held-out pictures, for the manifest's ``normal``.

A device compares its latest pictures with them (edge-wasm/src/device/drift) and raises an alarm if a histogram of its window is farther
away than the limit. The limits are found by simulation, so that alarms are rare while nothing changes. The true frequencies are not
known exactly, but only as well as a few held-out pictures tell. In each simulated stream, they are drawn anew from those that are
plausible (Dirichlet); with fewer held-out pictures, limits are therefore wider.
"""

from pathlib import Path

import numpy as np
import torch

from . import data
from .answers import certainty, cooled, sign
from .controller import confidence, on_its_way
from .invert import EdgeFile

WINDOW = 200  # observations that are compared
BINS = 10  # of an exit's confidences, with about as many held-out pictures each
FALSE_ALARMS = 5e-7  # a picture, all histograms together; new pictures are never quite like the held-out ones, so this is a twentieth of what is allowed
STREAMS, BLOCKS = 4000, 8  # simulated for each histogram; a block is as long as the window
TAIL = 0.01  # of the blocks: those with the largest distances, to which the tail is fitted


def smoothed(counts: np.ndarray) -> np.ndarray:
    """Frequencies above 0: half a picture more in each bin."""
    return (counts + 0.5) / (counts + 0.5).sum()


def pearson(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Pearson's chi-square of the counts (..., bins) of a window against frequencies (bins)."""
    expected = expected * counts.sum(-1, keepdims=True)
    return ((counts - expected) ** 2 / expected).sum(-1)


def anderson_darling(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The distance of Anderson and Darling between bins in order, (..., bins) and (bins): at each edge between two, the squared difference
    of the numbers below it by its variance. Unlike a chi-square, it adds up small shifts in one direction."""
    count = counts.sum(-1, keepdims=True)
    share = expected.cumsum()[:-1]
    below = counts.cumsum(-1)[..., :-1]
    return ((below - count * share) ** 2 / (count * share * (1 - share))).sum(-1)


def largest(counts: np.ndarray, distance, window: int, streams: int = STREAMS, seed: int = 1) -> np.ndarray:
    """The largest distance of a sliding window in each block of ``window`` pictures, of simulated streams that are like the held-out
    pictures ``counts``."""
    random, bins, stream = np.random.default_rng(seed), len(counts), np.arange(streams)
    # All streams' cumulative frequencies in one ascending row, so that one search draws for all.
    below = random.dirichlet(counts + 0.5, streams).cumsum(1)[:, :-1]
    row = (below + 2 * stream[:, None]).ravel()

    def draw() -> np.ndarray:
        return np.searchsorted(row, random.random(streams) + 2 * stream, side="right") - stream * (bins - 1)

    latest, inside = np.empty((window, streams), dtype=np.int64), np.zeros((streams, bins))
    for place in range(window):
        latest[place] = draw()
        inside[stream, latest[place]] += 1
    expected, found = smoothed(counts), np.zeros((BLOCKS, streams))
    for block in range(BLOCKS):
        for place in range(window):
            inside[stream, latest[place]] -= 1
            latest[place] = draw()
            inside[stream, latest[place]] += 1
            np.maximum(found[block], distance(inside, expected), out=found[block])
    return found.ravel()


def limit(counts: np.ndarray, distance, window: int, rate: float) -> float:
    """The distance that a sliding window passes ``rate`` times a picture while nothing changes.

    An alarm lasts about a window, so its rate is the share of blocks that pass the limit, by their length. Few simulated blocks do: far
    out, distances fall off exponentially. They do so a little more slowly than the fit: five times as many streams, of tin100-w4, pass
    its limits 9 times in ten million pictures instead of 5.
    """
    found = np.sort(largest(counts, distance, window))
    tail = found[-round(TAIL * len(found)):]
    return float(tail[0] + (tail - tail[0]).mean() * max(0.0, np.log(TAIL / (rate * window))))


def reached(logits: list[torch.Tensor], exits: list[dict], policy: str, classes: int) -> list[torch.Tensor]:
    """The confidences of each exit that decides, of the pictures that reach it. ``logits`` are those of these exits, ``exits`` the manifest's."""
    open_, found = torch.ones(len(logits[0]), dtype=torch.bool), []
    for head, exit_ in zip(logits, exits, strict=True):
        found.append(confidence(head, exit_["temperature"], classes)[open_])
        sure = certainty(cooled(head, exit_["temperature"], classes), policy, classes) >= sign(policy) * exit_["thresholds"][policy]
        open_ &= ~sure
    return found


def histogram(confidences: torch.Tensor) -> dict:
    """Edges and counts of bins that hold about as many confidences each; a value that occurs very often has a bin of its own."""
    values = confidences.numpy()
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS, method="higher")) if len(values) else np.empty(0, np.float32)
    edges = edges[edges > values.min()] if len(values) else edges
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    # As short as single precision needs.
    return {"counts": counts.tolist(), "edges": [float(str(edge)) for edge in edges]}


def of(every: list[list[torch.Tensor]], exits: list[dict], policy: str, classes: int) -> dict:
    """The manifest's ``normal``, from the held-out pictures' logits of all heads on each way. ``exits`` and ``policy`` are the manifest's."""
    deciding = [exit_ for exit_ in exits if "extends" not in exit_]
    logits = on_its_way(every, exits, classes)[:len(deciding)]
    found = [histogram(values) for values in reached(logits, deciding, policy, classes)]
    named = {"counts": logits[0][:, :classes].argmax(1).bincount(minlength=classes).tolist()}
    rate = FALSE_ALARMS / (len(found) + 1)
    for each, distance in [*((exit_, anderson_darling) for exit_ in found), (named, pearson)]:
        each["limit"] = round(limit(np.array(each["counts"]), distance, WINDOW, rate), 2)
    return {"classes": named, "exits": found, "false_alarms": FALSE_ALARMS, "pictures": len(logits[0]), "window": WINDOW}


def of_pair(pair: Path, root: Path, every: int) -> dict:
    """A pair's manifest with what is normal for its own edge, on every ``every``-th training picture of each class in ``root``."""
    if every < 1:
        raise data.DataError(f"--hold-out-every {every}: at least 1 is needed")
    edge = EdgeFile(pair)
    manifest, pictures = edge.manifest, data.load(root, "train", edge.size)
    exits, policy = manifest["exits"], manifest["policy"]
    if pictures.names != manifest["classes"]:
        raise data.DataError(f"{root}: its classes, {', '.join(pictures.names)}, are not the pair's, {', '.join(manifest['classes'])}")
    if lacking := [exit_["name"] for exit_ in exits if policy not in exit_.get("thresholds", {}) and "extends" not in exit_]:
        raise data.DataError(f"{pair}: {lacking[0]} has no threshold for the pair's policy, {policy}")
    held = data.hold_out(pictures, every)[1]
    return manifest | {"normal": of(edge.exits(held.images), exits, policy, len(pictures.names))}
