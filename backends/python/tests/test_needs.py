"""What is said of a library that is not there, of what a backend cannot see, and of what it has no words for."""

import os
import subprocess
import sys
import unittest

import numpy as np

from bncheck_backend import Kernel, Tensor, Unsupported, frames
from bncheck_backend.needs import Absent, why
from bncheck_backend.serve import answer, hello

PROGRAM = """
from bncheck_backend import needs
needs("no_such_library", backend="mine", install="pip install it")
print("not reached")
"""


def greeting(**environment):
    """What a program whose library is missing greets with."""
    given = {name: value for name, value in os.environ.items() if name != "BNCHECK_ABSENT"}
    given.update(environment, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    ended = subprocess.run([sys.executable, "-c", PROGRAM], input=b"", capture_output=True, env=given, check=True)
    message, _ = frames.unpack(ended.stdout[4:])
    return message["hello"]


class Missing(unittest.TestCase):
    def test_a_program_without_its_library_greets_with_the_reason_and_what_helps(self):
        said = greeting()
        self.assertEqual(said["name"], "mine")
        self.assertEqual(said["absent"], "no_such_library is not installed: pip install it")

    def test_or_greets_as_any_other_and_answers_nothing_where_the_run_is_to_go_on(self):
        self.assertNotIn("absent", greeting(BNCHECK_ABSENT="1"))
        absent = Absent("mine", "it is not installed", goes_on=True)
        self.assertNotIn("absent", hello(absent))
        self.assertEqual(absent.unsupported({"steps": []}), "it is not installed")

    def test_a_library_that_breaks_on_import_is_not_said_to_be_missing(self):
        inner = ModuleNotFoundError("No module named 'sympy'", name="sympy")
        self.assertEqual(why("torch", inner, "pip install torch"), "torch cannot be imported: No module named 'sympy'")
        broken = ImportError("libcudnn.so.9: cannot open shared object file:\n no such file")
        self.assertIn("libcudnn.so.9: cannot open shared object file: no such file", why("torch", broken, "-"))


class Forward(Kernel):
    """Knows no gradients, and no input of three rows."""

    name = "forward"
    unobservable = {name: "there are no gradients" for name in ("grad_input", "grad_weight", "grad_bias")}

    def forward(self, call):
        if call.input.shape[0] == 3:
            raise Unsupported("three rows are too many")
        return call.input.values(), None


def asked(rows):
    """A forward and a backward of a layer without anything."""
    tensors = {"x": Tensor("f64", np.ones((rows, 2))), "g": Tensor("f64", np.ones((rows, 2)))}
    layer = dict.fromkeys(("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))
    layer |= {"path": "", "kind": "BatchNorm1d", "features": 2, "eps": 1e-5, "momentum": 0.1, "affine": True}
    layer |= {"track_running_stats": False, "dtype": "f64", "statistics_dtype": "f64"}
    given = {"tensor": "x", "dtype": "f64", "layout": "contiguous", "requires_grad": True}
    steps = [{"forward": {"at": "", "input": given, "no_grad": False}}, {"backward": {"grad": "g", "layout": "contiguous"}}]
    return {"layers": [layer], "steps": steps}, tensors


class WithoutGradients(unittest.TestCase):
    def test_a_backward_asks_nothing_of_a_kernel_whose_gradients_cannot_be_seen(self):
        steps, _, named = answer(Forward(), *asked(2))
        self.assertEqual(steps, [{}, {}, {}])
        names = [name for name, _ in named]
        self.assertIn("1/output", names)
        self.assertFalse([name for name in names if "grad" in name])

    def test_what_a_kernel_has_no_words_for_is_no_answer(self):
        with self.assertRaisesRegex(Unsupported, "three rows"):
            answer(Forward(), *asked(3))


if __name__ == "__main__":
    unittest.main()
