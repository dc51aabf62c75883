"""How long a backend's own code takes over a step, without frames and conversions: what an answer says in `nanos`."""

import contextlib
import time


class Clock:
    """A stopwatch for the calls of a backend. A worker does one thing at a time, so that one serves for all."""

    def __init__(self):
        self._whole = 0
        self._parts = None

    @contextlib.contextmanager
    def calling(self):
        """A call of a backend's code, which counts but where parts of it are measured by themselves."""
        began = time.perf_counter_ns()
        try:
            yield
        finally:
            self._whole += time.perf_counter_ns() - began

    @contextlib.contextmanager
    def computing(self):
        began = time.perf_counter_ns()
        try:
            yield
        finally:
            self._parts = (self._parts or 0) + time.perf_counter_ns() - began

    def take(self):
        """What was measured since this was last asked, in nanoseconds."""
        taken = self._whole if self._parts is None else self._parts
        self._whole, self._parts = 0, None
        return taken


CLOCK = Clock()


def computing():
    """A part of a layer's work that counts as its arithmetic, for `bncheck bench`: a call of the library that is judged,
    with tensors that are its own already. Where a step has such parts, nothing else of it counts; where it has none, all
    that is called of the layer does.

    with computing():
        y = self.module(x)
    """
    return CLOCK.computing()
