"""What a split map gives away: the maps are the edge's own, and the figures mean what they are called."""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image

from fogline_recipe import golden
from fogline_recipe.__main__ import main
from fogline_recipe.invert import EdgeFile, psnr, ssim
from fogline_recipe.layout import TINY


class Figures(unittest.TestCase):
    def setUp(self):
        self.images = torch.from_numpy(golden.pictures(4, 32, 3)).permute(0, 3, 1, 2)

    def test_psnr_is_of_the_squared_error(self):
        grey = torch.full((2, 3, 8, 8), 100, dtype=torch.uint8)
        self.assertAlmostEqual(psnr(grey, grey + 5), 10 * np.log10(255**2 / 25), places=4)
        self.assertEqual(psnr(grey, grey), 99)

    def test_ssim_is_one_of_equals_and_sees_structure_where_psnr_sees_none(self):
        self.assertAlmostEqual(ssim(self.images, self.images), 1, places=5)
        brighter = (self.images.int() + 20).clamp(max=255).byte()
        noise = torch.randint(-20, 21, self.images.shape, generator=torch.Generator().manual_seed(1))
        noisy = (self.images.int() + noise).clamp(0, 255).byte()
        self.assertGreater(psnr(noisy, self.images), psnr(brighter, self.images))
        self.assertLess(ssim(noisy, self.images), ssim(brighter, self.images))


class Inverted(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def test_onnxruntime_makes_the_maps_that_qonnx_makes(self):
        for bits in (1, 4):
            pair = self.root / str(bits)
            with contextlib.redirect_stdout(io.StringIO()):
                golden.tiny(pair, replace(TINY, bits=bits))
            written = json.loads((pair / "golden.json").read_text())
            rgb = [np.frombuffer(bytes.fromhex(sample["rgb"]), np.uint8) for sample in written["samples"]]
            images = torch.from_numpy(np.stack(rgb).reshape(len(rgb), 16, 16, 3)).permute(0, 3, 1, 2)
            maps = EdgeFile(pair).maps(images)
            step = maps.sent.float().abs()[maps.sent != 0].min()
            for sent, real, sample in zip(maps.sent, maps.real, written["samples"], strict=True):
                levels = np.rint((sent.float() / step).numpy().reshape(-1)).astype(int)
                each = levels[:, None] > 0 if bits == 1 else (levels[:, None] >> np.arange(bits)) & 1
                self.assertEqual(np.packbits(each.astype(bool).reshape(-1), bitorder="little").tobytes().hex(), sample["split"])
                self.assertGreater(len(real.unique()), 2**bits, "the map before the quantiser has more values than the one behind it")

    def test_a_decoder_draws_more_than_the_mean_and_the_map_that_is_sent_gives_away_less(self):
        with contextlib.redirect_stdout(io.StringIO()):
            golden.tiny(self.root / "pair", TINY)
        for part, count, seed in (("train", 300, 5), ("test", 40, 6)):
            for i, picture in enumerate(golden.pictures(count, 16, seed)):
                folder = self.root / "data" / part / ("odd" if i % 2 else "even")
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(folder / f"{i}.png")
        words = ["invert", "--pair", self.root / "pair", "--data", self.root / "data", "--epochs", 6, "--out", self.root / "strip.png"]
        printed = io.StringIO()
        with mock.patch.object(sys, "argv", ["fogline_recipe", *map(str, words)]), contextlib.redirect_stdout(printed):
            main()
        nothing, real, sent = json.loads(printed.getvalue().rsplit("wrote", 1)[0])["drawn from"].values()
        self.assertGreater(sent["psnr"], nothing["psnr"] + 1)
        self.assertGreater(real["psnr"], sent["psnr"])
        self.assertGreater(real["ssim"], sent["ssim"])
        with Image.open(self.root / "strip.png") as sheet:
            self.assertEqual(sheet.size, (8 * 52 + 4, 3 * 52 + 4))


if __name__ == "__main__":
    unittest.main()
