"""Inputs of a row, in several sets so that calls in turn find nothing of theirs in the L2 cache; with torch or without.

Values are random, never zeros: a GPU runs faster on zeros. Without torch they are drawn as bit patterns, 1/8 to 2 in
size; the tensors are then plain bytes, and reach the device by attnc's own buffers.
"""
import array
import math
import os
import struct

from . import variants

L2_FACTOR = 3         # sets hold this many times the L2 cache
MOST_SETS = 16
NAMES = ("query", "key", "value")


def set_count(row, l2_bytes):
    """Two at least, so that no call finds the inputs of the one before it."""
    return max(2, min(MOST_SETS, math.ceil(L2_FACTOR * l2_bytes / row.input_bytes()) + 1))


class TorchInputs:
    """Tensors [batch, length, heads, head_dim] on `place`, `cuda` or `cpu`."""

    def __init__(self, torch, row, count, place, seed=0):
        self.torch, self.row, self.place = torch, row, place
        dtype = {"bf16": torch.bfloat16, "f16": torch.float16}[row.dtype]
        generator = torch.Generator(device=place).manual_seed(seed)
        self.sets = [{name: torch.randn(row.shape(), generator=generator, device=place, dtype=torch.float32).to(dtype)
                      for name in NAMES} for _ in range(count)]
        self.documents = torch.tensor(variants.document_numbers(row), dtype=torch.int32, device=place) \
            if row.mask == "document" else None


class PlainInputs:
    """The same as bytes."""

    # Upper halves of numbers from 1/8 to 2 of either sign.
    _UPPER = {"bf16": bytes([0x3e, 0xbe, 0x3f, 0xbf]), "f16": bytes([0x30, 0xb0, 0x34, 0xb4, 0x38, 0xb8, 0x3c, 0xbc])}

    def __init__(self, row, count):
        self.row = row
        upper = self._UPPER[row.dtype]
        table = bytes(upper[byte % len(upper)] for byte in range(256))
        size = row.input_bytes() // 6
        self.sets = []
        for _ in range(count):
            tensors = {}
            for name in NAMES:
                data = bytearray(2 * size)
                data[0::2] = os.urandom(size)
                data[1::2] = os.urandom(size).translate(table)
                tensors[name] = data
            self.sets.append(tensors)
        numbers = variants.document_numbers(row) if row.mask == "document" else []
        self.documents = array.array("i", [number for sequence in numbers for number in sequence]).tobytes()


def widen(data, dtype):
    """Bytes of 16-bit numbers as a list of floats."""
    if dtype == "f16":
        return list(struct.unpack(f"<{len(data) // 2}e", data))
    padded = bytearray(2 * len(data))
    padded[2::4], padded[3::4] = data[0::2], data[1::2]
    return list(struct.unpack(f"<{len(data) // 2}f", padded))
