"""The tree of pictures that gateway and page are tested with, and what is damaged or odd in a data set."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
import unittest
import unittest.mock
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from fogline_recipe import data, header

HERE = Path(__file__).resolve().parents[3] / "edge-wasm/tests/pictures"
EXPECTED = json.loads((HERE / "expected.json").read_text())
PHOTOGRAPHS = json.loads((HERE / "photographs.json").read_text())


class Tree(unittest.TestCase):
    def test_a_tree_of_pictures_is_read_as_gateway_and_page_read_it(self):
        left_out = Counter()
        found = list(data.pictures_below(HERE / "tree", left_out))
        self.assertEqual(data.said(left_out), EXPECTED["left_out"])
        self.assertEqual([path.relative_to(HERE / "tree").as_posix() for path in found], list(EXPECTED["pictures"]))
        for path, row in zip(found, EXPECTED["pictures"].values(), strict=True):
            with self.subTest(path=path):
                if row is None:
                    with self.assertRaises(header.PictureError):
                        data.as_the_edge_sees_it(path, 16)
                else:
                    row = bytes.fromhex(row)
                    pixels = data.as_the_edge_sees_it(path, len(row) // 3)
                    self.assertEqual(pixels[:, 3].T.tobytes().hex(), row.hex())

    def test_a_data_set_says_what_it_leaves_out(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            pictures = data.load(HERE, "tree", 16)
        self.assertEqual(pictures.names, ["cat", "dog", "odd"])
        self.assertEqual(len(pictures), sum(row is not None for row in EXPECTED["pictures"].values()))
        self.assertIn("left out: 1 .gif, 1 .heic", out.getvalue())
        self.assertIn("3 of 29 pictures cannot be read", out.getvalue())
        self.assertIn("cut.jpg: the picture is truncated", out.getvalue())
        self.assertIn("named.jpg: a picture in GIF", out.getvalue())


class Photographs(unittest.TestCase):
    def check(self, path, scaled):
        for size, digest in scaled.items():
            with self.subTest(path=path.name, size=size):
                pixels = data.as_the_edge_sees_it(path, int(size)).transpose(1, 2, 0)
                self.assertEqual(hashlib.sha256(pixels.tobytes()).hexdigest(), digest)

    def test_photographs_have_the_same_pixels_as_on_the_edge_at_every_size(self):
        for name, photograph in PHOTOGRAPHS["photographs"].items():
            self.check(HERE / "photographs" / name, photograph["scaled"])

    def test_a_large_photograph_has_the_same_pixels_too(self):
        large = PHOTOGRAPHS["enlarged"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "large.png"
            with Image.open(HERE / "photographs" / large["of"]) as picture:
                size = tuple(side * large["times"] for side in picture.size)
                picture.resize(size, Image.Resampling.NEAREST).save(path, compress_level=1)
            self.check(path, large["scaled"])


class Odd(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def test_an_empty_line_names_no_class(self):
        np.zeros((1, 3073), np.uint8).tofile(self.root / "test_batch.bin")
        names = self.root / "batches.meta.txt"
        names.write_text("cat\ndog\n\n")
        self.assertEqual(data.load(self.root, "test").names, ["cat", "dog"])
        for text, why in (("cat\ncat\n", "need distinct names"), ("\n", "label 0 is out of range: there are 0 names")):
            names.write_text(text)
            with self.assertRaisesRegex(data.DataError, why):
                data.load(self.root, "test")
        names.write_bytes(b"K\xe4tzchen\n")
        with self.assertRaisesRegex(data.DataError, "batches.meta.txt: not UTF-8"):
            data.load(self.root, "test")

    def test_a_class_has_one_name_of_its_own(self):
        for name in ("a", "b"):
            (self.root / "train" / name).mkdir(parents=True)
            Image.new("RGB", (4, 4)).save(self.root / "train" / name / "1.png")
        names = self.root / "classes.txt"
        for text, why in (("a\tcat\nb\t \n", "'b' must be"), ("a\tcat\nb\tcat\n", "same name"), ("a\tcat\na\tdog\nb\tfrog\n", "two lines name"),
                          ("a\tcat\n", "no name for the folder b")):
            names.write_text(text)
            with contextlib.redirect_stdout(io.StringIO()), self.assertRaisesRegex(data.DataError, why):
                data.load(self.root, "train", 4)
        names.write_text("\ufeffa\tcat\nb\tdog\n")
        self.assertEqual(data.load(self.root, "train", 4).names, ["cat", "dog"])

    def test_a_folder_that_cannot_be_listed_costs_itself_alone(self):
        (self.root / "deep").mkdir()
        Image.new("RGB", (4, 4)).save(self.root / "1.png")
        said, listed = io.StringIO(), os.scandir

        def scandir(folder):
            if Path(folder).name == "deep":
                raise PermissionError(13, "Permission denied")
            return listed(folder)

        with contextlib.redirect_stdout(said), unittest.mock.patch("os.scandir", scandir):
            self.assertEqual(list(data.pictures_below(self.root, Counter())), [self.root / "1.png"])
        self.assertIn("deep: Permission denied", said.getvalue())

    def test_a_pipe_is_no_picture(self):
        os.mkfifo(self.root / "cam.jpg")
        with self.assertRaisesRegex(header.PictureError, "not a regular file"):
            data.as_the_edge_sees_it(self.root / "cam.jpg", 16)

    def test_a_class_of_which_nothing_can_be_read_is_named(self):
        for name in ("a", "b"):
            (self.root / "train" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(self.root / "train/a/1.png")
        (self.root / "train/b/1.png").write_bytes(b"rubbish")
        with contextlib.redirect_stdout(io.StringIO()), self.assertRaisesRegex(data.DataError, "b: this class folder has no readable .jpg"):
            data.load(self.root, "train", 4)


if __name__ == "__main__":
    unittest.main()
