"""Every layout that data.load reads, and what it refuses."""

import pickle
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fogline_recipe import data


def some_pictures(count: int, classes: int) -> data.Pictures:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return data.Pictures(images, torch.arange(count) % classes, [f"class-{i}" for i in range(classes)])


class Layouts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def same(self, read: data.Pictures, written: data.Pictures):
        self.assertEqual(read.names, written.names)
        self.assertTrue(torch.equal(read.labels, written.labels))
        self.assertTrue(torch.equal(read.images, written.images))

    def test_binary_of_ten_and_of_a_hundred_classes(self):
        for classes in (10, 100):
            written = some_pictures(200, classes)
            data.write_binary(written, self.root / str(classes))
            self.same(data.load(self.root / str(classes), "test"), written)

    def test_python_pickles(self):
        written = some_pictures(20, 10)
        for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
            batch = {"data": written.images.reshape(20, -1).numpy(), "labels": written.labels.tolist()}
            (self.root / name).write_bytes(pickle.dumps(batch))
        (self.root / "batches.meta").write_bytes(pickle.dumps({"label_names": written.names}))
        self.same(data.load(self.root, "test"), written)
        self.assertEqual(len(data.load(self.root, "train")), 100)

    def test_a_pickle_that_would_run_code_is_refused(self):
        class Hostile:
            def __reduce__(self):
                return (Path.touch, (Path("never"),))

        (self.root / "batches.meta").write_bytes(pickle.dumps(Hostile()))
        with self.assertRaisesRegex(pickle.UnpicklingError, "which a CIFAR batch never does"):
            data.load(self.root, "test")

    def test_folders_of_classes(self):
        for name in ("b", "a"):
            (self.root / "train" / name).mkdir(parents=True)
            Image.fromarray(np.full((40, 60, 3), ord(name), np.uint8)).save(self.root / "train" / name / "1.png")
        read = data.load(self.root, "train")
        self.assertEqual((read.names, read.labels.tolist()), (["a", "b"], [0, 1]))
        self.assertEqual(read.images[1].unique().tolist(), [ord("b")])

    def test_a_dataset_may_say_what_its_folders_hold(self):
        for name in ("n2", "n1"):
            (self.root / "train" / name).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(self.root / "train" / name / "1.png")
        said = self.root / "classes.txt"
        said.write_text("n1\tAmerican alligator\nn2\tgoldfish\nn3\tin no folder\n")
        read = data.load(self.root, "train")
        self.assertEqual(read.names, ["American alligator", "goldfish"])
        data.write_binary(data.Pictures(read.images, read.labels, read.names), self.root / "binary")
        self.assertEqual(data.load(self.root / "binary", "test").names, read.names)
        for text, why in (("n1\ta\n", "no name for the folder n2"), ("n1 a\n", "must be a line FOLDER, a tab and NAME"),
                          ("n1\ta\nn2\ta\n", "two folders have the same name")):
            said.write_text(text)
            with self.assertRaisesRegex(data.DataError, why):
                data.load(self.root, "train")

    def test_what_is_no_dataset_says_what_was_looked_for(self):
        with self.assertRaisesRegex(data.DataError, "batches.meta.*train/CLASS"):
            data.load(self.root, "train")
        (self.root / "test_batch.bin").write_bytes(b"short")
        (self.root / "batches.meta.txt").write_text("a\n")
        with self.assertRaisesRegex(data.DataError, "not a whole number of records"):
            data.load(self.root, "test")


class Samples(unittest.TestCase):
    def test_every_nth_of_each_class_is_held_out(self):
        rest, held = data.hold_out(some_pictures(400, 10), 20)
        self.assertEqual((len(rest), len(held)), (380, 20))
        self.assertEqual(held.labels.bincount().tolist(), [2] * 10)


if __name__ == "__main__":
    unittest.main()
