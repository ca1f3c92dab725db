"""From a folder to an exported pair, stopped on the way."""

import contextlib
import io
import json
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from fogline_recipe import data, teach
from fogline_recipe.__main__ import main
from tests.test_look import picture


class Teaching(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root, self.out = Path(folder.name) / "pictures", Path(folder.name) / "out"
        for place, name in enumerate(("cat", "dog")):
            for i in range(12):
                picture(self.root / name / f"{i:03}.jpg", 1000 * place + i)
        for name in ("EDGE", "CLOUD"):
            small = {"EDGE": "16 pool 16 exit2 pool 16 exit{grid}", "CLOUD": "16 pool 16+"}[name]
            self.enterContext(mock.patch.object(teach, name, small))
        self.enterContext(mock.patch.object(teach, "MOST_EPOCHS", {"twin": 2, "pair": 3}))
        self.enterContext(mock.patch.object(teach, "LEAST_EPOCHS", 2))
        self.enterContext(mock.patch.object(teach, "trunk", lambda: None))

    def teach(self, *options: str) -> str:
        words = ["teach", str(self.root), "--name", "mine", "--size", "32", "--minutes", "0.2", "--out", str(self.out), *options]
        with contextlib.redirect_stdout(said := io.StringIO()):
            main(words)
        return said.getvalue()

    def test_a_folder_becomes_a_pair_although_it_was_stopped(self):
        real = teach.command
        stopped_at = []

        def stop_at_the_pair(run: Callable, out: Path, *others) -> None:
            if out.name == "run" and not stopped_at:
                stopped_at.append(out)
                raise KeyboardInterrupt
            real(run, out, *others)

        with mock.patch.object(teach, "command", stop_at_the_pair), self.assertRaises(KeyboardInterrupt):
            self.teach()
        twin = (self.out / "twin/checkpoint.pt").read_bytes()
        said = self.teach()
        self.assertIn("goes on with ", said)
        self.assertNotIn("--bits 32", said)  # the twin was there
        self.assertEqual((self.out / "twin/checkpoint.pt").read_bytes(), twin)
        self.assertIn("exported ", said)
        pair = self.out / "pair/mine/1.0.0"
        manifest = json.loads((pair / "manifest.json").read_text())
        self.assertEqual((manifest["classes"], manifest["input"]["size"]), (["cat", "dog"], 32))
        for file in ("edge.qonnx", "cloud.onnx", "twin.onnx", "MODEL.md", "golden.json"):
            self.assertTrue((pair / file).is_file(), file)

    def test_other_pictures_or_options_are_another_run(self):
        self.teach()
        for change, why in ((lambda: ["--bits", "4"], "with other bits:"), (lambda: picture(self.root / "cat/new.jpg", 99) or [], "with other pictures:")):
            with self.assertRaisesRegex(SystemExit, f"{why} take another --name"):
                self.teach(*change())

    def test_another_share_at_the_edge_needs_no_training(self):
        self.teach()
        said = self.teach("--edge-share", "0.5")
        self.assertNotIn("fogline_recipe train", said)
        self.assertIn("--edge-share 0.5", said)

    def test_a_plan_that_nothing_was_trained_by_is_replaced(self):
        with self.assertRaisesRegex(SystemExit, "nowhere/manifest.json does not exist"):
            self.teach("--start", "nowhere")
        with mock.patch.object(teach, "command", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            self.teach("--bits", "4")
        self.assertIn("exported", self.teach())

    def test_nothing_of_the_users_is_replaced(self):
        for out in (self.root, self.root / "out", self.root.parent):
            with self.assertRaisesRegex(SystemExit, "must lie apart"):
                self.teach("--out", str(out))
        self.out.mkdir()
        (self.out / "data").mkdir()
        with self.assertRaisesRegex(SystemExit, "holds something else"):
            self.teach()
        self.assertEqual(len(list(self.root.rglob("*.jpg"))), 24)

    def test_damage_is_named(self):
        self.teach()
        (self.out / "twin/checkpoint.pt").write_bytes(b"")
        with self.assertRaisesRegex(SystemExit, "twin/checkpoint.pt is damaged: remove the folder"):
            self.teach()
        (self.out / "plan.json").write_text("{")
        with self.assertRaisesRegex(SystemExit, "plan.json is damaged"):
            self.teach()

    def test_a_full_disk_is_found_before_anything_is_written(self):
        with mock.patch.object(teach, "FREE", 1 << 60), self.assertRaisesRegex(SystemExit, "MiB are free on this disk"):
            self.teach()
        self.assertEqual([path.name for path in self.out.iterdir()], ["lock"])

    def test_a_disk_that_fills_up_leaves_the_checkpoint_before(self):
        import torch

        def half(state: dict, path: Path) -> None:
            path.write_bytes(b"half")
            raise RuntimeError("PytorchStreamWriter failed writing file")

        self.teach()
        kept = (self.out / "run/checkpoint.pt").read_bytes()
        with mock.patch.object(torch, "save", half), self.assertRaisesRegex(data.DataError, "checkpoint.pt: cannot be written.*disk full"):
            from fogline_recipe.runs import save

            save(self.out / "run/checkpoint.pt", {})
        self.assertEqual((self.out / "run/checkpoint.pt").read_bytes(), kept)
        self.assertFalse((self.out / "run/checkpoint.partial").exists())

    def test_what_cannot_be_taught_is_said_first(self):
        for options, why in ((["--size", "100"], "take 96 or 112"), (["--bits", "3"], "--bits 3"), (["--minutes", "0"], "--minutes"),
                             (["--edge-share", "1.5"], "--edge-share"), (["--weights", "nowhere"], "nowhere does not exist"),
                             (["--name", "../evil"], "--name '../evil'")):
            with self.assertRaisesRegex(SystemExit, why):
                self.teach(*options)
        self.assertFalse(self.out.exists())


if __name__ == "__main__":
    unittest.main()
