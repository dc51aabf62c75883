"""Rounding, and how tensors lie in memory."""

import unittest

import numpy as np

from bncheck_backend.module import descended
from bncheck_backend.tensor import CARRIER, Tensor, lay_out


def bits(values, dtype):
    return Tensor.rounded(np.array(values, dtype=np.float64), dtype).array.view(np.uint16)


class Rounding(unittest.TestCase):
    def test_every_half_number_survives_the_way_through_float64(self):
        patterns = np.arange(2**16, dtype=np.uint16)
        for dtype in ("f16", "bf16"):
            tensor = Tensor(dtype, patterns.view(CARRIER[dtype]))
            numbers = ~np.isnan(tensor.values())
            again = Tensor.rounded(tensor.values(), dtype).array.view(np.uint16)
            np.testing.assert_array_equal(again[numbers], patterns[numbers])
            self.assertTrue(np.isnan(Tensor(dtype, again.view(CARRIER[dtype])).values()[~numbers]).all())

    def test_a_tie_goes_to_even_and_what_is_just_off_it_does_not(self):
        low = np.array([0x3C00, 0x3C01, 0x0001, 0x0400, 0x3F80, 0x5555], dtype=np.uint16)
        for dtype in ("f16", "bf16"):
            below, above = (Tensor(dtype, one.view(CARRIER[dtype])).values() for one in (low, low + np.uint16(1)))
            tie = (below + above) / 2
            np.testing.assert_array_equal(bits(tie, dtype), low + (low & 1))
            np.testing.assert_array_equal(bits(np.nextafter(tie, np.inf), dtype), low + 1)
            np.testing.assert_array_equal(bits(np.nextafter(tie, -np.inf), dtype), low)
            np.testing.assert_array_equal(bits(-np.nextafter(tie, np.inf), dtype), (low + 1) | 0x8000)

    def test_what_is_too_large_becomes_infinite_at_the_half_way_point(self):
        np.testing.assert_array_equal(bits([65519.999, 65520.0], "f16"), [0x7BFF, 0x7C00])
        np.testing.assert_array_equal(bits([1e300, -np.inf, np.nan], "bf16")[:2], [0x7F80, 0xFF80])

    def test_descent_is_rounded_once(self):
        # 1 + 2^-24 is a tie in float32; what the product has beyond it decides, and is lost where it is rounded alone.
        p, g = Tensor.full((1,), 1.0, "f32"), Tensor.full((1,), -(2.0**-24) * (1 + 2.0**-20), "f32")
        self.assertEqual(descended(p, g, 1.0).values()[0], 1 + 2.0**-23)
        # (1 + 2^-30)² - 1 in float64: the last of three terms is below the last bit of the square.
        p, g = Tensor.full((1,), -1.0, "f64"), Tensor.full((1,), -(1 + 2.0**-30), "f64")
        self.assertEqual(descended(p, g, 1 + 2.0**-30).values()[0], 2.0**-29 + 2.0**-60)


class Layouts(unittest.TestCase):
    def test_the_elements_are_the_same_and_lie_as_asked(self):
        array = np.arange(24.0).reshape(2, 3, 4, 1)
        strides = {"contiguous": (12, 4, 1, 1), "channels_last": (12, 1, 3, 3), "permuted": (1, 2, 6, 24), "sliced": (90, 18, 3, 1)}
        for layout, expected in strides.items():
            laid = lay_out(array, layout)
            np.testing.assert_array_equal(laid, array)
            steps = [stride // 8 for size, stride in zip(array.shape, laid.strides) if size > 1]
            self.assertEqual(steps, list(expected[:3]), layout)
        self.assertTrue(np.isnan(lay_out(array, "sliced").base).any())

    def test_one_sample_stands_for_all(self):
        laid = lay_out(np.ones((3, 2)), "expanded")
        self.assertEqual((laid.shape, laid.strides[0]), ((3, 2), 0))


if __name__ == "__main__":
    unittest.main()
