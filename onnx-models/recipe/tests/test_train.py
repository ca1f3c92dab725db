"""Quantisers, optimiser, and a run that is interrupted."""

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch

from fogline_recipe import data, export, golden, quant, start, teacher
from fogline_recipe.layout import Layout
from fogline_recipe.net import Hybrid
from fogline_recipe.quant import LayoutError
from fogline_recipe.runs import Schedule, load, logits, save
from fogline_recipe.train import Optimiser, focus, losses, new, scores_of, take_weights, train

SMALL = Layout(classes=3, size=16, stem=8, edge="16 pool 16 exit2", split=16, cloud="16 pool 16+")
SHORT = Schedule(epochs=2, batch=16, cooldown=1)


def pictures() -> data.Pictures:
    images = torch.from_numpy(golden.pictures(96, 16, 5)).permute(0, 3, 1, 2).contiguous()
    return data.Pictures(images, torch.arange(96) % 3, ["a", "b", "c"])


class Quantisers(unittest.TestCase):
    def test_a_sign_has_no_zero_and_its_gradient_stops_at_one(self):
        x = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0], requires_grad=True)
        y, *_ = quant.Sign()(x)
        y.sum().backward()
        self.assertEqual(y.tolist(), [-1, -1, 1, 1, 1])
        self.assertEqual(x.grad.tolist(), [0, 1, 1, 1, 0])

    def test_levels_have_the_gradients_of_lsq(self):
        random = torch.Generator().manual_seed(3)
        x = torch.randn(1000, dtype=torch.float64, generator=random, requires_grad=True)
        weights = torch.randn(1000, dtype=torch.float64, generator=random)
        quantiser = quant.Levels(4).double().train()
        y, scale, *_ = quantiser(x)
        (y * weights).sum().backward()
        step = scale.item()
        levels = (x.detach() / step).round().clamp(-8, 7)
        self.assertTrue(torch.allclose(y, levels * step))
        inside = (x.detach() / step > -8.5) & (x.detach() / step < 7.5)
        self.assertTrue(torch.equal(x.grad, weights * inside))
        # d y / d scale, times scale since its logarithm is learned.
        slope = (weights * (levels - inside * x.detach() / step)).sum() * step
        self.assertAlmostEqual(quantiser.log_scale.grad.item(), slope.item(), places=4)


class Layouts(unittest.TestCase):
    def test_what_cannot_be_built_is_refused_by_its_word(self):
        for change, word in [({"edge": "16/2 exit2"}, "'16/2'"), ({"edge": "16 exit3"}, "grid of 3"), ({"edge": "16"}, "no exit"),
                             ({"edge": "16 exit2 pool pool pool pool pool 16"}, "1x1"), ({"cloud": "32+"}, "equal widths"),
                             ({"bits": 3}, "3 bits")]:
            with self.assertRaisesRegex(LayoutError, word):
                Hybrid(replace(SMALL, **change))


class Pairs(unittest.TestCase):
    def test_training_goes_on_from_the_files_of_a_pair(self):
        for bits in (1, 4, quant.FULL):
            layout = replace(SMALL, bits=bits, edge="16 pool 32 exit2 32 exit2")
            net = new(layout, SHORT)
            for _ in range(3):  # statistics and scales that are nobody's first
                net.train()(data.normalise(pictures().images))
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.mul_(1.1)
            with tempfile.TemporaryDirectory() as name:
                pair = Path(name)
                expected = logits(net, pictures().images)
                if bits == quant.FULL:
                    export.write_twin(net, pair / "twin.onnx")
                else:
                    exits = [{"temperature": 1.0, "thresholds": {"entropy": 0.5}}] * 2
                    export.write_pair(net, ["a", "b", "c"], "w", "1.0.0", exits, None, pair)
                again = new(replace(layout), replace(SHORT, seed=2))
                start.start_from(again, pair, pictures())
                for head, wanted in zip(logits(again, pictures().images), expected, strict=True):
                    self.assertTrue(torch.allclose(head, wanted, atol=2e-3), f"{bits} bits: {(head - wanted).abs().max()}")
                if bits == quant.FULL:  # all batch-norms were folded: unfolded, they have the statistics of these very pictures
                    with torch.no_grad():
                        (head,) = again.train()(data.normalise(pictures().images))
                    self.assertTrue(torch.allclose(head, expected[0], atol=2e-3))
                for other in (replace(layout, edge="16 pool 32 exit2 32 32 exit2"), replace(layout, split=8)):
                    with self.assertRaisesRegex(data.DataError, "not those of this layout"):
                        start.start_from(new(other, SHORT), pair, pictures())
                if bits != quant.FULL:
                    with self.assertRaisesRegex(data.DataError, "tells 3 classes apart.*has 3 "):
                        start.start_from(again, pair, replace(pictures(), names=["a", "b", "d"]))
                with self.assertRaisesRegex(data.DataError, "not there"):
                    start.start_from(again, pair / "nowhere", pictures())


class Teachers(unittest.TestCase):
    def test_only_late_stages_and_head_learn_and_the_run_is_found_again(self):
        with tempfile.TemporaryDirectory() as folder:
            random, out = teacher.Teacher(teacher.Layout(classes=3, size=16)), Path(folder)
            torch.save(random.net.state_dict(), out / "weights.pt")
            layout = teacher.Layout(classes=3, size=16)
            first = teacher.pretrained(layout, 1, out / "weights.pt")
            train(pictures(), first, replace(SHORT, epochs=1), out, resume=False)
            self.assertTrue(torch.equal(random.net.blocks[0][0].conv_dw.weight, first.net.blocks[0][0].conv_dw.weight))
            self.assertFalse(torch.equal(random.net.blocks[-1][0].conv_dw.weight, first.net.blocks[-1][0].conv_dw.weight))
            found, images = load(out).net, pictures().images
            self.assertTrue(torch.equal(logits(found, images)[0], logits(first, images)[0]))
            with self.assertRaisesRegex(data.DataError, "tensors of other shapes"):
                torch.save(Hybrid(SMALL).state_dict(), out / "weights.pt")
                teacher.pretrained(layout, 1, out / "weights.pt")

    def test_the_scores_of_two_are_averaged(self):
        both = [Hybrid(replace(SMALL, bits=32)) for _ in range(2)]
        mean = scores_of(both, pictures())
        each = [scores_of([one], pictures()) for one in both]
        self.assertTrue(torch.allclose(mean, (each[0] + each[1]) / 2))


class Training(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def test_every_width_learns(self):
        images = data.normalise(pictures().images).contiguous(memory_format=torch.channels_last)
        for bits in (1, 4, 32):
            torch.manual_seed(0)
            net = Hybrid(replace(SMALL, bits=bits)).to(memory_format=torch.channels_last).train()
            optimiser, seen = Optimiser(net, SHORT), []
            before = [parameter.clone() for parameter in net.parameters()]
            for _ in range(30):
                loss = losses(net(images), pictures().labels, SHORT)
                loss.backward()
                optimiser.step(1.0)
                seen.append(loss.item())
            self.assertLess(seen[-1], 0.9 * seen[0], f"{bits} bits")
            still = sum(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
            self.assertEqual(still, 0, f"{bits} bits: {still} parameters did not move")

    def test_the_final_head_looks_at_what_exits_are_unsure_of(self):
        sure, unsure = [9.0, 0.0, 0.0], [0.1, 0.0, 0.0]
        exits = [torch.tensor([sure, unsure, unsure]), torch.tensor([unsure, unsure, sure])]
        weights = focus(exits, 0.5)
        self.assertAlmostEqual(weights.mean().item(), 1, places=5)
        self.assertLess(weights[0], 0.6)
        self.assertAlmostEqual(weights[0].item(), weights[2].item(), places=5)
        self.assertTrue(torch.equal(focus(exits, 0.0), torch.ones(3)))

    def test_a_resumed_run_is_the_run_it_would_have_been(self):
        def save_and_stop(path: Path, state: dict) -> None:
            save(path, state)
            raise KeyboardInterrupt

        whole, cut = self.root / "whole", self.root / "cut"
        train(pictures(), new(SMALL, SHORT), SHORT, whole, resume=False)
        with mock.patch("fogline_recipe.train.save", save_and_stop), self.assertRaises(KeyboardInterrupt):
            train(pictures(), new(SMALL, SHORT), SHORT, cut, resume=False)
        train(pictures(), new(SMALL, SHORT), SHORT, cut, resume=True)
        whole, cut = (load(run).net.state_dict() for run in (whole, cut))
        for name, tensor in whole.items():
            self.assertTrue(torch.equal(tensor, cut[name]), name)

    def test_another_schedule_is_not_resumed(self):
        train(pictures(), new(SMALL, SHORT), replace(SHORT, epochs=1), self.root, resume=False)
        with self.assertRaisesRegex(SystemExit, "go on from it with --resume"):
            train(pictures(), new(SMALL, SHORT), SHORT, self.root, resume=False)
        with self.assertRaisesRegex(SystemExit, "another layout, schedule or teachers"):
            train(pictures(), new(SMALL, SHORT), replace(SHORT, rate=1.0), self.root, resume=True)

    def test_the_twin_gives_all_its_weights(self):
        twin, net = Hybrid(replace(SMALL, bits=32)), Hybrid(SMALL)
        self.assertEqual(take_weights(net, twin), len(twin.state_dict()))
        self.assertTrue(torch.equal(net.edge.blocks[0].conv.weight, twin.edge.blocks[0].conv.weight))


if __name__ == "__main__":
    unittest.main()
