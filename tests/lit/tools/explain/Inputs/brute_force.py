"""Compares the counts and the picture of `attnc explain` with every point of the mask.

Each .attn file of the directory names, in comments, what the specification means in Python over
q (query row), k (key row), n (kv_len), m (q_len), b (request 0) and the tables it is given:

  # sees: k <= q + n - m
  # shape: q_len=300,kv_len=420          # may be given more than once
  # table NAME: [python list]            # i32, written as .npy and given by --input
"""
import os
import re
import struct
import subprocess
import sys

BLOCK_M, BLOCK_N = 64, 32


def write_npy(path, table):
    shape = []
    level = table
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0]
    flat = table
    for _ in shape[1:]:
        flat = [x for row in flat for x in row]
    header = "{'descr': '<i4', 'fortran_order': False, 'shape': (%s,), }" % ", ".join(map(str, shape))
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(struct.pack("<%di" % len(flat), *flat))


def picture(visible, m, n):
    lines = []
    for first in range(0, m, BLOCK_M):
        rows = range(first, min(first + BLOCK_M, m))
        line = ""
        for begin in range(0, n, BLOCK_N):
            keys = range(begin, min(begin + BLOCK_N, n))
            shown = sum(visible(q, k) for q in rows for k in keys)
            full = shown == len(rows) * len(keys) and begin + BLOCK_N <= n
            line += "#" if full else "+" if shown else "."
        lines.append(line)
    return lines


def check(path):
    text = open(path).read()
    sees = re.search(r"# sees: (.*)", text).group(1)
    tables, arguments = {}, []
    for name, value in re.findall(r"# table (\w+): (.*)", text):
        tables[name] = eval(value)
        file = "%s.%s.npy" % (path, name)
        write_npy(file, tables[name])
        arguments += ["--input", "%s=%s" % (name, file)]
    for shape in re.findall(r"# shape: (\S+)", text):
        numbers = {name: int(value) for name, value in (item.split("=") for item in shape.split(","))}
        m, n = numbers["q_len"], numbers["kv_len"]
        scope = dict(tables, n=n, m=m, b=0, **{k: v for k, v in numbers.items() if k not in ("q_len", "kv_len")})
        visible = eval("lambda q, k: " + sees, scope)
        command = ["attnc", "explain", path, "--shape", shape, "--schedule",
                   "block_m=%d,block_n=%d,stages=1,warps=4" % (BLOCK_M, BLOCK_N)] + arguments
        output = subprocess.run(command, capture_output=True, text=True)
        if output.returncode:
            return "%s: %s" % (" ".join(command), output.stderr)
        wanted = picture(visible, m, n)
        counts = "%d in all; %d skipped (.), %d full (#), %d partial (+)" % (
            sum(map(len, wanted)), *(sum(line.count(c) for line in wanted) for c in ".#+"))
        found = output.stdout.splitlines()
        if found[-len(wanted):] != ["  " + line for line in wanted] or not any(
                line.startswith("tiles of 64 x 32 of one head") and line.endswith(": " + counts) for line in found):
            return "%s at %s: by every point it is\n%s\n%s\nbut explain says\n%s" % (
                os.path.basename(path), shape, counts, "\n".join("  " + line for line in wanted), output.stdout)
        print("%s at %s: %s" % (os.path.basename(path), shape, counts))
    return None


def main():
    failures = []
    paths = sorted(os.path.join(sys.argv[1], name) for name in os.listdir(sys.argv[1]) if name.endswith(".attn"))
    for path in paths:
        problem = check(path)
        if problem:
            failures.append(problem)
    print("\n".join(failures) if failures else "all %d as by every point" % len(paths))
    return 1 if failures else 0


sys.exit(main())
