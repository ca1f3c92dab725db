"""What is normal: histograms of the pictures that reach an exit, and limits that are passed as rarely as they say."""

import contextlib
import io
import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fogline_recipe import data, golden, normal
from fogline_recipe.__main__ import main
from fogline_recipe.invert import EdgeFile
from fogline_recipe.layout import TINY
from fogline_recipe.normal import anderson_darling, pearson

from .test_calibrate import three_heads

EXITS = [{"temperature": 1.0, "thresholds": {"max_probability": 0.9}}, {"temperature": 2.0, "thresholds": {"max_probability": 0.95}}]


def alarms(frequencies: np.ndarray, counts: np.ndarray, distance, limit: float, pictures: int, seed: int) -> int:
    """How often a sliding window of one stream raises the alarm, which ends below half of ``limit``."""
    random = np.random.default_rng(seed)
    bins = random.choice(len(counts), pictures + normal.WINDOW, p=frequencies)
    sums = np.zeros((len(bins) + 1, len(counts)))
    sums[np.arange(1, len(bins) + 1), bins] = 1
    sums = sums.cumsum(0)
    raised, off = 0, False
    for far in distance(sums[normal.WINDOW:] - sums[:-normal.WINDOW], normal.smoothed(counts)):
        was, off = off, far > (limit / 2 if off else limit)
        raised += off and not was
    return raised


class Distances(unittest.TestCase):
    def test_they_are_the_device_s(self):
        # edge-wasm/src/device/drift/tests.rs has the same numbers.
        expected = np.array([0.125, 0.375, 0.25, 0.25])
        self.assertAlmostEqual(float(pearson(np.array([5, 3, 4, 4]), expected)), 6.0)
        self.assertAlmostEqual(float(anderson_darling(np.array([5, 3, 4, 4]), expected)), 9 / 1.75)
        self.assertAlmostEqual(float(anderson_darling(np.array([5, 6, 4, 1]), expected)), 9 / 1.75 + 9 / 4 + 9 / 3)
        self.assertEqual(normal.smoothed(np.array([0, 2, 1])).tolist(), [0.5 / 4.5, 2.5 / 4.5, 1.5 / 4.5])


class Limits(unittest.TestCase):
    def test_alarms_are_as_rare_as_was_asked_for(self):
        # Of the frequencies that are true, 1,000 held-out pictures each time tell something else.
        random, true, rate = np.random.default_rng(3), np.array([0.3, 0.1, 0.2, 0.4]), 2e-4
        for distance in (pearson, anderson_darling):
            raised = 0
            for seed in range(6):
                counts = random.multinomial(1000, true)
                raised += alarms(true, counts, distance, normal.limit(counts, distance, normal.WINDOW, rate), 40_000, seed)
            # 48 are expected at most. Neither far more, nor so few that the limit would be blunt.
            self.assertTrue(8 < raised < 80, f"{distance.__name__}: {raised}")

    def test_fewer_held_out_pictures_and_rarer_alarms_make_wider_limits(self):
        shares = np.array([1, 2, 3, 4])
        few, many = (normal.limit(shares * each, anderson_darling, normal.WINDOW, 1e-6) for each in (10, 1000))
        self.assertGreater(few, 1.5 * many)
        self.assertGreater(many, normal.limit(shares * 1000, anderson_darling, normal.WINDOW, 1e-4))

    def test_one_bin_is_never_off(self):
        self.assertEqual(normal.limit(np.array([7]), anderson_darling, normal.WINDOW, 1e-6), 0)


class Histograms(unittest.TestCase):
    def test_bins_hold_about_as_many_each_and_ties_share_one(self):
        values = torch.cat([torch.rand(600, generator=torch.Generator().manual_seed(1)) * 0.5, torch.ones(400)])
        found = normal.histogram(values)
        self.assertEqual(sum(found["counts"]), 1000)
        self.assertEqual(found["edges"], sorted(set(found["edges"])))
        self.assertEqual((found["edges"][-1], found["counts"][-1]), (1.0, 400))
        self.assertTrue(all(90 <= count <= 110 for count in found["counts"][:-1]), found)
        # As a device counts them: an edge belongs to the bin above it.
        at = (torch.tensor(found["edges"]) <= values[:, None]).sum(1).numpy()
        self.assertEqual(found["counts"], np.bincount(at).tolist())
        self.assertEqual(normal.histogram(torch.ones(5)), {"counts": [5], "edges": []})
        self.assertEqual(normal.histogram(torch.empty(0)), {"counts": [0], "edges": []})

    def test_an_exit_counts_the_pictures_that_no_earlier_one_was_sure_of(self):
        heads, _ = three_heads(1000)
        first, second = normal.reached(heads[:2], EXITS, "max_probability", 5)
        probabilities = heads[0].double().softmax(1).amax(1)
        self.assertTrue(torch.equal(first, probabilities.float()))
        going_on = (heads[1].double() / 2)[probabilities < torch.tensor(0.9)].softmax(1).amax(1)
        self.assertTrue(0 < len(second) < 1000)
        self.assertTrue(torch.allclose(second, going_on.float()))

    def test_the_manifest_has_all_of_them(self):
        heads, _ = three_heads(1000)
        found = normal.of([heads], [*EXITS, {"name": "extension", "extends": ["a"]}], "max_probability", 5)
        self.assertEqual((found["pictures"], len(found["exits"])), (1000, 2))
        self.assertEqual(found["classes"]["counts"], heads[0].argmax(1).bincount(minlength=5).tolist())
        self.assertEqual(sum(found["exits"][0]["counts"]), 1000)
        self.assertTrue(all(each["limit"] > 10 for each in (*found["exits"], found["classes"])))


class Pair(unittest.TestCase):
    def test_it_is_added_to_a_pair_by_its_own_edge_and_changes_nothing_else(self):
        for layout in (TINY, replace(TINY, edge="16 pool 16 exit2 16 exit2", ways="1 2")):
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                root, pair = Path(folder), Path(folder) / "pair"
                golden.tiny(pair, layout)
                path = pair / "manifest.json"
                manifest = json.loads(path.read_text())
                if layout.ways:
                    manifest["exits"][0]["ways"] = [{"from": 0.0, "way": 1}, {"from": 0.3, "way": 0}]
                    path.write_text(json.dumps(manifest))
                random = np.random.default_rng(1)
                for name in manifest["classes"]:
                    (root / "train" / name).mkdir(parents=True)
                    for i in range(4):
                        Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(root / "train" / name / f"{i}.png")
                main(["normal", "--pair", str(pair), "--data", str(root), "--hold-out-every", "2"])
                written = json.loads(path.read_text())
                found = written.pop("normal")
                self.assertEqual(written, manifest)
                self.assertEqual((found["pictures"], sum(found["classes"]["counts"])), (10, 10))
                images = data.hold_out(data.load(root, "train", 16), 2)[1].images
                every = EdgeFile(pair).exits(images)
                self.assertEqual(len(every), len(layout.ways.split()) or 1)
                self.assertEqual(every[0][0].argmax(1).bincount(minlength=5).tolist(), found["classes"]["counts"])
                with self.assertRaisesRegex(SystemExit, "--hold-out-every 0"):
                    main(["normal", "--pair", str(pair), "--data", str(root), "--hold-out-every", "0"])
                (root / "train" / manifest["classes"][0]).rename(root / "train" / "other")
                with self.assertRaisesRegex(SystemExit, "are not the pair's"):
                    main(["normal", "--pair", str(pair), "--data", str(root)])

    def test_onnxruntime_has_the_logits_that_qonnx_has(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            pair = Path(folder)
            golden.tiny(pair, TINY)
            written = json.loads((pair / "golden.json").read_text())
            rgb = [np.frombuffer(bytes.fromhex(sample["rgb"]), np.uint8) for sample in written["samples"]]
            images = torch.from_numpy(np.stack(rgb).reshape(len(rgb), 16, 16, 3)).permute(0, 3, 1, 2)
            (exits,) = EdgeFile(pair).exits(images)
            for i, sample in enumerate(written["samples"]):
                for logits, there in zip(exits, sample["exits"], strict=True):
                    np.testing.assert_allclose(logits[i].numpy(), there, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    unittest.main()
