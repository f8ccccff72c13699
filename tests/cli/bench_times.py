#!/usr/bin/env python3
"""bench_times.py ATTNC FAKE_CUDA_LIBRARY: `attnc bench --device cuda` through the driver's interface, with the fake driver
that runs kernels on the virtual GPU: what is launched and reported, not how fast.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SPEC = "attention plain { head_dim: 64; dtype: f16 }\n"


def bench(attnc, library, *arguments):
    result = subprocess.run([attnc, "bench", "-", "--device", "cuda", "--shape", "q_len=128", "--warmup-ms", "1", *arguments],
                            input=SPEC, capture_output=True, text=True, env=dict(os.environ, ATTN_CUDA_LIBRARY=library))
    if result.returncode != 0:
        sys.exit(f"exit code {result.returncode}: {result.stderr}")
    return result.stdout


def main(attnc, library):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "times.json"
        text = bench(attnc, library, "--samples", "3", "--json", str(path))
        for part in ("plain for sm_80 on Fake GPU", "time: median", "of 3 samples", "TFLOP/s of visible points"):
            if part not in text:
                sys.exit(f"no {part!r} in {text!r}")
        report = json.loads(path.read_text())
    if report["measures"] != "times" or report["samples"] != 3 or report["device"] != "cuda:0":
        sys.exit(f"not what was asked for: {report}")
    if not report["p10_ms"] <= report["median_ms"] <= report["p90_ms"] or report["median_ms"] <= 0:
        sys.exit(f"no order of times: {report}")
    # The fake GPU has 4 MiB of L2; query, key, value and out are 16 KiB each and lse some 512 bytes, so that 64 copies, the
    # most, stay below twice the cache.
    if report["input_copies"] != 64:
        sys.exit(f"{report['input_copies']} copies of the tensors")
    flop = 2 * 128 * 128 * (64 + 64)
    if report["flop"] != flop or abs(report["tflops"] - flop / report["median_ms"] * 1e-9) > 1e-9:
        sys.exit(f"wrong work or speed: {report}")
    print("ok")


main(sys.argv[1], sys.argv[2])
