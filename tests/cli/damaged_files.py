#!/usr/bin/env python3
"""damaged_files.py ATTNC: `attnc run` on a few hundred damaged tensor files and packages.

Each is either read (the damage was harmless) or refused with exit code 2 and one line that begins with `attnc: ` and names
the file; never a crash, and no output file appears unless the run succeeds. The damage is drawn from a fixed seed.
"""
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

SPEC = "attention a(bias: f32[q_heads]) { head_dim: 16; q_heads: 2; dtype: f16; score = score + bias[h] }\n"
SHAPE = (1, 5, 2, 16)
CASES = 210
GARBAGE = b"0123456789-()[]{},:'\" "


def npy(descr, shape, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * ((64 - (11 + len(header)) % 64) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def safetensors(name, dtype, shape, data):
    header = json.dumps({name: {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


def damage(contents, header, source):
    """The file cut short, or with a few bytes of its first `header` changed, dropped or inserted."""
    contents = bytearray(contents)
    if source.random() < 0.3:
        return bytes(contents[:source.randrange(len(contents))])
    for _ in range(source.choice([1, 1, 2, 5])):
        at, kind = source.randrange(min(header, len(contents))), source.random()
        if kind < 0.5:
            contents[at] = source.randrange(256)
        elif kind < 0.7:
            contents[at] = source.choice(GARBAGE)
        elif kind < 0.85:
            del contents[at]
        else:
            contents[at:at] = bytes([source.choice(GARBAGE)]) * source.choice([1, 1, 20])
    return bytes(contents)


def main():
    attnc, source = str(pathlib.Path(sys.argv[1]).resolve()), random.Random(20)
    counts = {"read": 0, "refused": 0}
    failures = []
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        pathlib.Path("a.attn").write_text(SPEC)
        subprocess.run([attnc, "compile", "a.attn", "--emit", "package", "-o", "good.pkg"], check=True)
        half = b"".join(struct.pack("<e", source.gauss(0, 1)) for _ in range(5 * 2 * 16))
        good = {"npy": npy("<f2", SHAPE, half), "safetensors": safetensors("query", "F16", SHAPE, half),
                "pkg": pathlib.Path("good.pkg").read_bytes()}
        for name in ("query", "key", "value"):
            pathlib.Path(f"{name}.npy").write_bytes(good["npy"])
        pathlib.Path("bias.npy").write_bytes(npy("<f4", (2,), bytes(8)))

        def run(package, query):
            inputs = {"query": query, "key": "key.npy", "value": "value.npy", "bias": "bias.npy"}
            command = [attnc, "run", package, "--output", "out=out.npy"]
            for name, path in inputs.items():
                command += ["--input", f"{name}={path}"]
            return subprocess.run(command, capture_output=True, timeout=60)

        result = run("good.pkg", "query.npy")
        if result.returncode != 0 or not pathlib.Path("out.npy").exists():
            sys.exit(f"the whole files are refused: {result.stderr.decode()}")
        headers = {"npy": 128, "safetensors": len(good["safetensors"]) - len(half), "pkg": len(good["pkg"])}
        for case in range(CASES):
            kind = ["npy", "safetensors", "pkg"][case % 3]
            pathlib.Path("out.npy").unlink(missing_ok=True)
            path = pathlib.Path(f"damaged.{kind}")
            path.write_bytes(damage(good[kind], headers[kind], source))
            result = run(path.name, "query.npy") if kind == "pkg" else run("good.pkg", path.name)
            text = result.stderr.decode(errors="replace")
            written = pathlib.Path("out.npy").exists()
            if result.returncode == 0 and written:
                counts["read"] += 1
            elif result.returncode == 2 and not written and text.startswith("attnc: ") and text.count("\n") == 1:
                counts["refused"] += 1
            else:
                failures.append(f"case {case} ({kind}): exit code {result.returncode}, output {written}: {text[:300]!r}")
        leftovers = [name for name in os.listdir(".") if ".tmp" in name]
        if leftovers:
            failures.append(f"left behind: {leftovers}")
    print(f"{counts['refused']} refused, {counts['read']} read")
    print("\n".join(failures))
    sys.exit(1 if failures or counts["refused"] < CASES // 2 else 0)


if __name__ == "__main__":
    main()
