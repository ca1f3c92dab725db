"""Promises on logits whose right answer is known."""

import unittest

from fogline_recipe import answers, calibrate, promise
from fogline_recipe.calibrate import Target

from .test_calibrate import three_heads


def one_exit(count: int) -> answers.Answers:
    """The answers of an exit and a final head, with the exit's temperature set right."""
    heads, labels = three_heads(count)
    exit_, final = heads[0], heads[-1]
    return answers.answers([exit_ / answers.temperature(exit_, labels), final], labels, "entropy")


class Promise(unittest.TestCase):
    def test_the_probability_of_few_wrong_answers_is_binomial(self):
        self.assertAlmostEqual(promise.tail(0, 149, 0.02), 0.98**149, places=12)
        self.assertAlmostEqual(promise.tail(1, 3, 0.5), 0.5, places=12)
        self.assertEqual((promise.tail(3, 3, 0.5), promise.tail(0, 0, 0.1)), (1.0, 1.0))
        few = promise.fewest(0.02, 0.95)
        self.assertLessEqual(promise.tail(0, few, 0.02), 0.05)
        self.assertGreater(promise.tail(0, few - 1, 0.02), 0.05)

    def test_it_is_kept_on_other_pictures(self):
        found = one_exit(8000)
        failed, refused, share = promise.broken(found, 0.05, 0.95, calibrating=2000, splits=100)
        self.assertLessEqual(failed, 5)
        self.assertEqual(refused, 0)
        # Not by sending everything to the cloud: about as many stay as the 1,600 pictures that test allow on the mean.
        error = {share: (~found.ended(answers.at_share(found, share / 100).cuts, found.right)).double().mean().item() for share in range(1, 100)}
        most = max(share for share in error if promise.tail(round(error[share] * 16 * share), 16 * share, 0.05) <= 0.05)
        self.assertAlmostEqual(share, most / 100, delta=0.06)

    def test_a_promise_without_confidence_is_broken_about_half_the_time(self):
        failed, _, _ = promise.broken(one_exit(8000), 0.05, 0.3, calibrating=2000, splits=60)
        self.assertGreater(failed, 15)

    def test_too_few_pictures_promise_nothing(self):
        heads, labels = three_heads(150)
        with self.assertRaisesRegex(SystemExit, r"of 'entropy' .* 149 pictures would have to end at the edge, and only 120"):
            calibrate.choose(heads, labels, "entropy", Target(max_exit_error=0.02))
        with self.assertRaisesRegex(SystemExit, r"of the 320 held-out pictures .* [0-9]+ of them wrongly"):
            calibrate.choose(*three_heads(400), "entropy", Target(max_exit_error=0.01))

    def test_it_is_a_target_like_the_others(self):
        heads, labels = three_heads(3000)
        exits, curves, report = calibrate.calibrate(heads, labels, Target(max_exit_error=0.1))
        for policy in answers.POLICIES:
            said = answers.answers([head / exit_["temperature"] for head, exit_ in zip(heads, exits, strict=False)] + heads[-1:], labels, policy)
            right = said.ended([answers.sign(policy) * exit_["thresholds"][policy] for exit_ in exits], said.right)
            self.assertLess((~right).double().mean(), 0.1)
            self.assertAlmostEqual(len(right) / 3000, sum(report["policies"][policy]["share"]), delta=0.002)
            self.assertIn(report["policies"][policy]["accuracy"], [point["accuracy"] for point in curves[policy]])
        for wrong in ({"max_exit_error": 0.0}, {"max_exit_error": 2.0}, {"max_exit_error": 0.1, "confidence": 1.0}):
            with self.assertRaisesRegex(ValueError, "--"):
                Target(**wrong)


if __name__ == "__main__":
    unittest.main()
