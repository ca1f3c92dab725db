"""AppealNet (Li et al. 2021, arXiv 2105.04104): an exit's own prediction of whether its answer will hold.

Each exit gives one score more than there are classes; the sigmoid of it is q, the predictor's word that the cloud need not be asked.
It is trained on what the system would lose either way, and a price of asking.

The paper trains it together with the classifier, on the same pictures. On those the cloud is nearly always right, and so is an exit:
what its scores look like when it errs on a new picture cannot be seen there. So here the network is trained first and stays as it is,
and the predictor learns from half of the pictures that were held out; the other half calibrates.
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

    While it is trained, the classes change places at random: which of them the scores are of matters less than how they lie, and
    few pictures are there to learn from.
    """

    def __init__(self, classes: int, hidden: int = 32):
        super().__init__(nn.Linear(classes, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        if self.training:
            scores = scores.gather(1, torch.rand_like(scores).argsort(1))
        return super().forward(scores)
