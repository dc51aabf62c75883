"""A request's layers, taken through its steps: `torch.nn.Module`'s rules for what holds several layers."""

from types import SimpleNamespace

import numpy as np

from .backend import LayerError
from .clock import CLOCK
from .module import COUNTER, PARAMETERS, SLOTS, STATISTICS, ModuleLayer, accumulated
from .tensor import Tensor, lay_out

CASTS = {"layer": SLOTS, "parameters": PARAMETERS, "statistics": STATISTICS}
STATE = (*STATISTICS, COUNTER, *PARAMETERS)


def is_within(part, path):
    """Whether `path` is `part` or lies below it; everything lies below the empty path."""
    return not part or path == part or path.startswith(part + ".")


class Model:
    """Layers in the order in which a forward runs them."""

    def __init__(self, backend, layers, tensors):
        self.tensors = tensors
        self.unobservable = backend.unobservable
        self.paths = [layer["path"] for layer in layers]
        self.layers = [_made(backend, self._config(layer)) for layer in layers]
        self.modes = [{"training": True, "weight": True, "bias": True} for _ in layers]
        # `.grad` of each layer's latest input.
        self.grad_input = [None] * len(layers)
        # The layers that the latest forward ran, and how their inputs were; and whether its output leads back to anything.
        self.latest = None
        self.saved = {}

    def _config(self, layer):
        contents = {name: self._tensor(layer[name]) for name in SLOTS}
        return SimpleNamespace(**{**layer, **contents})

    def _tensor(self, name):
        return None if name is None else self.tensors[name]

    def _part(self, at):
        return [number for number, path in enumerate(self.paths) if is_within(at, path)]

    def act(self, step):
        """Takes a step; gives its own tensors by name."""
        [what] = [key for key in step if key != "modes"]
        if "modes" in step:
            self._change_modes(step["modes"], self._part(step[what]["at"]) if what in ("train", "eval") else ())
            return {}
        return getattr(self, "_" + what)(**step[what]) or {}

    def state(self):
        """The state of every layer."""
        seen = {}
        for path, layer in zip(self.paths, self.layers):
            state = layer.state()
            for name in STATE:
                value = state.get(name)
                if value is not None:
                    seen[_named(path, name)] = _count(value) if name == COUNTER else value
        return seen

    def _change_modes(self, modes, told):
        """What train, eval, freeze, unfreeze and requires_grad come to. Layers that train() or eval() reaches are told in
        any case."""
        for number, (layer, before, now) in enumerate(zip(self.layers, self.modes, modes)):
            if number in told or before["training"] != now["training"]:
                layer.set_training(now["training"])
            for name in PARAMETERS:
                if before[name] != now[name]:
                    layer.set_requires_grad(name, now[name])
        self.modes = modes

    def _forward(self, at, input, no_grad):
        # A forward that fails leaves nothing to go back through.
        self.latest = None
        x, layout = self._tensor(input["tensor"]), input["layout"]
        requires_grad = input["requires_grad"] and not no_grad
        x = Tensor(x.dtype, lay_out(x.array, layout))
        run, given = [], {}
        for number in self._part(at):
            self.grad_input[number] = None
            layout = layout if layout == "channels_last" else "contiguous"
            run.append((number, requires_grad, layout))
            x, requires_grad = self.layers[number].forward(x, requires_grad, no_grad)
            given[_named(self.paths[number], "output")] = x
            # An output lies as its input does where that is one of PyTorch's memory formats.
            x = Tensor(x.dtype, lay_out(np.ascontiguousarray(x.array), layout))
            requires_grad = requires_grad and not no_grad
        self.latest = (run, requires_grad)
        return given

    def _backward(self, grad, layout):
        if self.latest is None:
            raise LayerError("no_graph", "there is no output to go back from")
        run, requires_grad = self.latest
        if not requires_grad:
            raise LayerError("no_graph", "the latest output does not require grad and has no graph")
        grad = self._tensor(grad)
        for number, asked, its_layout in reversed(run):
            grad = self.layers[number].backward(Tensor(grad.dtype, lay_out(np.ascontiguousarray(grad.array), layout)))
            if not asked or "grad_input" in self.unobservable:
                break
            if grad is None:
                raise LayerError("other", "no gradient arrived at the input")
            self.grad_input[number] = accumulated(self.grad_input[number], grad)
            layout = its_layout
        given = {}
        for number, _, _ in run:
            gradients = self.layers[number].gradients()
            for name, value in [
                ("grad_input", self.grad_input[number]),
                ("grad_weight", gradients["weight"]),
                ("grad_bias", gradients["bias"]),
            ]:
                if value is not None:
                    given[_named(self.paths[number], name)] = value
        return given

    def _cast(self, at, to, what):
        for number in self._part(at):
            self.layers[number].cast(CASTS.get(what, (what,)), to)

    def _zero_grad(self, at):
        for number in self._part(at):
            self.layers[number].zero_grad()

    def _sgd(self, at, lr):
        for number in self._part(at):
            self.layers[number].sgd(lr)

    def _reset_running_stats(self, at):
        for number in self._part(at):
            self.layers[number].reset_running_stats()

    def _set(self, at, settings):
        for number in self._part(at):
            for setting in settings:
                [(name, value)] = setting.items()
                if name == "tensor":
                    name, value = value[0], self._tensor(value[1])
                self.layers[number].set(name, value)
                if name in PARAMETERS:
                    # A new parameter is trained.
                    self.modes[number] = {**self.modes[number], name: True}

    def _save_state(self, at, name):
        self.saved[name] = {}
        for number in self._part(at):
            state = self.layers[number].state()
            for key in (*SLOTS, COUNTER):
                value = state.get(key)
                if value is not None:
                    entry = self._prefix(at, number) + key
                    self.saved[name][entry] = _count(value) if key == COUNTER else value

    def _load_state(self, at, strict, **given):
        """Every layer takes what fits it, and only then anything is refused."""
        source = given["from"]
        if source["saved"] is not None and source["saved"] not in self.saved:
            raise LayerError("other", f"no state was saved as `{source['saved']}`")
        entries = dict(self.saved.get(source["saved"], {}))
        for name in source["without"]:
            entries.pop(name, None)
        for name, tensor in source["entries"]:
            entries[name] = self._tensor(tensor)
        wrong = ([], [], [])
        claimed = set()
        for number in self._part(at):
            prefix = self._prefix(at, number)
            own = {name[len(prefix) :]: tensor for name, tensor in entries.items() if name.startswith(prefix)}
            own = {name: tensor for name, tensor in own.items() if "." not in name}
            claimed |= {prefix + name for name in own}
            for all_names, names in zip(wrong, self.layers[number].load_state(own, source["version"])):
                all_names += [prefix + name for name in names]
        missing, unexpected, misshapen = wrong
        unexpected += [name for name in entries if name not in claimed]
        for names, error_class, what, counts in [
            (missing, "missing_entry", "missing", strict),
            (unexpected, "unexpected_entry", "unexpected", strict),
            (misshapen, "entry_shape", "of another shape", True),
        ]:
            if counts and names:
                message = f"entries {what} in the state dictionary: {', '.join(names)}"
                raise LayerError(error_class, message)

    def _prefix(self, at, number):
        """What the names of its entries begin with in the dictionary of the part `at`."""
        below = self.paths[number][len(at) :].lstrip(".")
        return below + "." if below else ""


class _Measured:
    """A backend's own layer, of which all calls are measured but those that read it."""

    def __init__(self, layer):
        self._layer = layer

    def __getattr__(self, name):
        method = getattr(self._layer, name)
        if name in ("state", "gradients"):
            return method

        def call(*arguments):
            with CLOCK.calling():
                return method(*arguments)

        return call


def _made(backend, config):
    with CLOCK.calling():
        layer = backend.create(config)
    # Of the module's rules around a kernel only the kernel is measured, where it is called.
    return layer if isinstance(layer, ModuleLayer) else _Measured(layer)


def _named(path, tensor):
    return f"{path}.{tensor}" if path else tensor


def _count(batches):
    return Tensor("i64", np.array(batches, dtype="<i8"))
