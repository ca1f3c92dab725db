"""Thresholds with a promise: answers at the edge are wrong in at most a given share of cases, with a given confidence over the draw of the
held-out pictures.

Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052) with a fixed sequence: a few of the held-out pictures propose thresholds, from the
safest to those that answer ever more at the edge, and the others test one after the other until one fails. Each test is exact: of n pictures that end at the
edge, w are wrong, and if thresholds are wrong more often than promised, so few are improbable by the binomial distribution.
"""

import math
from itertools import takewhile

import torch

from .answers import Answers, Choice, at_cuts, at_share

SHARES = range(1, 100)  # percent at the edge that are tried
PROPOSING = 0.2  # of the held-out pictures: proposals need no more, and tests find out more with every picture


def proposing(count: int) -> torch.Tensor:
    """A mask of the pictures that propose; the others test."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(count, dtype=torch.bool)
    mask[order[:round(PROPOSING * count)]] = True
    return mask


def tail(wrong: int, of: int, rate: float) -> float:
    """The probability of at most ``wrong`` among ``of``, each with probability ``rate``."""
    def log(k: int) -> float:
        ways = math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
        return ways + k * math.log(rate) + (of - k) * math.log1p(-rate)

    return min(1.0, sum(math.exp(log(k)) for k in range(wrong + 1)))


def fewest(rate: float, confidence: float) -> int:
    """The number of pictures that must end at the edge for a promise to be possible: if none of them is wrong."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate))


def kept(found: Answers, rate: float, confidence: float) -> list[float] | str:
    """The thresholds, as certainties, with which most pictures are answered at the edge, of those that keep the promise; or why none do."""
    mask, needed = proposing(len(found.cloud)), fewest(rate, confidence)
    if (testing := int((~mask).sum())) < needed:
        return (f"even if none were wrong, {needed} pictures would have to end at the edge, and only {testing} held-out pictures test it. "
                "Hold out more, or promise less")
    proposes, tests = found.take(mask), found.take(~mask)

    def expected(cuts: list[float]) -> float:
        """How improbable the tests' result would be if answers were as often right as their exits say."""
        right = proposes.ended(cuts, proposes.probability)
        scale = len(tests.cloud) / len(proposes.cloud)
        return tail(round((1 - right).sum().item() * scale), round(len(right) * scale), rate)

    def counted(cuts: list[float]) -> tuple[int, int]:
        right = tests.ended(cuts, tests.right)
        return int((~right).sum()), len(right)

    proposals = [at_share(proposes, percent / 100).cuts for percent in SHARES]
    # From the safest to ever more at the edge: fewer at the edge than the safest have too few pictures to tell.
    proposals = proposals[min(range(len(proposals)), key=lambda at: expected(proposals[at])):]
    passed = list(takewhile(lambda cuts: tail(*counted(cuts), rate) <= 1 - confidence, proposals))
    if not passed:
        wrong, ended = counted(proposals[0])
        return (f"of the {testing} held-out pictures that test it, the safest thresholds answer {ended} at the edge, {wrong} of them wrongly. "
                f"Even if none were wrong, {needed} would be needed. Hold out more pictures, or promise less")
    return max(passed, key=lambda cuts: counted(cuts)[1])


def promised(found: Answers, rate: float, confidence: float, policy: str) -> Choice:
    """The effect, on all pictures in ``found``, of the thresholds that keep the promise."""
    cuts = kept(found, rate, confidence)
    if isinstance(cuts, str):
        raise SystemExit(f"no thresholds of '{policy}' keep the promise of at most {rate:.1%} wrong answers at the edge with {confidence:.0%} "
                         f"confidence: {cuts}")
    return at_cuts(found, cuts)


def broken(found: Answers, rate: float, confidence: float, calibrating: int, splits: int) -> tuple[int, int, float]:
    """How many of the random ``splits`` break the promise, if so many pictures are ``calibrating`` and the others are new; how many allow
    none; and the mean share that the others answer at the edge. The others are a draw, too: a promise that holds may be broken on them."""
    random, failed, refused, share = torch.Generator().manual_seed(1), 0, 0, 0.0
    for _ in range(splits):
        order = torch.randperm(len(found.cloud), generator=random)
        cuts = kept(found.take(order[:calibrating]), rate, confidence)
        if isinstance(cuts, str):
            refused += 1
            continue
        new = found.take(order[calibrating:])
        right = new.ended(cuts, new.right)
        failed += int((~right).sum()) > rate * len(right)
        share += len(right) / len(new.cloud)
    return failed, refused, share / max(1, splits - refused)
