"""Temperatures and thresholds on logits whose right answer is known."""

import unittest

import torch
from torch.nn.functional import cross_entropy

from fogline_recipe import answers, calibrate, energy
from fogline_recipe.calibrate import Target

PARTS = [
    {"name": "trunk-1", "role": "trunk", "macs": {"1": 1000}},
    {"name": "exit-1", "role": "head", "macs": {}},
    {"name": "trunk-2", "role": "trunk", "macs": {"1": 1000}},
    {"name": "exit-2", "role": "head", "macs": {}},
    {"name": "cloud", "role": "cloud", "macs": {"32": 2000}},
]


def three_heads(count: int = 2000) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Two exits and a final head: the surer a head is of a picture, the more often it is right; later heads are better."""
    random = torch.Generator().manual_seed(2)
    labels = torch.randint(0, 5, (count,), generator=random)
    ease = torch.rand(count, 1, generator=random)
    noise = [torch.randn(count, 5, generator=random) for _ in range(3)]
    return [strength * ease * torch.eye(5)[labels] + n for strength, n in zip((5, 6, 12), noise, strict=True)], labels


class Temperature(unittest.TestCase):
    def test_it_undoes_what_made_confidences_wrong(self):
        heads, labels = three_heads()
        honest = answers.temperature(heads[0], labels)
        self.assertAlmostEqual(answers.temperature(heads[0] * 3, labels) / honest, 3, delta=0.05)
        scaled = heads[0] * 3
        t = answers.temperature(scaled, labels)
        self.assertLess(cross_entropy(scaled / t, labels), cross_entropy(scaled, labels))
        self.assertLess(calibrate.calibration_error(scaled / t, labels), calibrate.calibration_error(scaled, labels))


class Thresholds(unittest.TestCase):
    def test_every_policy_of_the_table_is_measured(self):
        self.assertEqual(list(answers.MEASURES), list(answers.RULES))
        logits = torch.tensor([[2.0, 1.0, 0.0, 3.0], [9.0, 0.0, 0.0, 4.0]])
        for policy, rule in answers.RULES.items():
            unsure, sure = answers.certainty(logits, policy, 3).tolist()
            self.assertLess(unsure, sure, policy)
            self.assertEqual(sure < 0, rule["sure"] == "at_most", policy)

    def test_a_share_is_met_by_every_policy(self):
        heads, labels = three_heads()
        for policy in answers.POLICIES:
            found = calibrate.choose(heads, labels, policy, Target(edge_share=0.6))
            self.assertAlmostEqual(sum(found.shares), 0.6, delta=0.002)
            exits = [{"temperature": 1.0, "thresholds": {policy: answers.threshold(policy, cut)}} for cut in found.cuts]
            figures = calibrate.evaluate(heads, labels, exits, policy)
            self.assertAlmostEqual(figures["accuracy"]["system"], found.accuracy, delta=0.002)
            self.assertAlmostEqual(1 - figures["share"]["cloud"], 0.6, delta=0.002)

    def test_a_loss_is_not_passed_and_as_many_as_it_allows_end_at_the_edge(self):
        heads, labels = three_heads()
        final = (heads[-1].argmax(1) == labels).double().mean().item()
        little, more = (calibrate.choose(heads, labels, "entropy", Target(accuracy_loss=loss)) for loss in (0.01, 0.05))
        self.assertLessEqual(final - little.accuracy, 0.01)
        self.assertLessEqual(final - more.accuracy, 0.05)
        self.assertGreater(sum(more.shares), sum(little.shares))

    def test_an_energy_is_reached_with_as_few_as_it_takes(self):
        heads, labels = three_heads()
        found = calibrate.choose(heads, labels, "entropy", Target(energy=3.0), PARTS)
        self.assertGreaterEqual(energy.reduction(PARTS, found.shares), 3.0)
        fewer = calibrate.choose(heads, labels, "entropy", Target(edge_share=sum(found.shares) - 0.02))
        self.assertLess(energy.reduction(PARTS, fewer.shares), 3.0)

    def test_a_curve_runs_from_cloud_to_edge_through_what_was_chosen(self):
        heads, labels = three_heads()
        for policy in answers.POLICIES:
            chosen = calibrate.choose(heads, labels, policy, Target(edge_share=0.63))
            points = calibrate.curve(heads, labels, policy, chosen)
            edge = [sum(point["shares"]) for point in points]
            self.assertEqual(edge, sorted(edge))
            self.assertEqual((edge[0], edge[-1]), (0, 1))
            self.assertIn(chosen.accuracy, [point["accuracy"] for point in points])
            for point in points:  # in the engine's precision, a picture at the very threshold may fall to the other side
                exits = [{"temperature": 1.0, "thresholds": {policy: cut}} for cut in point["thresholds"]]
                figures = calibrate.evaluate(heads, labels, exits, policy)
                self.assertAlmostEqual(figures["accuracy"]["system"], point["accuracy"], delta=0.002)
                self.assertAlmostEqual(1 - figures["share"]["cloud"], sum(point["shares"]), delta=0.002)

    def test_what_cannot_be_met_is_said(self):
        heads, labels = three_heads(200)
        with self.assertRaisesRegex(SystemExit, "no thresholds of 'entropy' cost 1000.0 times less .* with 99% at the edge it is"):
            calibrate.choose(heads, labels, "entropy", Target(energy=1000.0), PARTS)
        with self.assertRaisesRegex(SystemExit, "no thresholds of 'entropy' for each of these 2 exits"):
            calibrate.calibrate(heads, labels, Target(thresholds=calibrate.Known([1.0], {"entropy": [0.1]})))
        with self.assertRaisesRegex(ValueError, "give exactly one target"):
            Target(edge_share=0.5, energy=2.0)
        for wrong in ({"edge_share": 2.0}, {"edge_share": -1.0}, {"accuracy_loss": float("nan")}, {"energy": 0.0}):
            with self.assertRaisesRegex(ValueError, "--"):
                Target(**wrong)


if __name__ == "__main__":
    unittest.main()
