"""What is said of a folder of pictures, and which of them are used."""

import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
from PIL import Image

from fogline_recipe import data
from fogline_recipe.look import lay_out, look
from fogline_recipe.net import Hybrid
from fogline_recipe.quant import LayoutError
from fogline_recipe.teach import layout


def picture(path: Path, seed: int, size: tuple[int, int] = (60, 80), quality: int = 90) -> None:
    random = np.random.default_rng(seed)
    pixels = Image.fromarray(random.integers(0, 256, (6, 5, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels.save(path, quality=quality)


class Folders(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name) / "pictures"
        self.root.mkdir()

    def fill(self, base: str = ".", count: int = 20, first: int = 0, classes: tuple[str, ...] = ("cat", "dog")) -> None:
        for place, name in enumerate(classes):
            for i in range(count):
                picture(self.root / base / name / f"{i:03}.jpg", first + 1000 * place + i)

    def refused(self, why: str) -> None:
        with self.assertRaisesRegex(data.DataError, why):
            look(self.root, 64)

    def test_a_folder_without_a_split_is_split_by_content(self):
        self.fill(count=40)
        found = look(self.root, 64)
        parts = {p.path.name if p.label else "c" + p.path.name: p.part for p in found.pictures}
        self.assertEqual(sum(found.counts["train"]) + sum(found.counts["test"]), 80)
        self.assertTrue(all(2 <= n <= 16 for n in found.counts["test"]), found.counts)
        picture(self.root / "cat" / "new.jpg", 77)
        again = {p.path.name if p.label else "c" + p.path.name: p.part for p in look(self.root, 64).pictures}
        again.pop("cnew.jpg")
        self.assertEqual(parts, again)
        self.assertIn("pictures were set aside", str(found))

    def test_a_split_is_kept_and_copies_are_left_out(self):
        self.fill("train")
        self.fill("test", count=4, first=500)
        train, test = self.root / "train", self.root / "test"
        shutil.copy(train / "cat/000.jpg", train / "cat/again.jpg")  # in the same class
        picture(test / "dog/leaked.jpg", 1001, quality=60)  # another file of the same picture, in both parts
        shutil.copy(train / "cat/002.jpg", train / "dog/wrong.jpg")  # in two classes
        whole = (train / "dog/003.jpg").read_bytes()
        (train / "dog/003.jpg").write_bytes(whole[:len(whole) // 2])
        os.mkfifo(train / "dog/camera.jpg")
        (train / "dog/notes.txt").write_text("not a picture")
        found = look(self.root, 64)
        self.assertEqual(found.counts, {"train": [19, 19], "test": [4, 4]})
        said = str(found)
        for each in ("left out: 1 .txt", "2 files that cannot be read", "dog/camera.jpg: not a regular file",
                     "dog/003.jpg: the picture is truncated", "1 copy in the same class",
                     "cat/again.jpg of ", "1 copy of training pictures", "test/dog/leaked.jpg of ", "1 picture in two classes", "dog/wrong.jpg"):
            self.assertIn(each, said)
        self.assertEqual(json.loads(json.dumps(found.to_dict()))["pictures"]["train"], [19, 19])

    def test_pictures_of_one_scene_are_no_copies(self):
        random = np.random.default_rng(1)
        scene = np.asarray(Image.fromarray(random.integers(0, 256, (6, 5, 3), dtype=np.uint8)).resize((160, 160), Image.Resampling.BICUBIC))
        for place, name in enumerate(("empty", "person")):
            for i in range(20):
                frame = np.clip(scene.astype(int) + random.integers(-6, 7, scene.shape), 0, 255).astype(np.uint8)
                x, y = random.integers(0, 140, 2)
                frame[y:y + 20, x:x + 20] = (200 * place, 255 - 10 * i, 12 * i)
                (self.root / name).mkdir(exist_ok=True)
                Image.fromarray(frame).save(self.root / name / f"{i:03}.jpg", quality=90)
        found = look(self.root, 64)
        self.assertEqual(sum(found.counts["train"]) + sum(found.counts["test"]), 40, str(found))

    def test_of_two_sizes_of_a_picture_the_larger_stays(self):
        self.fill(count=20)
        with Image.open(self.root / "cat/007.jpg") as small:
            small.resize((120, 160), Image.Resampling.BICUBIC).save(self.root / "cat/large.jpg", quality=95)
        kept = {picture.path.name for picture in look(self.root, 64).pictures if picture.folder.name == "cat"}
        self.assertIn("large.jpg", kept)
        self.assertNotIn("007.jpg", kept)

    def test_what_is_not_used_is_named(self):
        self.fill("train")
        self.fill("test", count=4, first=500)
        (self.root / "val").mkdir()
        picture(self.root / "loose.jpg", 5)
        self.assertIn("not used, 2 entries", str(look(self.root, 64)))

    def test_what_is_laid_out_is_what_is_used_and_nothing_is_copied(self):
        self.fill("train")
        self.fill("test", count=4, first=500)
        picture(self.root / "train/cat/below/000.jpg", 4242)
        (self.root / "classes.txt").write_text("cat\tA cat\ndog\tA dog\n")
        out = self.root.parent / "out"
        for _ in range(2):
            lay_out(look(self.root, 64), out)
        links = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg"))
        self.assertEqual(len(links), 49)
        self.assertIn("train/cat/below/000.jpg", links)
        self.assertTrue(all((out / link).is_symlink() and (out / link).is_file() for link in links))
        pictures = data.load(out, "train", 16)
        self.assertEqual((len(pictures), pictures.names), (41, ["A cat", "A dog"]))

    def test_sizes_shapes_and_numbers_are_worth_a_word(self):
        self.fill("train")
        self.fill("train", count=50, classes=("cat",))
        self.fill("test", count=2, first=500)
        picture(self.root / "train/dog/tall.jpg", 9, (70, 300))
        said = str(look(self.root, 64))
        for each in ("few training pictures: dog (21)", "unbalanced: 50 pictures of cat, 21 of dog", "74 pictures smaller than 64 pixels",
                     "... and ", "1 picture more than twice as long as wide"):
            self.assertIn(each, said)

    def test_a_folder_that_teaches_nothing_is_refused(self):
        self.refused("no class folders; put the pictures of each class into a folder of its own")
        self.fill(count=20, classes=("cat",))
        self.refused("one class folder, cat; put")
        (self.root / "dog").mkdir()
        self.refused("dog: this class folder has no .jpg")
        (self.root / "dog" / "a.HEIC").write_bytes(b"")
        self.refused(r"no .jpg, .jpeg, .png or .webp \(left out: 1 .heic\): convert them to JPEG")
        self.fill(count=3, first=5000, classes=("dog",))
        self.refused("needs at least 8 usable training pictures, but dog has 2")
        shutil.rmtree(self.root)
        self.refused("does not exist")

    def test_parts_that_do_not_belong_together_are_refused(self):
        self.fill("test", count=2)
        self.refused("has a folder test, but no folder train beside it")
        self.fill("train", first=300, classes=("cat", "dog", "hen"))
        self.refused("test lacks the class folders hen, which train has")
        picture(self.root / "test/hen/000.jpg", 2300)  # a copy of the training picture, and the only one
        self.refused("at least one usable test picture, but hen has 0\\n- left out of test, 1 copy")


    def test_class_folders_that_would_be_confused_are_refused(self):
        self.fill(classes=("cat", "Cat"))
        self.refused("Cat and cat|cat and Cat.* differ in case only")
        shutil.rmtree(self.root / "Cat")
        self.fill(classes=("Test",))
        self.refused("Test: rename it to test")
        (self.root / "Test").rename(self.root / "a\nb")
        self.refused("rename the class folder")


class Sizes(unittest.TestCase):
    def test_every_size_that_is_offered_makes_a_network_with_a_small_map(self):
        for size in (32, 48, 64, 80, 96, 112, 128, 144, 160, 192, 224):
            for bits in (1, 4):
                of = layout(size, bits, 3)
                _, side, _ = Hybrid(of).edge.split_shape
                self.assertTrue(4 <= side <= 12, f"{size}: {side}")
                self.assertLessEqual(of.split * side * side * bits / 8, 2304)

    def test_other_sizes_are_refused_with_the_next_ones(self):
        for size, why in ((31, "from 32 to 224"), (240, "from 32 to 224"), (100, "take 96 or 112"), (200, "take 192 or 224")):
            with self.assertRaisesRegex(LayoutError, why):
                layout(size, 1, 3)
        with self.assertRaisesRegex(LayoutError, "--bits 3"):
            layout(128, 3, 3)


if __name__ == "__main__":
    unittest.main()
