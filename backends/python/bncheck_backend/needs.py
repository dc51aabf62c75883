"""Libraries that a backend may find missing."""

import importlib
import os
import sys

from .backend import Backend
from .serve import serve


def needs(module, backend, install):
    """The module of this name. Where it cannot be imported there is nothing to judge: bncheck is then told so in the name of
    `backend`, with the reason and with `install`, the command that would help, and the program ends."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        # A run that names an absent backend ends there. One that is to go on without, and have its column all the same, sets
        # BNCHECK_ABSENT: every case is then answered `unsupported` with the reason.
        serve(Absent(backend, why(module, error, install), goes_on=bool(os.environ.get("BNCHECK_ABSENT"))))
        sys.exit(0)


class Absent(Backend):
    """A backend that is not there."""

    version = "not installed"

    def __init__(self, name, reason, goes_on=False):
        self.name, self.reason = name, reason
        self.absent = None if goes_on else reason

    def unsupported(self, request):
        return self.reason


def why(module, error, install):
    """Why a module cannot be imported, in a line."""
    if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
        return f"{module} is not installed: {install}"
    said = " ".join(str(error).split())
    return f"{module} cannot be imported: {said}"
