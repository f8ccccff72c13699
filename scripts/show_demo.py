"""The demo's second half: runs `attnc` and prints what came out. Called by scripts/demo; needs only Python itself."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
ATTNC = ROOT / "build/bin/attnc"
DATA = ROOT / "examples/data/smollm2_layer14.safetensors"
EXPECTED = ROOT / "examples/data/smollm2_layer14_expected.safetensors"
VARIANTS = ["attention", "window", "softcap", "alibi", "t5"]
TARGETS = ["sm_80", "sm_90a"]


def attnc(*arguments):
    """Without the disk cache, so that compile times are those of compiling."""
    return subprocess.run([str(ATTNC), *map(str, arguments)], capture_output=True, text=True, cwd=ROOT,
                          env=dict(os.environ, ATTN_CACHE="off"))


def heading(text):
    print(f"\n== {text}\n", flush=True)


def must(result, what):
    if result.returncode != 0:
        sys.exit(f"demo: {what} failed with exit code {result.returncode}:\n{result.stdout}{result.stderr}")
    return result.stdout


def reason(result):
    line = next((line for line in result.stderr.splitlines() if "error:" in line), result.stderr.strip())
    return "refused: " + line.split("error: ")[-1]


def real_data():
    heading("Queries, keys and values of layer 14 of SmolLM2-135M-Instruct (233 tokens, 9 query heads over 3)")
    print("Errors are relative to float64 (root mean square, then largest against its own tolerance);")
    print("`PyTorch` is the distance from the stored output of scaled_dot_product_attention.\n")
    print(f"{'specification':20} {'target':7} {'device':10} {'out rms':>9} {'of tol.':>8} {'lse max':>9} {'PyTorch':>9} "
          f"{'tiles skipped':>14} {'compile':>9}")
    for target, variant in ((target, variant) for target in TARGETS for variant in VARIANTS):
        spec = f"examples/smollm2_{variant}.attn"
        result = attnc("check", spec, "--json", "--target", target, "--input", DATA.relative_to(ROOT),
                          "--expected", f"out={EXPECTED.relative_to(ROOT)}:out_{variant}",
                          "--expected", f"lse={EXPECTED.relative_to(ROOT)}:lse_{variant}")
        if "not supported" in result.stderr:
            print(f"smollm2_{variant:12} {reason(result)}", flush=True)
            continue
        text = must(result, f"check of {spec}")
        record = json.loads(text)[0]
        outputs = {row["name"]: row for row in record["outputs"]}
        expected = {row["name"]: row for row in record["expected"]}
        tiles = record["tiles"]
        total = tiles["empty"] + tiles["partial"] + tiles["full"]
        print(f"{record['specification']:20} {record['target']:7} {record['device']:10} {outputs['out']['rms_relative']:9.1e} "
              f"{outputs['out']['worst_of_tolerance']:8.2f} {outputs['lse']['max_absolute']:9.1e} "
              f"{expected['out']['rms_relative']:9.1e} {tiles['empty']:6} of {total:<5} {record['compile_ms']:6.0f} ms", flush=True)


def examples():
    heading(f"Every example, compiled for {' and '.join(TARGETS)}")
    with tempfile.TemporaryDirectory() as directory:
        for spec in sorted((ROOT / "examples").glob("[0-9]*.attn")):
            columns = []
            for target in TARGETS:
                out = pathlib.Path(directory) / f"{spec.stem}.{target}.ptx"
                start = time.perf_counter()
                result = attnc("compile", spec.relative_to(ROOT), "--target", target, "-o", out)
                seconds = time.perf_counter() - start
                if result.returncode != 0:
                    columns = [reason(result)]
                    break
                lines = out.read_text().count("\n")
                columns.append(f"{lines:6} lines of PTX in {1e3 * seconds:4.0f} ms")
            print(f"{spec.stem:20} {'   '.join(columns)}", flush=True)


def ptx():
    heading("From examples/smollm2_attention.attn …")
    print((ROOT / "examples/smollm2_attention.attn").read_text())
    text = must(attnc("compile", "examples/smollm2_attention.attn"), "compile").splitlines()
    first = next(i for i, line in enumerate(text) if "mma.sync" in line)
    heading(f"… to PTX: the first tensor-core products ({len(text)} lines in all)")
    print("\n".join(text[max(0, first - 4):first + 16]))
    print("\nThe whole of it: build/bin/attnc compile examples/smollm2_attention.attn")
    print("What the compiler decided: build/bin/attnc explain examples/smollm2_attention.attn")


real_data()
examples()
ptx()
