"""A worker's end of the pipe."""

import os
import sys
import traceback

from . import frames
from .backend import LayerError, Unsupported
from .clock import CLOCK
from .model import Model


def serve(backend):
    """Serves a backend on standard input and output until the input ends. What is printed meanwhile goes to standard error:
    standard output belongs to the answers."""
    pipe_in = os.fdopen(os.dup(0), "rb")
    pipe_out = os.fdopen(os.dup(1), "wb")
    sys.stdout.flush()
    os.dup2(2, 1)
    serve_on(backend, pipe_in, pipe_out)


def serve_on(backend, pipe_in, pipe_out):
    """Serves a backend on these."""

    def say(message, tensors=()):
        pipe_out.write(frames.pack(message, tensors))
        pipe_out.flush()

    say({"hello": hello(backend)})
    while (frame := frames.read(pipe_in)) is not None:
        message, tensors = frames.unpack(frame)
        request = message["request"]
        try:
            reason = backend.unsupported(request)
            if reason:
                raise Unsupported(reason)
            steps, nanos, tensors = answer(backend, request, tensors)
        except Unsupported as why:
            say({"unsupported": {"id": request["id"], "reason": str(why)}})
        else:
            said = {"id": request["id"], "steps": steps}
            say({"answer": {**said, "nanos": nanos} if nanos else said}, tensors)


def hello(backend):
    """The greeting of a backend."""
    said = {"protocol": frames.PROTOCOL, "name": backend.name, "version": backend.version, "about": backend.about}
    if backend.dtypes is not None:
        said["dtypes"] = list(backend.dtypes)
    for name in ("lacks", "unobservable", "absent"):
        if getattr(backend, name):
            said[name] = getattr(backend, name)
    return said


def answer(backend, request, tensors):
    """The answers to the new layers and to every step, what each took of the backend's own code in nanoseconds, and their
    tensors."""
    CLOCK.take()
    try:
        model = Model(backend, request["layers"], tensors)
    except Unsupported:
        raise
    except Exception as error:  # noqa: BLE001 (whatever a constructor raises is an answer)
        # Without a layer every step fails as the constructor did.
        return [{"error": _described(backend, error)} for _ in range(len(request["steps"]) + 1)], [], []
    steps, nanos, named = [], [], []
    for number, step in enumerate([None, *request["steps"]]):
        error, given = None, {}
        try:
            given = model.act(step) if step else {}
        except Unsupported:
            raise
        except Exception as raised:  # noqa: BLE001
            error = _described(backend, raised)
        nanos.append(CLOCK.take())
        try:
            given = {**given, **model.state()}
        except Exception as raised:  # noqa: BLE001
            error = error or _described(backend, raised)
        # Reading the state belongs to no step.
        CLOCK.take()
        steps.append({"error": error} if error else {})
        named += [(f"{number}/{name}", tensor) for name, tensor in given.items()]
    return steps, nanos, named


def _described(backend, error):
    if isinstance(error, LayerError):
        return {"class": error.error_class, "message": str(error)}
    error_class = backend.error_class(error)
    if error_class is None:
        # The author wants to see where.
        traceback.print_exception(type(error), error, error.__traceback__)
        error_class = "panic"
    return {"class": error_class, "message": f"{type(error).__name__}: {error}"}
