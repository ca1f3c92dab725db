"""Quantisers, optimiser, and a run that is interrupted."""

import contextlib
import json
import tempfile
import unittest
from dataclasses import asdict, replace
from pathlib import Path
from unittest import mock

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from fogline_recipe import data, export, golden, hashing, quant, start, teacher
from fogline_recipe.feed import Feed
from fogline_recipe.graph import Graphed
from fogline_recipe.layout import Layout
from fogline_recipe.net import Hybrid
from fogline_recipe.optimiser import Optimiser, matrix
from fogline_recipe.quant import LayoutError
from fogline_recipe.runs import Schedule, load, logits, save
from fogline_recipe.train import asked, class_weights, focus, losses, narrow, new, step_of, train

SMALL = Layout(classes=3, size=16, stem="8", edge="16 pool 16 exit2", split=16, cloud="16 pool 16+")
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
                             ({"bits": 3}, "3 bits"), ({"stem": ""}, "--stem is empty"), ({"stem": "8/3"}, "'8/3'"),
                             ({"stem": "8/2 8/2 8/2 8/2", "edge": "16/2"}, "'16/2'"),
                             ({"size": 15, "stem": "8/2"}, "15x15")]:
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
                    with self.assertRaisesRegex(data.DataError, "do not match this layout"):
                        start.start_from(new(other, SHORT), pair, pictures())
                if bits != quant.FULL:
                    self.other_classes_and_sizes_start_with_the_trunk(net, pair)
                with self.assertRaisesRegex(data.DataError, "does not exist"):
                    start.start_from(again, pair / "nowhere", pictures())

    def other_classes_and_sizes_start_with_the_trunk(self, net: Hybrid, pair: Path) -> None:
        others = data.Pictures(torch.zeros(8, 3, 32, 32, dtype=torch.uint8), torch.arange(8) % 4, ["a", "b", "c", "d"])
        larger = new(replace(net.layout, classes=4, size=32, stem="4/2 8", cloud="16 pool 16+ 16+"), replace(SHORT, seed=3))
        with self.assertRaisesRegex(data.DataError, "MODEL.md does not exist"):
            start.start_from(larger, pair, others)
        options = [f"    --{name} '{value}'" for name, value in asdict(net.layout).items() if name != "classes"]
        (pair / "MODEL.md").write_text("\n".join(["# w 1.0.0", "", *options, ""]))
        new_heads = {name: value.clone() for name, value in larger.state_dict().items() if "linear" in name}
        start.start_from(larger, pair, others)
        there, now = net.state_dict(), larger.state_dict()
        for name in ("edge.blocks.0.norm.weight", "edge.blocks.1.conv.weight", "edge.split.0.2.running_mean"):
            signs = net.layout.bits == 1 and "conv" in name
            self.assertTrue(torch.equal(*(kept[name].sign() if signs else kept[name] for kept in (there, now))), name)
        for name, value in new_heads.items():
            self.assertTrue(torch.equal(value, now[name]), name)
        (pair / "MODEL.md").write_text("no options")
        with self.assertRaisesRegex(data.DataError, "does not tell the pair's layout"):
            start.start_from(larger, pair, others)


class Teachers(unittest.TestCase):
    def test_only_late_stages_and_head_learn_and_the_run_is_found_again(self):
        with tempfile.TemporaryDirectory() as folder:
            layout, out = teacher.Layout(classes=3, size=16), Path(folder)
            random = teacher.build(layout)
            torch.save(random.net.state_dict(), out / "weights.pt")
            first = teacher.new(layout, 1, out / "weights.pt")
            train(pictures(), first, replace(SHORT, epochs=1), out, resume=False)
            self.assertTrue(torch.equal(random.net.blocks[0][0].conv_dw.weight, first.net.blocks[0][0].conv_dw.weight))
            self.assertFalse(torch.equal(random.net.blocks[-1][0].conv_dw.weight, first.net.blocks[-1][0].conv_dw.weight))
            found, images = load(out).net, pictures().images
            self.assertTrue(torch.equal(logits(found, images)[0], logits(first, images)[0]))
            with self.assertRaisesRegex(data.DataError, "tensors of other shapes"):
                torch.save(Hybrid(SMALL).state_dict(), out / "weights.pt")
                teacher.new(layout, 1, out / "weights.pt")

    def test_the_scores_of_two_are_averaged(self):
        both, images = [Hybrid(replace(SMALL, bits=32)).eval() for _ in range(2)], data.normalise(pictures().images)
        with torch.no_grad(), narrow(images.device):  # in bfloat16 where the CPU has it, as teachers are asked
            one, other = (net(images)[-1].float() for net in both)
        self.assertTrue(torch.allclose(asked(both, images), (one + other) / 2))
        self.assertIsNone(asked([], images))

    def test_a_resnet_learns_from_nothing_and_teaches(self):
        layout = teacher.Layout(classes=3, size=16, backbone=teacher.RESNET)
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "teacher"
            train(pictures(), teacher.new(layout, 1), replace(SHORT, epochs=8, shift=0, hole=0, smoothing=0.0), run, resume=False)
            first, *_, last = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
            self.assertLess(last["loss"], 0.9 * first["loss"])
            self.assertEqual(last["left"], 0)
            found = load(run)
            net = new(SMALL, SHORT)
            train(pictures(), net, SHORT, Path(folder) / "pupil", resume=False, teachers=[found.net])
            self.assertEqual(load(Path(folder) / "pupil").teachers, [layout.to_dict()])


class Steps(unittest.TestCase):
    def test_one_is_what_it_is_without_tensors_for_rates_and_scales(self):
        """The same step with PyTorch's own Muon, kernel by kernel, labels as numbers, and numbers for rates and scales."""
        images = data.normalise(pictures().images).contiguous(memory_format=torch.channels_last)
        targets = torch.eye(3)[pictures().labels]
        layouts = (replace(SMALL, bits=bits, share=share) for bits, share in ((1, 1), (1, 2), (4, 1), (32, 1)))
        for layout in (*layouts, replace(SMALL, edge="16 pool 16 exit2 16 exit2", ways="1 2 4")):
            schedule = replace(SHORT, exit_weight=0.2)
            ours, theirs = (new(layout, schedule).to(memory_format=torch.channels_last).train() for _ in range(2))
            if layout.ways:
                for net in (ours, theirs):
                    for block in net.mixed():
                        block.spread()
            optimiser, twin = Optimiser(ours, schedule), Hybrid(replace(layout, bits=32, share=1, ways="")).eval()
            optimiser.muon.kind = torch.float32  # as the reference's
            step = step_of(ours, optimiser, schedule)
            reference = Reference(theirs, schedule, twin)
            for factor in (0.5, 1.0):
                optimiser.set_rates(factor)
                losses_ = step(images, targets, asked([twin], images)).item(), reference.step(images, pictures().labels, factor)
                self.assertAlmostEqual(*losses_, places=5)
                for (name, own), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
                    self.assertTrue(torch.allclose(own, other, rtol=1e-5, atol=1e-6), f"{layout}: {name}: {(own - other).abs().max()}")
                    other.data.copy_(own)  # one sign of a latent weight, flipped by a last bit, would change the next step

    def test_none_waits_for_the_device(self):
        """A CUDA graph cannot hold what reads a value, and a step that does would leave the device idle meanwhile."""
        two_exits = replace(SMALL, edge="16 pool 16 exit2 16 exit2")
        twin = Hybrid(replace(SMALL, bits=32)).eval()
        resnet = teacher.new(teacher.Layout(classes=3, size=16, backbone=teacher.RESNET), 1)
        nets = [resnet, *(new(layout, SHORT) for layout in (
            replace(SMALL, bits=32), SMALL, replace(SMALL, bits=4), replace(SMALL, share=2), replace(SMALL, appeals=True),
            replace(two_exits, ways="1 2 4"), replace(two_exits, extension="pool 16 + 16 exit2", hard="0 2")))]
        for net in nets:
            schedule = replace(SHORT, exit_weight=0.2, focus=0.5, cutmix=0.5)
            net.to(memory_format=torch.channels_last).train()
            step = step_of(net, Optimiser(net, schedule), schedule)
            for number, batch in enumerate(Feed(pictures(), schedule, torch.device("cpu")).epoch(0)):
                with Unread() if number >= Graphed.FIRST else contextlib.nullcontext():
                    step(*batch, asked([twin], batch[0]))
            self.assertGreater(number, Graphed.FIRST)

    def test_to_ask_a_network_moves_none_of_its_tensors(self):
        for bits in (1, 4):  # some of these have a shape that is moved to the layout that it has, again and again
            net = new(replace(SMALL, bits=bits), SHORT).to(memory_format=torch.channels_last)
            net.train()(data.normalise(pictures().images))
            before = {name: tensor.data_ptr() for name, tensor in net.state_dict(keep_vars=True).items()}
            logits(net, pictures().images)
            net.train()
            self.assertEqual(before, {name: tensor.data_ptr() for name, tensor in net.state_dict(keep_vars=True).items()})


class Unread(TorchDispatchMode):
    """Refuses what would make a program wait for its device: reading a value, or a shape that follows from values."""

    READING = ("_local_scalar_dense", "equal", "is_nonzero", "item", "masked_select", "nonzero", "unique")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        masked = name.startswith("index") and any(index is not None and index.dtype == torch.bool for index in args[1] if isinstance(args[1], list))
        if name in self.READING or masked:
            raise AssertionError(f"a step reads values: {name}")
        return function(*args, **(kwargs or {}))


class Reference:
    """A training step as simple as it can be."""

    def __init__(self, net: Hybrid, schedule: Schedule, teacher: Hybrid):
        self.net, self.schedule, self.teacher = net, schedule, teacher
        self.kernels = [(kernel, nn.Parameter(matrix(kernel)), decays) for kernel, decays in net.kernels()]
        mine = {id(kernel) for kernel, *_ in self.kernels}
        others = [p for p in net.parameters() if p.requires_grad and id(p) not in mine]
        self.muon = torch.optim.Muon([{"params": [view], "weight_decay": schedule.decay * decays} for _, view, decays in self.kernels],
                                     momentum=0.9, ns_steps=3, adjust_lr_fn="match_rms_adamw")
        self.adamw = torch.optim.AdamW([{"params": [p for p in others if p.ndim == 2], "weight_decay": schedule.decay},
                                        {"params": [p for p in others if p.ndim != 2], "weight_decay": 0.0}])

    def step(self, images: torch.Tensor, labels: torch.Tensor, factor: float) -> float:
        with narrow(torch.device("cpu")):
            outputs = self.net(images)
            with torch.no_grad():
                scores = self.teacher(images)[-1]
        loss = losses(outputs, torch.nn.functional.one_hot(labels, 3).float(), self.schedule, scores)
        self.net.zero_grad()
        loss.backward()
        for kernel, view, _ in self.kernels:
            view.grad, kernel.grad = matrix(kernel.grad), None
        for optimiser, rate in ((self.muon, self.schedule.kernel_rate), (self.adamw, self.schedule.rate)):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            with mock.patch.object(torch, "bfloat16", torch.float32):  # rounded alike on any machine
                optimiser.step()
        hashing.tie(self.net.shared(), self.net.layout.share)
        return loss.item()


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
            optimiser = Optimiser(net, SHORT)
            optimiser.set_rates(1.0)
            step, targets = step_of(net, optimiser, SHORT), torch.eye(3)[pictures().labels]
            before = [parameter.clone() for parameter in net.parameters()]
            seen = [step(images, targets).item() for _ in range(30)]
            self.assertLess(seen[-1], 0.9 * seen[0], f"{bits} bits")
            still = sum(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
            self.assertEqual(still, 0, f"{bits} bits: {still} parameters did not move")

    def test_rare_classes_count_more_when_balanced(self):
        some = data.Pictures(torch.zeros(8, 3, 4, 4), torch.tensor([0, 0, 0, 0, 1, 1, 1, 2]), ["a", "b", "c"])
        self.assertTrue(torch.equal(class_weights(some, 0.0), torch.ones(3)))
        weights = class_weights(some, 1.0)
        self.assertTrue(torch.allclose(weights * torch.tensor([4.0, 3.0, 1.0]), torch.full((3,), 8 / 3)))
        outputs, targets = [torch.zeros(3, 3)], torch.eye(3)
        plain, heavy = (losses(outputs, targets, replace(SHORT, balance=balance, distill=0.0), weights=weights) for balance in (0.0, 1.0))
        self.assertAlmostEqual(heavy.item(), plain.item() * weights.mean().item(), places=5)

    def test_teachers_are_asked_once_about_each_view(self):
        class Counting(nn.Module):
            layout, calls = SMALL, 0

            def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
                Counting.calls += 1
                return [torch.zeros(len(images), 3)]

        for views, calls in ((0, 3), (2, 2)):
            Counting.calls = 0
            schedule = replace(SHORT, epochs=3, batch=64, views=views)
            train(pictures(), new(SMALL, schedule), schedule, self.root / str(views), resume=False, teachers=[Counting()])
            self.assertEqual(Counting.calls, calls)

    def test_smaller_maps_come_from_training_behind_the_exits_alone(self):
        schedule = replace(SHORT, views=1, map_bytes=20.0)
        net = new(SMALL, schedule)
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        with mock.patch.object(net.edge, "trunk", wraps=net.edge.trunk) as trunk:
            train(pictures(), net, schedule, self.root, resume=False)
            in_batches = [call for call in trunk.call_args_list if len(call.args[0]) == schedule.batch]
        # Half of 91 pictures are two whole batches of 16, whose maps the second epoch has from the first.
        self.assertEqual(len(in_batches), 2)
        after = net.state_dict()
        for name, tensor in before.items():
            learned = name.startswith(("edge.split.", "cloud."))
            if not learned or (name.endswith(".weight") and tensor.ndim == 4):
                self.assertEqual(torch.equal(tensor, after[name]), not learned, name)
        lines = [json.loads(line) for line in (self.root / "log.jsonl").read_text().splitlines()]
        self.assertTrue(all(line["map_bytes"] > 0 for line in lines))

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
        with self.assertRaisesRegex(SystemExit, "continue from it with --resume"):
            train(pictures(), new(SMALL, SHORT), SHORT, self.root, resume=False)
        with self.assertRaisesRegex(SystemExit, "another layout, schedule or teachers"):
            train(pictures(), new(SMALL, SHORT), replace(SHORT, rate=1.0), self.root, resume=True)

    def test_the_twin_gives_all_its_weights(self):
        twin, net = Hybrid(replace(SMALL, bits=32)), Hybrid(SMALL)
        self.assertEqual(start.take_weights(net, twin), len(twin.state_dict()))
        self.assertTrue(torch.equal(net.edge.blocks[0].conv.weight, twin.edge.blocks[0].conv.weight))


if __name__ == "__main__":
    unittest.main()
