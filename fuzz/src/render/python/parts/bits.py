def bits(dtype, shape, text):
    """A tensor of the bytes of its elements, little end first, compressed, in base64."""
    elements = bytearray(zlib.decompress(base64.b64decode(text)))
    return torch.frombuffer(elements, dtype=dtype).reshape(shape)
