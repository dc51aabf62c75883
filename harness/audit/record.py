"""Records what torch.nn.BatchNorm{1,2,3}d itself answers to bncheck's cases.

Reads the cases that `bncheck export` prints (JSON lines on standard input), takes real modules of the installed
PyTorch through the steps of each, once in float64 and once in the case's own dtypes, and prints the answers as JSON
lines, after one line that says with what they were made. `bncheck audit` compares them with bncheck's own semantics.

A case with one layer is that module; one with several is a tree of nn.Sequential with the layers as its leaves.

Tensors are bits: the hexadecimal text of their little-endian bytes.
"""

import argparse
import copy
import datetime
import json
import platform
import re
import sys
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

TORCH = {
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f32": torch.float32,
    "f64": torch.float64,
    "i64": torch.int64,
}
NAMES = {dtype: name for name, dtype in TORCH.items()}
# Types of the same width that numpy has, to carry bits.
CARRIER = {"f16": np.int16, "bf16": np.int16, "f32": np.int32, "f64": np.int64, "i64": np.int64}
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
PARAMETERS = ("weight", "bias")
STATISTICS = ("running_mean", "running_var")
PARTS = {"parameters": PARAMETERS, "statistics": STATISTICS}

# The first that is found in the whole message counts. One message of load_state_dict lists all that is wrong.
ERRORS = [
    (r"Missing key\(s\) in state_dict", "missing_entry"),
    (r"Unexpected key\(s\) in state_dict", "unexpected_entry"),
    ("size mismatch for ", "entry_shape"),
    ("Expected more than 1 value per channel", "one_value_per_channel"),
    ("eps must be positive", "eps_not_positive"),
    (r"expected .*D.* input", "wrong_rank"),
    (r"should contain \d+ elements", "wrong_features"),
    (r"select\(\): index 0 out of range", "no_channels"),
    (r'scalar type|mixed dtype|same dtype|"batch_norm" not implemented for', "dtype_mismatch"),
    ("must either both be None or neither|must be defined in evaluation mode", "missing_buffer"),
    ("'NoneType' object has no attribute", "missing_buffer"),
    ("modified by an inplace operation", "graph_changed"),
    ("does not require grad", "no_graph"),
]


class NoGraph(Exception):
    """There is no output to go back from."""


# What a step may raise in PyTorch. Anything else is this recorder's own mistake, and ends it.
RAISED = (RuntimeError, ValueError, IndexError, AttributeError, TypeError, NotImplementedError, NoGraph)


def error_class(error):
    if isinstance(error, NoGraph):
        return "no_graph"
    for pattern, name in ERRORS:
        if re.search(pattern, str(error)):
            return name
    return "other"


def decode(tensor):
    """A tensor from its bits."""
    bits = np.frombuffer(bytes.fromhex(tensor["hex"]), dtype=CARRIER[tensor["dtype"]])
    return torch.from_numpy(bits.copy()).view(TORCH[tensor["dtype"]]).reshape(tensor["shape"])


def encode(tensor):
    tensor = tensor.detach().contiguous()
    bits = tensor.view(BITS[tensor.element_size()])
    return {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "hex": bits.numpy().tobytes().hex()}


def lay_out(x, layout):
    """The same elements, lying in memory as asked."""
    if layout == "contiguous":
        return x
    if layout == "channels_last":
        last = {4: torch.channels_last, 5: torch.channels_last_3d}[x.dim()]
        return x.contiguous(memory_format=last)
    if layout == "permuted":
        reverse = tuple(reversed(range(x.dim())))
        return x.permute(reverse).contiguous().permute(reverse)
    if layout == "sliced":
        # Whoever reads beside the window computes with NaN, and is seen.
        around = float("nan") if x.is_floating_point() else 0
        larger = torch.full([size + 2 for size in x.shape], around, dtype=x.dtype)
        window = larger[tuple(slice(1, 1 + size) for size in x.shape)]
        window.copy_(x)
        return window
    if layout == "expanded":
        return x[:1].expand(x.shape) if x.dim() > 0 and x.shape[0] > 0 else x
    raise KeyError(f"this recorder does not know the layout {layout}")


def batch_norms(part):
    return [module for module in part.modules() if isinstance(module, BATCH_NORMS)]


def has_plain_types(case):
    """Whether it is clear what the same case is in float64: the types are none of its points. f16 and bf16 beside
    layers of f32 are a choice that PyTorch allows, and mean the same in float64."""
    own = {layer[which] for layer in case["layers"] for which in ("dtype", "statistics_dtype")}
    if len(own) != 1 or any("cast" in step for step in case["steps"]):
        return False
    allowed = own | {"f16", "bf16"} if own == {"f32"} else own
    return all(step["forward"]["input"]["dtype"] in allowed for step in case["steps"] if "forward" in step)


def visit(part, reach, do):
    """The two ways in which people go over a model: `apply`, and a loop that misses what is nested deeper."""
    if reach == "all":
        part.apply(do)
    else:
        for _, child in part.named_children():
            do(child)


def freeze(part, statistics, affine, reach):
    """Freezes layers, once."""

    def frozen(module):
        if isinstance(module, BATCH_NORMS):
            if statistics:
                module.eval()
            if affine:
                require_grad(module, False)

    visit(part, reach, frozen)


def require_grad(layer, required, names=PARAMETERS):
    for name in names:
        if getattr(layer, name) is not None:
            getattr(layer, name).requires_grad = required


def override_train(part, freezes):
    """Gives one module a `train()` of its own that freezes again, as a subclass of it would have."""

    def train(mode=True):
        # While it runs, the inherited one is back: a layer that is frozen as its own part is asked for `eval()`, which
        # calls `train()`.
        del part.train
        part.train(mode)
        for each in freezes:
            freeze(part, **each)
        part.train = train
        return part

    part.train = train


class Run:
    """The modules of one case on their way through its steps."""

    def __init__(self, layers, double):
        self.double = double
        self.leaves = {layer["path"]: self.layer(layer) for layer in layers}
        if list(self.leaves) == [""]:
            self.model = self.leaves[""]
        else:
            self.model = nn.Sequential()
            for path, leaf in self.leaves.items():
                self.plant(path, leaf)
        for path, leaf in self.leaves.items():
            leaf.register_forward_hook(lambda _, inputs, output, path=path: self.has_run(path, *inputs, output))
        # How the parts whose train() is overridden freeze, by the path of the part.
        self.sticky = {}
        self.saved = {}
        # The output of the latest forward, and the layers that it ran with their inputs and outputs.
        self.y, self.ran = None, []

    def dtype(self, name):
        """A type of the case, which in float64 is float64 unless it is an integer."""
        dtype = TORCH[name]
        return torch.float64 if self.double and dtype.is_floating_point else dtype

    def tensor(self, tensor, dtype=None):
        return decode(tensor).to(self.dtype(dtype or tensor["dtype"]))

    def layer(self, layer):
        kind = getattr(nn, layer["kind"])
        module = kind(
            layer["features"],
            eps=layer["eps"],
            momentum=layer["momentum"],
            affine=layer["affine"],
            track_running_stats=layer["track_running_stats"],
            dtype=self.dtype(layer["dtype"]),
        )
        if layer["track_running_stats"]:
            for name in STATISTICS:
                setattr(module, name, getattr(module, name).to(self.dtype(layer["statistics_dtype"])))
        with torch.no_grad():
            for name in PARAMETERS + STATISTICS:
                if layer[name] is not None:
                    getattr(module, name).copy_(self.tensor(layer[name]))
            if layer["num_batches_tracked"] is not None and layer["track_running_stats"]:
                module.num_batches_tracked.fill_(layer["num_batches_tracked"])
        return module

    def plant(self, path, leaf):
        """Puts a layer into the tree, with what has to hold it."""
        *outer, name = path.split(".")
        part = self.model
        for container in outer:
            if container not in dict(part.named_children()):
                part.add_module(container, nn.Sequential())
            part = part.get_submodule(container)
        part.add_module(name, leaf)

    def has_run(self, path, x, y):
        """Called by each layer at the end of its forward."""
        # What is inside a model is no leaf of the graph: its gradient is thrown away unless it is asked for.
        if x.requires_grad:
            x.retain_grad()
        self.ran.append((path, x, y))

    # The steps. Each gives the tensors that are its own, where it has any.

    def do_train(self, part, step):
        part.train()

    def do_eval(self, part, step):
        part.eval()

    def do_forward(self, part, step):
        self.y, self.ran = None, []
        given = step["input"]
        # Without its history the view is a leaf of the graph, and keeps its strides.
        x = lay_out(self.tensor(given["tensor"], given["dtype"]), given["layout"]).detach()
        x.requires_grad_(given["requires_grad"])
        with torch.set_grad_enabled(not step["no_grad"]):
            self.y = part(x)
        return {named(path, "output"): y for path, _, y in self.ran}

    def do_backward(self, part, step):
        if self.y is None:
            raise NoGraph
        self.y.backward(lay_out(self.tensor(step["grad"]), step["layout"]), retain_graph=True)
        given = {}
        for path, x, _ in self.ran:
            given[named(path, "grad_input")] = x.grad
            for name in PARAMETERS:
                parameter = getattr(self.leaves[path], name)
                if parameter is not None:
                    given[named(path, "grad_" + name)] = parameter.grad
        return given

    def do_freeze(self, part, step):
        statistics, affine = (step["what"] in (what, "both") for what in ("statistics", "affine"))
        how = {"statistics": statistics, "affine": affine, "reach": step["reach"]}
        freeze(part, **how)
        if step["sticky"]:
            if step["at"] not in self.sticky:
                self.sticky[step["at"]] = []
                override_train(part, self.sticky[step["at"]])
            self.sticky[step["at"]].append(how)

    def do_unfreeze(self, part, step):
        whats = [what for what in ("statistics", "affine") if step["what"] in (what, "both")]
        for how in self.sticky.get(step["at"], []):
            how.update(dict.fromkeys(whats, False))

        def unfrozen(module):
            if isinstance(module, BATCH_NORMS):
                if "affine" in whats:
                    require_grad(module, True)
                if "statistics" in whats:
                    module.train()

        visit(part, step["reach"], unfrozen)

    def do_requires_grad(self, part, step):
        for layer in batch_norms(part):
            for name in PARAMETERS:
                if step[name] is not None:
                    require_grad(layer, step[name], [name])

    def do_cast(self, part, step):
        to, what = self.dtype(step["to"]), step["what"]
        if what == "layer":
            part.to(to)
            return
        for layer in batch_norms(part):
            for name in PARTS.get(what, (what,)):
                tensor = getattr(layer, name)
                if tensor is None:
                    continue
                if name in STATISTICS:
                    setattr(layer, name, tensor.to(to))
                    continue
                # What Module.to() does with each parameter: the tensor stays who it is.
                tensor.data = tensor.data.to(to)
                if tensor.grad is not None:
                    tensor.grad.data = tensor.grad.data.to(to)

    def do_zero_grad(self, part, step):
        part.zero_grad()

    def do_sgd(self, part, step):
        parameters = list(part.parameters())
        if parameters:
            torch.optim.SGD(parameters, lr=step["lr"]).step()

    def do_reset_running_stats(self, part, step):
        for layer in batch_norms(part):
            layer.reset_running_stats()

    def do_set(self, part, step):
        for layer in batch_norms(part):
            for setting in step["settings"]:
                [(name, value)] = setting.items()
                if name == "tensor":
                    name, tensor = value
                    value = None if tensor is None else self.tensor(tensor)
                    if name in PARAMETERS and value is not None:
                        value = nn.Parameter(value)
                elif name == "num_batches_tracked" and value is not None:
                    value = torch.tensor(value)
                setattr(layer, name, value)

    def do_save_state(self, part, step):
        # The values in a state dictionary are the module's own tensors, which later steps change.
        self.saved[step["name"]] = copy.deepcopy(part.state_dict())

    def do_load_state(self, part, step):
        source = step["from"]
        state = OrderedDict() if source["saved"] is None else copy.deepcopy(self.saved[source["saved"]])
        for name in source["without"]:
            state.pop(name, None)
        for name, tensor in source["entries"]:
            state[name] = self.tensor(tensor)
        # Each module reads the version at its own prefix.
        state._metadata = OrderedDict((prefix, {"version": source["version"]}) for prefix, _ in part.named_modules())
        part.load_state_dict(state, strict=step["strict"])

    def observe(self, given):
        """The bits of a step's own tensors, and of the state after it."""
        seen = dict(given)
        for path, leaf in self.leaves.items():
            for name in ("running_mean", "running_var", "num_batches_tracked", "weight", "bias"):
                seen[named(path, name)] = getattr(leaf, name)
        return {name: encode(tensor) for name, tensor in seen.items() if tensor is not None}


def named(path, tensor):
    return f"{path}.{tensor}" if path else tensor


def answer(case, double):
    """The answers to the new layers and to every step."""
    run = Run(case["layers"], double)
    answers = [{"error": None, "tensors": run.observe({})}]
    for step in case["steps"]:
        [(what, fields)] = step.items()
        # Looked up out here: that there is no such step or no such part is no answer of PyTorch's.
        do, part = getattr(run, "do_" + what), run.model.get_submodule(fields.get("at", ""))
        error, given = None, {}
        try:
            given = do(part, fields) or {}
        except RAISED as raised:
            lines = [line.strip() for line in str(raised).splitlines()] or [""]
            # The first line of what load_state_dict raises says nothing yet.
            message = " ".join(lines) if what == "load_state" else lines[0]
            error = {"class": error_class(raised), "message": message}
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
        "recording": 2,
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
        double = answer(case, True) if has_plain_types(case) else None
        recorded = {"case": case["case"], "float64": double, "own": answer(case, False)}
        text = json.dumps(recorded, separators=(",", ":"))
        if at_most is None or len(text) <= at_most:
            print(text)


if __name__ == "__main__":
    main()
