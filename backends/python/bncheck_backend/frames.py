"""Frames: messages with their tensors, as docs/protocol.md describes them."""

import json
import struct

import numpy as np

from .tensor import CARRIER, Tensor

PROTOCOL = 4

# The names that safetensors has for the types.
NAMES = {dtype: dtype.upper() for dtype in CARRIER}
TYPES = {name: dtype for dtype, name in NAMES.items()}


class FrameError(Exception):
    """Bytes that are not a message of this protocol."""


def pack(message, tensors=()):
    """A frame, its length in front: the message and the tensors that it speaks of, as pairs of name and `Tensor`."""
    header = {"__metadata__": {"bncheck": _json(message)}}
    data = []
    begin = 0
    for name, tensor in tensors:
        if name in header:
            raise FrameError(f"two tensors are called `{name}`")
        # In the order that is contiguous for this shape, whatever the array's own is.
        data.append(np.ascontiguousarray(tensor.array).tobytes())
        end = begin + len(data[-1])
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    text = _json(header).encode()
    # The tensors begin at a multiple of 8.
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<IQ", 8 + len(text) + begin, len(text)), text, *data])


def unpack(frame):
    """The message of a frame, which is given without its length, and its tensors by name."""
    if len(frame) < 8:
        raise FrameError(f"a frame of {len(frame)} bytes is too short")
    (length,) = struct.unpack_from("<Q", frame)
    if length > len(frame) - 8:
        raise FrameError(f"its header of {length} bytes does not fit a frame of {len(frame)}")
    try:
        header = json.loads(frame[8 : 8 + length].decode(), object_pairs_hook=_once)
        message = json.loads(header.pop("__metadata__")["bncheck"], object_pairs_hook=_once)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FrameError(f"in its header: {error!r}") from error
    data = memoryview(frame)[8 + length :]
    tensors = {}
    due = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        if not begin == due <= end <= len(data):
            raise FrameError(f"the bytes of tensor `{name}` are {begin} to {end}, where they should begin at {due}")
        dtype = TYPES[entry["dtype"]]
        count = 1
        for size in entry["shape"]:
            count *= size
        if count * CARRIER[dtype].itemsize != end - begin:
            raise FrameError(f"{end - begin} bytes are no {dtype} tensor of shape {entry['shape']}, as `{name}` is said to be")
        array = np.frombuffer(data[begin:end], dtype=CARRIER[dtype]).reshape(entry["shape"])
        tensors[name] = Tensor(dtype, array)
        due = end
    if due != len(data):
        raise FrameError(f"after the last tensor {len(data) - due} bytes are left over")
    return message, tensors


def read(pipe):
    """The next frame of a pipe, without its length; `None` at the end."""
    length = pipe.read(4)
    if not length:
        return None
    frame = pipe.read(*struct.unpack("<I", length)) if len(length) == 4 else b""
    if len(length) < 4 or len(frame) < struct.unpack("<I", length)[0]:
        raise FrameError("the pipe ended within a frame")
    return frame


def _json(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _once(pairs):
    known = dict(pairs)
    if len(known) != len(pairs):
        raise ValueError("a key stands there twice")
    return known
