#!/usr/bin/env python3
"""gpu_target.py ATTNC FAKE_CUDA_LIBRARY: on a GPU `check` and `run` compile for what suits it best unless told otherwise;
elsewhere for sm_80. The fake driver looks like an A100 or an H100.
"""
import os
import re
import subprocess
import sys

SPEC = "attention plain { q_heads: 1; head_dim: 64; dtype: f16 }\n"


def target_of(attnc, library, capability, *arguments):
    result = subprocess.run([attnc, "check", "-", "--shape", "q_len=20,kv_len=20", *arguments], input=SPEC, text=True, capture_output=True,
                            env=dict(os.environ, ATTN_CUDA_LIBRARY=library, FAKE_CUDA_CAPABILITY=capability))
    if result.returncode != 0:
        sys.exit(f"{arguments}: exit code {result.returncode}: {result.stdout}{result.stderr}")
    return re.match(r"plain \((\S+) on (\S+)\)", result.stdout).groups()


def main(attnc, library):
    for capability, arguments, expected in (
            ("90", ("--device", "cuda"), ("sm_90a", "cuda:0")),
            ("80", ("--device", "cuda"), ("sm_80", "cuda:0")),
            ("90", (), ("sm_90a", "cuda:0")),                                            # `auto` finds the GPU
            ("90", ("--device", "cuda", "--target", "sm_80"), ("sm_80", "cuda:0")),
            ("90", ("--device", "emulator"), ("sm_80", "emulator"))):
        found = target_of(attnc, library, capability, *arguments)
        if found != expected:
            sys.exit(f"capability {capability}, {arguments}: compiled for {found}, expected {expected}")


main(*sys.argv[1:])
