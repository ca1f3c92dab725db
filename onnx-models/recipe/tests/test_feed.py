"""What a network trains on: every picture, shifted, mirrored and hidden as it should be, and the same after a resume."""

import random
import unittest
from dataclasses import replace

import torch

from fogline_recipe import data
from fogline_recipe.feed import Feed, augment, cropped, cutmix, jittered, padded
from fogline_recipe.runs import Schedule

PLAIN = Schedule(batch=8, shift=0, hole=0)
CPU = torch.device("cpu")


def some_pictures(count: int = 20) -> data.Pictures:
    """Each is of bytes of its own."""
    images = torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return data.Pictures(images, torch.arange(count) % 2, ["a", "b"])


class Epochs(unittest.TestCase):
    def test_batches_are_of_one_size_and_no_picture_comes_twice(self):
        pictures = some_pictures()
        batches = list(Feed(pictures, PLAIN, CPU).epoch(0))
        self.assertEqual([len(images) for images, _ in batches], [8, 8])
        known = {bytes(data.normalise(each).numpy()): label for image, label in zip(pictures.images, pictures.labels, strict=True)
                 for each in (image, image.flip(2))}
        seen = [(bytes(image.contiguous().numpy()), target) for images, targets in batches for image, target in zip(images, targets, strict=True)]
        self.assertEqual(len({image for image, _ in seen}), 16)
        for image, target in seen:
            self.assertEqual(target.argmax(), known[image])

    def test_every_second_epoch_mirrors_the_others(self):
        pictures, feed = some_pictures(8), Feed(some_pictures(8), PLAIN, CPU)
        as_they_are = [{bytes(image.contiguous().numpy()) for images, _ in feed.epoch(number) for image in images} for number in range(3)]
        whole = {bytes(data.normalise(image).numpy()) for image in pictures.images}
        first, second, third = (each & whole for each in as_they_are)
        self.assertEqual((first, first | second), (third, whole))
        self.assertFalse(first & second)

    def test_a_small_data_set_is_one_batch(self):
        feed = Feed(some_pictures(5), PLAIN, CPU)
        self.assertEqual([len(images) for images, _ in feed.epoch(0)], [5])

    def test_an_epoch_is_the_same_for_who_starts_with_it(self):
        schedule = replace(PLAIN, shift=2, hole=4, cutmix=0.5)
        feed = Feed(some_pictures(), schedule, CPU)
        list(feed.epoch(0))
        for one, other in zip(feed.epoch(1), Feed(some_pictures(), schedule, CPU).epoch(1), strict=True):
            self.assertTrue(torch.equal(one[0], other[0]) and torch.equal(one[1], other[1]))


class Pictures(unittest.TestCase):
    def test_augmentation_moves_mirrors_and_hides(self):
        images = some_pictures(8).images
        still, chances = torch.zeros(8, dtype=torch.bool), torch.Generator().manual_seed(0)
        self.assertTrue(torch.equal(augment(images, still, chances, 0, 0), images))
        self.assertTrue(torch.equal(augment(images, ~still, chances, 0, 0), images.flip(3)))
        hidden = (augment(images, still, chances, 0, 8) != images).any(1).flatten(1).sum(1)
        self.assertTrue(0 < hidden.max() <= 64)
        self.assertTrue(torch.equal(padded(images, 2), torch.nn.functional.pad(images.float(), (2,) * 4, mode="reflect").byte()))
        moved = augment(padded(images, 2), still, chances, 2, 0)
        for before, after in zip(padded(images, 2), moved, strict=True):
            self.assertEqual(sum(torch.equal(before[:, y:y + 16, x:x + 16], after) for y in range(5) for x in range(5)), 1)

    def test_a_crop_is_a_window_of_the_size_asked_for(self):
        side = torch.linspace(0, 255, 80)
        picture = torch.stack([side.expand(80, 80), side.view(80, 1).expand(80, 80), torch.full((80, 80), 9.0)]).to(torch.uint8)
        mirrored = torch.arange(200) % 2 == 1
        windows = cropped(picture.expand(200, 3, 80, 80), 64, mirrored, torch.Generator().manual_seed(2), 0.25)
        self.assertEqual(windows.shape, (200, 3, 64, 64))
        across, down = windows[:, 0, 30, -1] - windows[:, 0, 30, 0], windows[:, 1, -1, 30] - windows[:, 1, 0, 30]
        self.assertTrue(torch.equal(across < 0, mirrored))
        self.assertTrue((down > 0).all())
        area = (across.abs() * down / 4) * (64 / 63) ** 2  # the first and last pixels' centres lie half a pixel inside
        self.assertGreater(area.min(), 0.2)  # 0.25, less what a long window would have outside the picture
        self.assertLess(area.min(), 0.4)
        self.assertGreater(area.max(), 0.9)
        ratio = across.abs() / down
        self.assertTrue(0.7 < ratio.min() < 0.9 and 1.1 < ratio.max() < 1.4, f"{ratio.min()} to {ratio.max()}")

    def test_jitter_changes_colours_and_stays_in_range(self):
        images = data.normalise(some_pictures().images)
        changed = jittered(images, torch.Generator().manual_seed(1), 0.4)
        self.assertTrue(((changed >= -1) & (changed <= 1)).all())
        self.assertTrue((changed - images).abs().mean((1, 2, 3)).gt(0.005).all())
        self.assertTrue(torch.allclose(jittered(images, torch.Generator().manual_seed(1), 0.0), images, atol=1e-6))

    def test_views_repeat(self):
        feed = Feed(some_pictures(), replace(PLAIN, views=2, crop=0.5, jitter=0.2), CPU, 12)
        epochs = [[images for images, _ in feed.epoch(number)] for number in range(4)]
        self.assertEqual(epochs[0][0].shape, (8, 3, 12, 12))
        for first, again in ((0, 2), (1, 3)):
            for one, other in zip(epochs[first], epochs[again], strict=True):
                self.assertTrue(torch.equal(one, other))
        self.assertFalse(torch.equal(epochs[0][0], epochs[1][0]))

    def test_a_square_of_another_picture_takes_its_share_of_the_target(self):
        ones = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 16, 16)
        cuts, shares = random.Random(1), []
        for _ in range(200):
            images, targets = cutmix(ones.clone(), torch.eye(4), cuts)
            for own in range(4):
                other = (own - 1) % 4
                share = (images[own] == other).float().mean().item()
                self.assertAlmostEqual(targets[own, other].item(), share, places=5)
                self.assertAlmostEqual(targets[own, own].item(), 1 - share, places=5)
            shares.append(share)
        self.assertTrue(0.35 < sum(shares) / len(shares) < 0.6)


if __name__ == "__main__":
    unittest.main()
