"""Frames, against the examples of docs/protocol.md and against what must be refused."""

import io
import json
import pathlib
import struct
import sys
import unittest

import numpy as np

from bncheck_backend import frames
from bncheck_backend.serve import hello, serve_on
from bncheck_backend.tensor import CARRIER, Tensor

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parents[2] / "docs" / "protocol"
sys.path.insert(0, str(HERE.parent / "examples"))

from numpy_bn import NumpyBatchNorm  # noqa: E402


def example(name):
    """A frame without its length, and what is to be read in it."""
    frame = (EXAMPLES / f"{name}.bin").read_bytes()
    return frame, json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def bits(tensor):
    size = CARRIER[tensor.dtype].itemsize
    return [f"0x{int.from_bytes(one.tobytes(), 'little'):0{2 * size}x}" for one in tensor.array.reshape(-1)]


def from_bits(told):
    dtype = frames.TYPES[told["dtype"]]
    size = CARRIER[dtype].itemsize
    data = b"".join(int(one, 16).to_bytes(size, "little") for one in told["bits"])
    return Tensor(dtype, np.frombuffer(data, dtype=CARRIER[dtype]).reshape(told["shape"]))


class Examples(unittest.TestCase):
    def test_every_example_is_read_as_it_says(self):
        for name in ("hello", "absent", "request", "answer", "unsupported", "error"):
            frame, told = example(name)
            message, tensors = frames.unpack(frame[4:])
            self.assertEqual(message, told["message"], name)
            seen = [
                {"name": key, "dtype": frames.NAMES[one.dtype], "shape": list(one.shape), "bits": bits(one)}
                for key, one in tensors.items()
            ]
            self.assertEqual(seen, told["tensors"], name)

    def test_what_a_worker_says_is_written_as_the_same_bytes(self):
        for name in ("hello", "absent", "answer", "unsupported", "error"):
            frame, told = example(name)
            tensors = [(one["name"], from_bits(one)) for one in told["tensors"]]
            message, _ = frames.unpack(frame[4:])
            self.assertEqual(frames.pack(message, tensors), frame, name)

    def test_the_numpy_backend_answers_the_example_bit_for_bit(self):
        request, _ = example("request")
        output = io.BytesIO()
        serve_on(NumpyBatchNorm(), io.BytesIO(request), output)
        output.seek(0)
        greeting, _ = frames.unpack(frames.read(output))
        self.assertEqual(greeting["hello"]["name"], "numpy")
        message, tensors = frames.unpack(frames.read(output))
        # How long it took is nobody's to foresee.
        nanos = message["answer"].pop("nanos")
        self.assertEqual(len(nanos), len(message["answer"]["steps"]))
        self.assertEqual(frames.pack(message, tensors.items()), example("answer")[0])


class Greetings(unittest.TestCase):
    def test_one_that_is_absent_says_why(self):
        class Absent(NumpyBatchNorm):
            absent = "it is not installed: pip install it"

        self.assertEqual(hello(Absent())["absent"], "it is not installed: pip install it")
        self.assertNotIn("absent", hello(NumpyBatchNorm()))


class Refused(unittest.TestCase):
    def refused(self, header, data=b"", text="{}"):
        header = {"__metadata__": {"bncheck": text}, **header}
        header = json.dumps(header).encode()
        with self.assertRaises(frames.FrameError) as refused:
            frames.unpack(struct.pack("<Q", len(header)) + header + data)
        return str(refused.exception)

    def test_offsets_that_overlap_leave_gaps_or_go_beyond_the_end(self):
        def one(begin, end):
            return {"dtype": "F16", "shape": [1], "data_offsets": [begin, end]}

        for a, b in [((0, 2), (1, 3)), ((0, 2), (4, 6)), ((2, 4), (4, 6)), ((0, 2), (2, 8)), ((2, 0), (2, 4))]:
            self.assertIn("the bytes of tensor", self.refused({"a": one(*a), "b": one(*b)}, bytes(6)))
        self.assertIn("left over", self.refused({"a": one(0, 2)}, bytes(3)))

    def test_bytes_that_do_not_fit_the_shape(self):
        tensor = {"dtype": "F16", "shape": [2], "data_offsets": [0, 2]}
        self.assertIn("are no f16 tensor of shape [2]", self.refused({"a": tensor}, bytes(2)))

    def test_a_key_that_stands_there_twice(self):
        self.assertIn("twice", self.refused({}, text='{"a": 1, "a": 2}'))

    def test_a_frame_that_ends_early(self):
        frame, _ = example("request")
        for end in (1, 4, 40, len(frame) - 1):
            with self.assertRaises(frames.FrameError):
                frames.read(io.BytesIO(frame[:end]))
        self.assertIsNone(frames.read(io.BytesIO(b"")))


if __name__ == "__main__":
    unittest.main()
