"""The command line: what would mix up runs, data and pairs is refused, and changes nothing."""

import contextlib
import io
import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from fogline_recipe.__main__ import main

LAYOUT = ["--size", "16", "--stem", "8", "--edge", "16 pool 16 exit2", "--split", "16", "--cloud", "16 pool 16+"]
SCHEDULE = ["--epochs", "1", "--cooldown", "1", "--batch", "8", "--hold-out-every", "3"]


def recipe(*words: object) -> None:
    with mock.patch.object(sys, "argv", ["fogline_recipe", *map(str, words)]), contextlib.redirect_stdout(io.StringIO()):
        main()


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = Path(folder.name)
        cls.data = cls.pictures("data", ["bar", "dot", "ring"])
        cls.train("twin", "--bits", 32)
        cls.train("mine", "--bits", 1, "--teacher", cls.root / "twin")
        cls.pair = cls.export("pair", "--twin", cls.root / "twin")

    @classmethod
    def pictures(cls, name: str, classes: list[str], test: list[str] | None = None) -> Path:
        random = np.random.default_rng(1)
        for part, names in (("train", classes), ("test", test or classes)):
            for called in names:
                folder = cls.root / name / part / called
                folder.mkdir(parents=True)
                for i in range(6):
                    Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / f"{i}.png")
        return cls.root / name

    @classmethod
    def train(cls, run: str, *words: object, data: Path | None = None) -> None:
        recipe("train", "--data", data or cls.data, "--out", cls.root / run, *LAYOUT, *SCHEDULE, *words)

    @classmethod
    def export(cls, out: str, *words: object, run: str = "mine", data: Path | None = None) -> Path:
        folder = cls.root / out / "noise" / "1.0.0"
        recipe("export", "--run", cls.root / run, "--data", data or cls.data, "--data-name", "noise", "--name", "noise",
               "--version", "1.0.0", "--edge-share", 0.5, "--out", folder, *words)
        return folder

    def refused(self, why: str, *words: object) -> None:
        with self.assertRaisesRegex(SystemExit, why):
            recipe(*words)

    def test_a_pair_that_is_there_is_not_exported_over(self):
        before = (self.pair / "manifest.json").read_bytes()
        with self.assertRaisesRegex(SystemExit, "already has a pair"):
            self.export("pair")
        self.assertEqual((self.pair / "manifest.json").read_bytes(), before)

    def test_a_pair_is_not_exported_into_a_folder_of_another_name_or_version(self):
        for words in (["--name", "Noise"], ["--version", "1.0"], ["--out", self.root / "noise"], ["--out", self.root / "noise/1.0.0/x"]):
            with self.assertRaisesRegex(SystemExit, "must end in "):
                self.export("elsewhere", *words)
        self.assertFalse((self.root / "elsewhere").exists())

    def test_a_pair_of_another_run_is_not_calibrated(self):
        other = self.pictures("other", ["bar", "dot", "star"])
        self.train("other-run", "--bits", 1, data=other)
        before = (self.pair / "manifest.json").read_bytes()
        for run, data in (("other-run", other), ("twin", self.data)):
            self.refused("exported from another run", "calibrate", "--run", self.root / run, "--pair", self.pair, "--data", data, "--edge-share", 0.5)
        self.refused("recipe export writes it", "calibrate", "--run", self.root / "mine", "--pair", self.root, "--data", self.data,
                     "--edge-share", 0.5)
        self.assertEqual((self.pair / "manifest.json").read_bytes(), before)
        recipe("calibrate", "--run", self.root / "mine", "--pair", self.pair, "--data", self.data, "--edge-share", 0.1)
        self.assertNotEqual((self.pair / "manifest.json").read_bytes(), before)

    def test_a_pair_that_is_trained_on_keeps_its_thresholds(self):
        given = ["--run", self.root / "mine", "--pair", self.pair, "--data", self.data]
        recipe("calibrate", *given, "--edge-share", 0.3)
        kept = self.root / "kept"
        shutil.copytree(self.pair, kept)
        recipe("calibrate", *given, "--edge-share", 0.9)
        recipe("calibrate", *given, "--thresholds-of", kept)
        before, after = (json.loads((pair / "manifest.json").read_text()) for pair in (kept, self.pair))
        self.assertEqual(after["exits"], before["exits"])
        self.refused("--thresholds-of needs a pair's folder", "calibrate", *given, "--thresholds-of", self.root)
        self.refused("--check-splits checks the promise", "calibrate", *given, "--thresholds-of", kept, "--check-splits", 3)
        self.refused("no thresholds of .* keep the promise", "calibrate", *given, "--max-exit-error", 0.02)

    def test_a_pair_says_what_is_normal_as_exported_and_as_calibrated(self):
        pair = self.export("usual")
        exported = json.loads((pair / "manifest.json").read_text())["normal"]
        self.assertEqual((exported["pictures"], sum(exported["exits"][0]["counts"]), sum(exported["classes"]["counts"])), (6, 6, 6))
        recipe("calibrate", "--run", self.root / "mine", "--pair", pair, "--data", self.data, "--edge-share", 0.5)
        self.assertEqual(json.loads((pair / "manifest.json").read_text())["normal"], exported)

    def test_only_the_twin_is_exported_as_one(self):
        with self.assertRaisesRegex(SystemExit, "not the twin"):
            self.export("false", "--twin", self.root / "mine")
        self.assertFalse((self.root / "false").exists())

    def test_test_pictures_of_other_classes_are_not_measured(self):
        differ = self.pictures("differ", ["bar", "dot", "ring"], test=["bar", "dot", "star"])
        with self.assertRaisesRegex(SystemExit, "of its test pictures, bar, dot, star"):
            self.export("differing", data=differ)

    def test_a_run_is_not_resumed_on_other_classes(self):
        shutil.copytree(self.root / "twin", self.root / "again")
        renamed = self.pictures("renamed", ["dot", "ring", "zebra"])
        with self.assertRaisesRegex(SystemExit, "knows the classes bar, dot, ring"):
            self.train("again", "--bits", 32, "--resume", "--epochs", 2, data=renamed)

    def test_numbers_out_of_range_are_said_by_their_option(self):
        for words in (["--focus", 3], ["--cutmix", -1], ["--batch", 0], ["--rate", "nan"], ["--price", "nan"], ["--hold-out-every", 1],
                      ["--size", 0], ["--stem", 0], ["--split", -1], ["--shift", 16]):
            with self.assertRaisesRegex(SystemExit, words[0]):
                self.train("numbers", "--bits", 1, *words)
        with self.assertRaisesRegex(SystemExit, "--name '../evil'"):
            self.export("evil", "--name", "../evil")

    def test_what_is_trained_on_from_a_pair_is_not_begun_without_one(self):
        for words in (["--ways", "1 2"], ["--extension", "pool 16 + 16 exit2", "--hard", "0 1"]):
            with self.assertRaisesRegex(SystemExit, "--start names the pair"):
                self.train("nothing", "--bits", 1, "--edge", "16 pool 16 exit2 16 exit2", *words)
        self.assertFalse((self.root / "nothing").exists())
        self.train("extended-twin", "--bits", 32, "--extension", "pool 16 + 16 exit2")

    def test_an_extension_s_training_goes_on_with_the_hard_classes_it_found(self):
        words = ["--bits", 1, "--start", self.pair, "--extension", "pool 16 + 16 exit2"]
        self.train("extended", *words)
        self.train("extended", *words, "--resume", "--epochs", 2)

    def test_a_resnet_is_a_teacher_by_one_option_and_the_card_says_so(self):
        recipe("teacher", "--data", self.data, "--out", self.root / "resnet", "--size", 16, "--epochs", 1, "--cutmix", 0.5)
        self.train("taught", "--bits", 1, "--teacher", self.root / "resnet", self.root / "twin")
        card = (self.export("of-taught", run="taught") / "MODEL.md").read_text()
        self.assertRegex(card, "a ResNet-18 trained on the same pictures .* and its full-precision twin")
        self.assertRegex(card, "Training took 1 minute on (one|[0-9]+) CPU core")
        self.refused("--weights goes with", "teacher", "--data", self.data, "--out", self.root / "none", "--weights", "there.pt")
        self.refused("--cutmix 2", "teacher", "--data", self.data, "--out", self.root / "none", "--cutmix", 2)

    def test_a_policy_without_thresholds_and_a_budget_that_is_none_are_refused(self):
        given = ["--run", self.root / "mine", "--pair", self.pair, "--data", self.data]
        self.refused("no threshold for --policy appeal", "evaluate", *given, "--policy", "appeal")
        self.refused("--budget nan", "calibrate", *given, "--edge-share", 0.5, "--budget", "nan")

    def test_a_cut_off_checkpoint_is_named(self):
        cut = self.root / "cut"
        shutil.copytree(self.root / "mine", cut)
        whole = (cut / "checkpoint.pt").read_bytes()
        (cut / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
        with self.assertRaisesRegex(SystemExit, "checkpoint.pt: the checkpoint is damaged"):
            self.export("of-cut", run="cut")


if __name__ == "__main__":
    unittest.main()
