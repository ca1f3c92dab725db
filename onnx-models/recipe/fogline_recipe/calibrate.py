"""Thresholds of the exits, chosen on pictures that were held out of training."""

import torch

from . import data
from .net import Hybrid

POLICIES = ("entropy", "max_probability", "margin")


@torch.no_grad()
def all_logits(net: Hybrid, pictures: data.Pictures, batch: int = 500) -> list[torch.Tensor]:
    """Logits (N, classes) of every exit and of the final head, in fp32."""
    net.eval()
    batches = [net(data.normalise(pictures.images[i:i + batch])) for i in range(0, len(pictures), batch)]
    return [torch.cat(head) for head in zip(*batches, strict=True)]


def certainty(logits: torch.Tensor, policy: str) -> torch.Tensor:
    """The policy's measure, turned so that more is surer."""
    p = logits.double().softmax(1)
    top = p.topk(2, dim=1).values
    if policy == "entropy":
        return (p * p.clamp_min(1e-300).log()).sum(1)
    return top[:, 0] if policy == "max_probability" else top[:, 0] - top[:, 1]


def thresholds(logits: list[torch.Tensor], labels: torch.Tensor, edge_share: float) -> list[dict]:
    """One threshold an exit and policy, so that ``edge_share`` of the pictures end at the edge.

    The first exit's share is searched on a grid, for the highest system accuracy; the last exit
    takes the surest of the rest, up to ``edge_share`` of all.
    """
    *exits, final = logits
    found = [{} for _ in exits]
    right_final = final.argmax(1) == labels
    for policy in POLICIES:
        sure = [certainty(e, policy) for e in exits]
        best, best_cuts = -1.0, None
        for first in torch.linspace(0, edge_share, 21).tolist():
            shares = [first] + [edge_share] * (len(exits) - 1) if len(exits) > 1 else [edge_share]
            open_, right, cuts = torch.ones(len(labels), dtype=torch.bool), torch.zeros(len(labels), dtype=torch.bool), []
            for measure, logit, share in zip(sure, exits, shares, strict=True):
                take = round(share * len(labels)) - int((~open_).sum())
                ranked = measure[open_].sort(descending=True).values
                cut = ranked[take - 1].item() if take > 0 else ranked[0].item() + 1e-6
                ends = open_ & (measure >= cut)
                right |= ends & (logit.argmax(1) == labels)
                open_ &= ~ends
                cuts.append(cut)
            right |= open_ & right_final
            accuracy = right.double().mean().item()
            if accuracy > best:
                best, best_cuts = accuracy, cuts
        for exit_, cut in zip(found, best_cuts, strict=True):
            exit_[policy] = float(torch.tensor(-cut if policy == "entropy" else cut, dtype=torch.float32))
    return found


def evaluate(logits: list[torch.Tensor], labels: torch.Tensor, cuts: list[dict], policy: str) -> dict:
    """The figures that ``cargo xtask eval`` prints, as PyTorch sees them."""
    *exits, final = logits
    open_, right, shares = torch.ones(len(labels), dtype=torch.bool), torch.zeros(len(labels), dtype=torch.bool), []
    for logit, cut in zip(exits, cuts, strict=True):
        threshold = -cut[policy] if policy == "entropy" else cut[policy]
        ends = open_ & (certainty(logit, policy) >= threshold)
        right |= ends & (logit.argmax(1) == labels)
        open_ &= ~ends
        shares.append(ends.double().mean().item())
    right |= open_ & (final.argmax(1) == labels)
    accuracy = [(head.argmax(1) == labels).double().mean().item() for head in logits]
    return {"samples": len(labels),
            "accuracy": {"system": right.double().mean().item(), "final": accuracy[-1], "exits": accuracy[:-1]},
            "share": {"exits": shares, "cloud": open_.double().mean().item()}}
