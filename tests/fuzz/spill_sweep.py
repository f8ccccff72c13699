#!/usr/bin/env python3
"""Compiles many specifications and lists those of which ptxas keeps registers in memory, or says that it serialises products.

    spill_sweep.py --attnc build/bin/attnc [FILE|DIRECTORY|PAGE.md ...] [--random 200 --seed 1 [--broad]]
                   [--target sm_80,sm_90a] [--splits] [--head-dims 64,72,128] [--report FILE] [--expect FILE]

PATHs are specifications, directories of them, and pages whose ```attn blocks are taken; --random adds specifications of
random_specs.py. --head-dims compiles each with these rows too, where it has `head_dim`. What is refused is counted by its
reason. --report writes all that ptxas said as JSON lines: target, specification, kernel, registers, spilled bytes.
--expect compares with such a report: what has spilled there and does not now is said, and the other way round.
Exit code 1 if a kernel spills or is serialised.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from broad_specs import broad
from random_specs import Generator

KERNEL = re.compile(r"Compiling entry function '([^']+)'|(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads|Used (\d+) registers")


def blocks_of_page(path):
    """The attentions of a page: its ```attn blocks that define one."""
    for number, text in enumerate(re.findall(r"^```attn\n(.*?)^```", path.read_text(), re.M | re.S), 1):
        if re.search(r"^\s*attention\b", text, re.M):
            yield f"{path.stem}_{number}", text


def specifications(arguments):
    """Pairs of a name and a text."""
    for path in map(pathlib.Path, arguments.paths):
        files = sorted(path.glob("*.attn")) if path.is_dir() else [path]
        for file in files:
            yield from blocks_of_page(file) if file.suffix == ".md" else [(file.stem, file.read_text())]
    make = broad(Generator) if arguments.broad else Generator
    for index in range(arguments.random):
        yield f"random_{arguments.seed}_{index}", make(arguments.seed * 1000003 + index).specification()


def with_head_dims(arguments):
    """The same, with rows of other lengths."""
    for name, text in specifications(arguments):
        yield name, text
        for length in arguments.head_dims:
            changed, count = re.subn(r"\bhead_dim:\s*\d+", f"head_dim: {length}", text)
            if count and changed != text:
                yield f"{name}@{length}", changed


def attentions_of(text):
    """A file has several, of which each is compiled by its name."""
    names = re.findall(r"^\s*attention\s+(\w+)", text, re.M)
    return names if len(names) > 1 else [None]


def kernels_of(report):
    """Name, registers and spilled bytes of each kernel that ptxas speaks of."""
    kernels, name, spills = [], None, 0
    for entry, _, stores, loads, registers in KERNEL.findall(report):
        if entry:
            name = entry
        elif stores:
            spills = int(stores) + int(loads)
        elif registers and name:
            kernels.append({"kernel": name, "registers": int(registers), "spills": spills})
            name = None
    return kernels


def assemble(arguments, directory, name, text, attention, target):
    """What becomes of one specification: a list of kernels, or why there is none."""
    stem = f"{name}.{attention}.{target}" if attention else f"{name}.{target}"
    spec, ptx = directory / f"{stem}.attn", directory / f"{stem}.ptx"
    spec.write_text(text)
    command = [str(arguments.attnc), "compile", str(spec), "--target", target, "-o", str(ptx)]
    command += ["--attention", attention] if attention else []
    command += ["--splits", "auto"] if arguments.splits else []
    row = {"spec": name, "attention": attention, "target": target}
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ, ATTN_CACHE="off"))
        if result.returncode != 0:
            errors = re.findall(r"error: (.*)", result.stderr)
            return dict(row, code=result.returncode, refused=errors[0] if errors else result.stderr[-200:])
        result = subprocess.run([arguments.ptxas, "-v", f"-arch={target}", "-o", os.devnull, str(ptx)], capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired as late:
        return dict(row, code=3, refused=f"{pathlib.Path(late.cmd[0]).name} takes more than {late.timeout} seconds")
    finally:
        spec.unlink(missing_ok=True)
        ptx.unlink(missing_ok=True)
    report = result.stdout + result.stderr
    if result.returncode != 0:
        return dict(row, code=3, refused="ptxas: " + report[-200:])
    return dict(row, kernels=kernels_of(report), serialised=sorted(set(re.findall(r"C75\d\d", report))))


def label(row):
    return f"{row['target']} {row['spec']}" + (f":{row['attention']}" if row["attention"] else "")


def kind_of(refusal):
    """A refusal without its own numbers and names."""
    return re.sub(r"\d+", "N", re.sub(r"`[^`]*`", "`…`", refusal))[:120]


def compare(rows, path):
    """What spills otherwise than in an earlier report."""
    def spills(all_rows):
        return {(label(row), each["kernel"]): each["spills"] for row in all_rows for each in row.get("kernels", [])}
    before, now = spills(map(json.loads, path.read_text().splitlines())), spills(rows)
    for key in sorted(before.keys() & now.keys()):
        if before[key] != now[key]:
            print(f"  {key[0]} {key[1]}: {before[key]} bytes before, {now[key]} now")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", metavar="PATH")
    parser.add_argument("--attnc", type=pathlib.Path, required=True)
    parser.add_argument("--ptxas", default=shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas")
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--broad", action="store_true")
    parser.add_argument("--target", default="sm_80,sm_90a")
    parser.add_argument("--splits", action="store_true", help="kernels for few rows of queries, too")
    parser.add_argument("--head-dims", type=lambda text: [int(each) for each in text.split(",")], default=[])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--expect", type=pathlib.Path)
    arguments = parser.parse_args()
    if not shutil.which(arguments.ptxas):
        print("ptxas is not installed: nothing is checked")
        sys.exit(0)
    rows = []
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        work = [pool.submit(assemble, arguments, pathlib.Path(directory), name, text, attention, target)
                for name, text in with_head_dims(arguments) for attention in attentions_of(text) for target in arguments.target.split(",")]
        report = arguments.report.open("w") if arguments.report else None
        for done in concurrent.futures.as_completed(work):
            row = done.result()
            rows.append(row)
            if report:
                print(json.dumps(row), file=report, flush=True)
            for each in row.get("kernels", []):
                if each["spills"]:
                    print(f"{label(row)}: `{each['kernel']}` spills {each['spills']} bytes, {each['registers']} registers", flush=True)
            for note in row.get("serialised", []):
                print(f"{label(row)}: {note}", flush=True)
    kernels = [each for row in rows for each in row.get("kernels", [])]
    spilling = sum(each["spills"] > 0 for each in kernels)
    serialised = sum(bool(row.get("serialised")) for row in rows)
    refused = collections.Counter(kind_of(row["refused"]) for row in rows if "refused" in row)
    print(f"{len(rows)} compiled, {sum(refused.values())} refused; of {len(kernels)} kernels {spilling} spill, {serialised} programs are serialised")
    for reason, count in refused.most_common():
        print(f"  {count} refused: {reason}")
    if arguments.expect:
        compare(rows, arguments.expect)
    sys.exit(1 if spilling or serialised or any(row.get("code", 0) > 1 for row in rows) else 0)


if __name__ == "__main__":
    main()
