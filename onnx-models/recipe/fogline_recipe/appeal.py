"""AppealNet (Li et al. 2021, arXiv 2105.04104): each exit predicts whether its own answer is right.

Each exit has one extra score; its sigmoid q predicts that the cloud need not be asked. It is trained on the expected loss of both
choices, plus a price for asking.

The paper trains it together with the classifier, on the same pictures. Cloud and exits are nearly always right on those, so that the
predictor never sees what an error on a new picture looks like. Here the network is trained first and then frozen; the predictor
learns from one half of the held-out pictures, and the other half is used for calibration.
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, logsigmoid


def loss(exit_: torch.Tensor, score: torch.Tensor, final: torch.Tensor, targets: torch.Tensor, price: float) -> torch.Tensor:
    """The mean of q L(exit) + (1 - q) L(final) - price log q, with L the cross-entropy and q the sigmoid of ``score`` (N)."""
    q = score.sigmoid()
    edge, cloud = cross_entropy(exit_, targets, reduction="none"), cross_entropy(final.detach(), targets, reduction="none")
    return (q * edge + (1 - q) * cloud - price * logsigmoid(score)).mean()


class Predictor(nn.Sequential):
    """The score of an exit's own answer (N, 1), from its scores of the classes (N, classes).

    During training the classes are permuted at random: the distribution of the scores matters more than which class they belong to,
    and there are few pictures to learn from.
    """

    def __init__(self, classes: int, hidden: int = 32):
        super().__init__(nn.Linear(classes, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        if self.training:
            scores = scores.gather(1, torch.rand_like(scores).argsort(1))
        return super().forward(scores)
