"""Records what torch.nn.BatchNorm{1,2,3}d itself answers to bncheck's cases.

Reads the cases that `bncheck export` prints (JSON lines on standard input), takes a real module of the installed
PyTorch through the steps of each, once in float64 and once in the case's own dtypes, and prints the answers as JSON
lines, after one line that says with what they were made. `bncheck audit` compares them with bncheck's own semantics.

Tensors are bits: the hexadecimal text of their little-endian bytes.
"""

import argparse
import datetime
import json
import platform
import re
import sys

import numpy as np
import torch
from torch import nn

TORCH = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64}
NAMES = {dtype: name for name, dtype in TORCH.items()}
# Types of the same width that numpy has, to carry bits.
CARRIER = {"f16": np.int16, "bf16": np.int16, "f32": np.int32, "f64": np.int64, "i64": np.int64}
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}

ERRORS = [
    ("Expected more than 1 value per channel", "one_value_per_channel"),
    ("eps must be positive", "eps_not_positive"),
    (r"expected .*D.* input", "wrong_rank"),
    (r"should contain \d+ elements", "wrong_features"),
    (r"select\(\): index 0 out of range", "no_channels"),
    (r"scalar type|mixed dtype|same dtype", "dtype_mismatch"),
    ("does not require grad", "no_graph"),
]


class NoGraph(Exception):
    """There is no output to go back from."""


def error_class(error):
    if isinstance(error, NoGraph):
        return "no_graph"
    for pattern, name in ERRORS:
        if re.search(pattern, str(error)):
            return name
    return "other"


def decode(tensor, dtype=None):
    """A tensor from its bits; where `dtype` is given, widened or rounded to it afterwards."""
    bits = np.frombuffer(bytes.fromhex(tensor["hex"]), dtype=CARRIER[tensor["dtype"]])
    exact = torch.from_numpy(bits.copy()).view(TORCH[tensor["dtype"]]).reshape(tensor["shape"])
    return exact if dtype is None else exact.to(dtype)


def encode(tensor):
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.int64:
        return {"dtype": "i64", "shape": list(tensor.shape), "hex": tensor.numpy().tobytes().hex()}
    bits = tensor.view(BITS[tensor.element_size()])
    return {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "hex": bits.numpy().tobytes().hex()}


class Run:
    """One module on its way through the steps of a case."""

    def __init__(self, layer, double):
        own = lambda name: torch.float64 if double else TORCH[name]
        self.input_dtype = own(layer["input_dtype"])
        dtype = own(layer["dtype"])
        kind = getattr(nn, layer["kind"])
        self.module = kind(
            layer["features"],
            eps=layer["eps"],
            momentum=layer["momentum"],
            affine=layer["affine"],
            track_running_stats=layer["track_running_stats"],
            dtype=dtype,
        )
        with torch.no_grad():
            for name in ("weight", "bias", "running_mean", "running_var"):
                if layer[name] is not None:
                    getattr(self.module, name).copy_(decode(layer[name], dtype))
            if layer["num_batches_tracked"] is not None and layer["track_running_stats"]:
                self.module.num_batches_tracked.fill_(layer["num_batches_tracked"])
        self.x = self.y = None

    def step(self, step):
        """Takes one step; gives the tensors that are its own."""
        what = step["do"]
        if what == "train":
            self.module.train()
        elif what == "eval":
            self.module.eval()
        elif what == "zero_grad":
            self.module.zero_grad()
        elif what == "reset_running_stats":
            self.module.reset_running_stats()
        elif what == "set":
            for name, value in step["attributes"].items():
                setattr(self.module, name, value)
        elif what == "sgd":
            parameters = list(self.module.parameters())
            if parameters:
                torch.optim.SGD(parameters, lr=step["lr"]).step()
        elif what == "forward":
            self.x = self.y = None
            x = decode(step["input"], self.input_dtype).requires_grad_()
            if step["no_grad"]:
                with torch.no_grad():
                    self.y = self.module(x)
            else:
                self.y = self.module(x)
            self.x = x
            return {"output": self.y}
        elif what == "backward":
            if self.y is None:
                raise NoGraph
            self.y.backward(decode(step["grad_output"], self.input_dtype), retain_graph=True)
            given = {"grad_input": self.x.grad}
            for name in ("weight", "bias"):
                parameter = getattr(self.module, name)
                if parameter is not None:
                    given["grad_" + name] = parameter.grad
            return given
        else:
            raise ValueError(f"this recorder does not know the step {what}")
        return {}

    def observe(self, given):
        for name in ("running_mean", "running_var", "num_batches_tracked", "weight", "bias"):
            tensor = getattr(self.module, name)
            if tensor is not None:
                given[name] = tensor
        return {name: encode(tensor) for name, tensor in given.items()}


def answer(case, double):
    """The answers to the new layer and to every step."""
    run = Run(case["layer"], double)
    answers = [{"error": None, "tensors": run.observe({})}]
    for step in case["steps"]:
        error, given = None, {}
        try:
            given = run.step(step)
        except (RuntimeError, ValueError, IndexError, NoGraph) as raised:
            error = {"class": error_class(raised), "message": str(raised).splitlines()[0] if str(raised) else ""}
        answers.append({"error": error, "tensors": run.observe(given)})
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--at-most", type=int, metavar="BYTES", help="leave out cases whose recorded line is longer than this"
    )
    at_most = parser.parse_args().at_most
    torch.set_num_threads(1)
    made_with = {
        "recording": 1,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "made": datetime.date.today().isoformat(),
        "command": " ".join(["bncheck export | python3", "harness/audit/record.py", *sys.argv[1:]]),
    }
    print(json.dumps(made_with))
    for line in sys.stdin:
        case = json.loads(line)
        recorded = {"case": case["case"], "float64": answer(case, True), "own": answer(case, False)}
        text = json.dumps(recorded, separators=(",", ":"))
        if at_most is None or len(text) <= at_most:
            print(text)


if __name__ == "__main__":
    main()
