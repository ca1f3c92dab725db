"""The neighbouring systems: what is shared, nested or left alone stays so; rules and thresholds do what the manifest says."""

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import torch

from fogline_recipe import appeal, calibrate, controller, data, energy, export, hashing, start
from fogline_recipe.calibrate import Target
from fogline_recipe.layout import TINY
from fogline_recipe.net import Hybrid
from fogline_recipe.quant import LayoutError
from fogline_recipe.runs import Schedule, logits, parts
from fogline_recipe.train import new, train
from fogline_recipe.ways import NestedConv, _HighestBits

from .test_train import pictures

SMALL = replace(TINY, classes=3, edge="16 pool 16 exit2 16 exit2")
SHORT = Schedule(epochs=1, batch=16, cooldown=1)


class Shared(unittest.TestCase):
    def test_every_value_has_as_many_weights_and_the_hash_says_which(self):
        for share in (2, 3, 4):
            found = hashing.groups(144, share)
            self.assertEqual(sorted(found.flatten().tolist()), list(range(144)))
            size = 144 // share
            for weight in range(144):
                value = weight % size * pow(hashing.MULTIPLIER, weight // size, size) % size
                self.assertIn(weight, found[:, value].tolist())

    def test_training_keeps_them_equal(self):
        with tempfile.TemporaryDirectory() as folder:
            net = new(replace(SMALL, share=2), SHORT)
            train(pictures(), net, SHORT, Path(folder) / "run", resume=False)
            for kernel in net.shared():
                flat = kernel.detach().flatten()
                a, b = hashing.groups(flat.numel(), 2)
                self.assertTrue(torch.equal(flat[a], flat[b]))

    def test_weights_that_cannot_be_shared_so_are_refused(self):
        with self.assertRaisesRegex(LayoutError, "144 weights cannot share values by 5"):
            hashing.groups(144, 5)


class Appeal(unittest.TestCase):
    def test_the_predictor_asks_where_asking_helps_more_than_it_costs(self):
        targets, final = torch.eye(2)[[0, 0]], torch.tensor([[9.0, 0.0]] * 2)
        exit_ = torch.tensor([[9.0, 0.0], [0.0, 9.0]])  # the first is right already
        score = torch.zeros(2, requires_grad=True)
        appeal.loss(exit_, score, final, targets, 0.1).backward()
        self.assertLess(score.grad[0].item(), 0)  # a step against the gradient keeps it at the edge
        self.assertGreater(score.grad[1].item(), 0)

    def test_nothing_but_the_predictors_learns_and_from_pictures_that_were_held_out(self):
        schedule = replace(SHORT, hold_out_every=4)
        training, calibrating = parts(pictures(), replace(SMALL, appeals=True), schedule)
        plain, held = parts(pictures(), SMALL, schedule)
        self.assertEqual((len(training), len(calibrating)), (12, 12))
        rows = [{bytes(image.numpy()) for image in some.images} for some in (training, calibrating, held, plain)]
        self.assertEqual(rows[0] | rows[1], rows[2])
        self.assertFalse(rows[0] & (rows[1] | rows[3]))
        with tempfile.TemporaryDirectory() as folder:
            net = new(replace(SMALL, appeals=True), schedule)
            net.eval()(data.normalise(pictures().images))
            before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
            train(pictures(), net, schedule, Path(folder) / "run", resume=False)
            changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
            self.assertTrue(changed and all(".appeal." in name for name in changed), changed)


class Nested(unittest.TestCase):
    def test_few_bits_are_the_highest_of_many(self):
        conv = NestedConv(8, 4)
        conv.find_step()
        step = conv.step.item()
        levels = {bits: (_HighestBits.apply(conv.weight, step * 2 ** (4 - bits), bits) / (step * 2 ** (4 - bits)) - 0.5).round().int()
                  for bits in (2, 4)}
        self.assertTrue(torch.equal(levels[2], levels[4] >> 2))
        signs = _HighestBits.apply(conv.weight, 2.0, 1)
        self.assertTrue(torch.equal(signs > 0, levels[4] >= 0))

    def test_a_weight_on_the_border_of_two_levels_is_the_same_at_every_width(self):
        conv = NestedConv(8, 4)
        conv.find_step()
        step = conv.step.item()
        with torch.no_grad():
            conv.weight.view(-1)[:6] = torch.tensor([-1e-9, 1e-9, step, 4 * step, -4 * step, -4.0000002 * step])
        before = {bits: _HighestBits.apply(conv.weight, step * 2 ** (4 - bits), bits) for bits in (2, 4)}
        conv.settle()
        for bits, kernel in before.items():
            worth = torch.tensor(step * 2 ** (4 - bits))
            half = 2 ** (bits - 1)
            as_qonnx_has_it = ((conv.weight / worth - 0.5).round().clamp(-half, half - 1) + 0.5) * worth
            self.assertTrue(torch.allclose(as_qonnx_has_it, kernel), bits)

    def test_ways_that_are_none_are_refused(self):
        for ways in ("1", "2 1", "1 32", "1 8"):
            with self.assertRaisesRegex(LayoutError, "--ways"):
                Hybrid(replace(SMALL, ways=ways))
        with self.assertRaisesRegex(LayoutError, "keeps its width"):
            Hybrid(replace(SMALL, edge="16 exit2 32 exit2", ways="1 2"))


class Extension(unittest.TestCase):
    LAYOUT = replace(SMALL, extension="pool 16 + 16 exit2", hard="0 2")

    def test_it_names_hard_classes_alone_and_nothing_else_learns(self):
        with tempfile.TemporaryDirectory() as folder:
            net = new(self.LAYOUT, SHORT)
            net.eval()(data.normalise(pictures().images))  # Brevitas makes the last of its parameters in the first run
            before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
            train(pictures(), net, SHORT, Path(folder) / "run", resume=False)
            changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
            self.assertTrue(changed and all(name.startswith("edge.extension") for name in changed), changed)
            said = logits(net, pictures().images)[-2].argmax(1)
            self.assertTrue(set(said.tolist()) <= {0, 2})

    def test_what_it_answers_counts_in_its_place(self):
        labels = torch.tensor([0, 2, 1, 0])
        sure = torch.tensor([[9.0, 0, 0], [9.0, 0, 0], [0, 9.0, 0], [0.1, 0, 0]])  # the last is not
        extension = torch.tensor([[9.0, 0, 0], [0, 0, 9.0], [9.0, 0, 0], [9.0, 0, 0]])
        heads = [sure, sure, extension, torch.eye(3)[labels]]
        exits = [{"temperature": 1.0, "thresholds": {"entropy": 0.5}}] * 2
        figures = calibrate.evaluate(heads, labels, exits, "entropy", hard=[0, 2])
        self.assertEqual(figures["share"], {"exits": [0.25, 0.0, 0.5], "cloud": 0.25})
        self.assertEqual(figures["accuracy"]["system"], 1.0)

    def test_what_cannot_be_packed_together_is_refused(self):
        for word, options in [("--ways and --share", {"ways": "1 2", "share": 2}), ("--appeals and --ext", {"appeals": True}),
                              ("--ways and --ext", {"ways": "1 2"}), ("--share 17", {"share": 17})]:
            with self.assertRaisesRegex(LayoutError, word):
                replace(SMALL if "share" in options else self.LAYOUT, **options)

    def test_hard_classes_that_are_none_are_refused(self):
        for hard in ("2 0", "0 99", "dog cat", "1 1", "1"):
            with self.assertRaisesRegex(LayoutError, "--hard"):
                replace(self.LAYOUT, hard=hard)
        with self.assertRaisesRegex(LayoutError, "with --extension"):
            replace(SMALL, hard="0 1")

    def test_a_layout_that_is_none_is_refused_by_its_word(self):
        for extension, word in [("pool 16", "not ADAPTIVE"), ("16 + 16 exit2", "its adaptive blocks end in 16x16x16")]:
            with self.assertRaisesRegex(LayoutError, word):
                Hybrid(replace(SMALL, extension=extension, hard="0 2"))


class FromAPair(unittest.TestCase):
    def test_training_goes_on_from_a_pair_that_lacks_what_is_new(self):
        plain = new(SMALL, SHORT)
        for _ in range(3):
            plain.train()(data.normalise(pictures().images))
        with tempfile.TemporaryDirectory() as name:
            exits = [{"temperature": 1.0, "thresholds": {"entropy": 0.5}}] * 2
            export.write_pair(plain, ["a", "b", "c"], "w", "1.0.0", exits, None, Path(name))
            expected = logits(plain, pictures().images)
            for change in ({"appeals": True}, {"ways": "1 2 4"}, {"extension": "pool 16 + 16 exit2", "hard": "0 2"}):
                net = new(replace(SMALL, **change), replace(SHORT, seed=2))
                start.start_from(net, Path(name), pictures())
                said = logits(net, pictures().images)
                for head, wanted in ((said[0], expected[0]), (said[1], expected[1]), (said[-1], expected[-1])):
                    self.assertTrue(torch.allclose(head[:, :3], wanted, atol=2e-3), f"{change}: {(head[:, :3] - wanted).abs().max()}")


class Controller(unittest.TestCase):
    PARTS = (
        {"name": "trunk-1", "role": "trunk", "macs": {"1": 1_000_000}}, {"name": "exit-1", "role": "head", "macs": {}},
        *({"name": "trunk-2", "role": "trunk", "macs": {str(bits): 1_000_000}, "way": way} for way, bits in enumerate((1, 4))),
        {"name": "exit-2", "role": "head", "macs": {}}, {"name": "cloud", "role": "cloud", "macs": {"32": 2_000_000}},
    )

    def heads(self, count: int = 2000) -> tuple[list[list[torch.Tensor]], torch.Tensor]:
        """Two ways: the second exit is better on the second, and the first knows of which pictures it will be."""
        random = torch.Generator().manual_seed(2)
        labels = torch.randint(0, 5, (count,), generator=random)
        ease = torch.rand(count, 1, generator=random)
        first, better, last = (torch.randn(count, 5, generator=random) for _ in range(3))
        truth = torch.eye(5)[labels]
        first, last = 5 * ease * truth + first, 12 * ease * truth + last
        return [[first, strength * ease * truth + better, last] for strength in (5, 9)], labels

    def test_what_the_manifest_says_is_what_was_found(self):
        every, labels = self.heads()
        exits, curves, report = controller.calibrated(every, labels, Target(edge_share=0.7), self.PARTS, None)
        rule = controller.Rule(*zip(*((to["from"], to["way"]) for to in exits[0]["ways"]), strict=True))
        taken = rule.of(controller.confidence(every[0][0], exits[0]["temperature"], 5))
        figures = calibrate.evaluate(controller.pick(every, taken), labels, exits, "entropy")
        self.assertAlmostEqual(figures["accuracy"]["system"], report["policies"]["entropy"]["accuracy"], delta=0.002)
        for point in curves["entropy"]:
            self.assertAlmostEqual(sum(map(sum, point["ways"])), 1)
            for exit_, share in enumerate(point["shares"]):
                self.assertAlmostEqual(sum(way[exit_] for way in point["ways"]), share, delta=0.002)

    def test_the_budget_bounds_what_a_rule_spends(self):
        every, labels = self.heads()
        costs, accuracies = [], []
        for share in (None, 0.98):
            budget = share and share * costs[0]
            rule, choice = controller.find(every, labels, "entropy", 0.7, self.PARTS, budget)
            taken = rule.of(controller.confidence(every[0][0], 1.0, 5))
            ended = controller.endings(controller.pick(every, taken), labels, "entropy", choice.cuts)
            costs.append(controller.microjoules(self.PARTS, controller.shares_by_way(ended, taken, 2, 2)))
            accuracies.append(choice.accuracy)
        self.assertLessEqual(costs[1], 0.98 * costs[0])
        self.assertGreaterEqual(accuracies[0], accuracies[1])
        with self.assertRaisesRegex(SystemExit, "no rule spends at most 0.1"):
            controller.find(every, labels, "entropy", 0.7, self.PARTS, 0.1)

    def test_a_sample_pays_for_its_own_way_alone(self):
        cheap, dear = (energy.of_sample(self.PARTS, 1, way) for way in (0, 1))
        self.assertAlmostEqual(dear - cheap, 1e6 * 3.1 * 3 / 32)
        self.assertAlmostEqual(energy.of_sample(self.PARTS, 0, 1), 1e6 * (3.1 / 32 + 0.1))


if __name__ == "__main__":
    unittest.main()
