"""Writes f16 tensors of zeros: zeros.py FILE SHAPE [FILE SHAPE ...]."""
import math
import struct
import sys

for path, text in zip(sys.argv[1::2], sys.argv[2::2]):
    shape = tuple(int(size) for size in text.split(","))
    header = f"{{'descr': '<f2', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(2 * math.prod(shape)))
