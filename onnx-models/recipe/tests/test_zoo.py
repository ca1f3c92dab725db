"""The files that the zoo's networks are compared by."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from fogline_recipe import golden

from .zoo import pair
from .zoo.__main__ import EXPECTED, cases

QONNX = "qonnx.custom_op.general"


class Zoo(unittest.TestCase):
    def test_the_list_is_whole_and_what_is_expected_is_in_it(self):
        every = cases("all")
        self.assertEqual((len(cases("examples")), len(cases("ordinary"))), (6, 2 * 59))
        self.assertEqual(len(set(every)), len(every))
        expected = [tuple(line.split()) for line in EXPECTED.read_text().splitlines()]
        self.assertLessEqual(set(expected), set(every))

    def test_a_split_behind_a_pool_is_packed_as_its_quantiser_says(self):
        random = np.random.default_rng(1)
        for quantiser, bits in (("BipolarQuant", 1), ("Quant", 4)):
            constants = {"scale": np.float32(0.5), "zero": np.float32(0), "bits": np.float32(bits)}
            inputs = ["x", "scale", "zero", "bits"][: 2 if bits == 1 else 4]
            attributes = {} if bits == 1 else {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
            nodes = [helper.make_node(quantiser, inputs, ["q"], domain=QONNX, **attributes),
                     helper.make_node("MaxPool", ["q"], ["split"], kernel_shape=[1, 1])]
            value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3, 4, 4]) for name in ("x", "split")]
            tensors = [numpy_helper.from_array(v, k) for k, v in constants.items()]
            model = ModelWrapper(helper.make_model(helper.make_graph(nodes, "g", value[:1], value[1:], tensors),
                                                   opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(QONNX, 1)]))
            levels = random.integers(-8, 8, (2, 3, 4, 4)) if bits == 4 else random.integers(0, 2, (2, 3, 4, 4)) * 2 - 1
            split = (levels * 0.5).astype(np.float32)
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "manifest.json").write_text(json.dumps({"split": {"bits": bits, "scale": 0.5}}))
                exits = {f"exit-{i}": random.normal(size=(2, 5)).astype(np.float32) for i in (1, 2)}
                np.savez(folder / "outputs.npz", rgb=np.zeros((2, 1, 1, 3), np.uint8), levels=pair.levels(model, split), split=split, **exits)
                pair.write_golden(folder)
                samples = json.loads((folder / "golden.json").read_text())["samples"]
                for wrong in ({"scale": 0.25}, {"signed": False}, {"bits": 2}) if bits == 4 else ({"scale": 0.25},):
                    (folder / "manifest.json").write_text(json.dumps({"split": {"bits": bits, "scale": 0.5, **wrong}}))
                    with self.assertRaisesRegex(ValueError, "the cloud reads other numbers"):
                        pair.write_golden(folder)
            for number, sample in enumerate(samples):
                self.assertEqual(sample["split"], golden.packed(model, "q", split[number]).hex())
                self.assertEqual(sample["exits"], [exits[f"exit-{i}"][number].tolist() for i in (1, 2)])


if __name__ == "__main__":
    unittest.main()
