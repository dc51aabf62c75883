"""What an answer says of how long a backend's own code took."""

import io
import unittest
from unittest import mock

import numpy as np

from bncheck_backend import Backend, Kernel, Layer, Tensor, computing, frames
from bncheck_backend.serve import serve_on

from test_needs import asked


class Hands:
    """A clock that goes on where it is told to."""

    now = 0


def takes(nanos):
    Hands.now += nanos


def answered(backend, steps=None):
    """The entries of an answer to a forward and a backward, or to other steps, and their times."""
    request, tensors = asked(2)
    request |= {"id": 1, "steps": steps or request["steps"]}
    frame = frames.pack({"request": request}, tensors.items())
    output = io.BytesIO()
    with mock.patch("bncheck_backend.clock.time.perf_counter_ns", lambda: Hands.now):
        serve_on(backend, io.BytesIO(frame), output)
    output.seek(0)
    frames.read(output)
    message, _ = frames.unpack(frames.read(output))
    return message["answer"]["steps"], message["answer"].get("nanos")


class Slow(Kernel):
    def forward(self, call):
        takes(5)
        return call.input.values(), None

    def backward(self, saved, grad_output, wanted):
        takes(7)
        return grad_output.values(), np.zeros(2), np.zeros(2)


class Measured(Slow):
    """Converts, computes, and converts again."""

    def forward(self, call):
        takes(100)
        with computing():
            takes(11)
        takes(100)
        with computing():
            takes(2)
        return call.input.values(), None


class SlowLayer(Layer):
    """A layer that takes its time everywhere."""

    def __init__(self):
        takes(1)

    def forward(self, x, requires_grad, no_grad):
        takes(20)
        return Tensor(x.dtype, 2 * x.array), True

    def backward(self, grad_output):
        takes(300)
        return grad_output

    def zero_grad(self):
        takes(4000)
        raise RuntimeError("it has none")

    def gradients(self):
        takes(50_000)
        return {"weight": None, "bias": None}

    def state(self):
        with computing():
            takes(600_000)
        return {}


class OfLayers(Backend):
    def create(self, config):
        return SlowLayer()

    def error_class(self, error):
        return "other"


class Times(unittest.TestCase):
    def test_of_a_kernel_its_own_calls_count_and_not_the_rules_around_them(self):
        train = {"train": {"at": ""}, "modes": [{"training": True, "weight": True, "bias": True}]}
        _, nanos = answered(Slow(), [train, *asked(2)[0]["steps"]])
        self.assertEqual(nanos, [0, 0, 5, 7])

    def test_where_parts_are_measured_nothing_else_of_the_step_counts(self):
        _, nanos = answered(Measured())
        self.assertEqual(nanos, [0, 13, 7])

    def test_of_a_layer_all_calls_count_but_those_that_read_it(self):
        _, nanos = answered(OfLayers())
        self.assertEqual(nanos, [1, 20, 300])

    def test_a_step_that_fails_is_timed_as_well(self):
        steps, nanos = answered(OfLayers(), [{"zero_grad": {"at": ""}}])
        self.assertEqual(steps[1]["error"]["class"], "other")
        self.assertEqual(nanos, [1, 4000])

    def test_what_has_no_layer_has_no_times(self):
        class Failing(OfLayers):
            def create(self, config):
                raise ValueError("there is none")

        steps, nanos = answered(Failing())
        self.assertTrue(all("error" in step for step in steps))
        self.assertIsNone(nanos)


if __name__ == "__main__":
    unittest.main()
