"""Right before fast: the kernels to be timed, on the device they are timed on, against the float64 evaluation."""
import concurrent.futures
import os
import re
import subprocess

from . import variants
from .environment import processes

# One row and few; lengths that no tile divides; several tiles.
SHAPES = ("q_len=1,kv_len=131", "batch=2,q_len=77,kv_len=130", "q_len=300,kv_len=300")
_SMALL_SHAPES = SHAPES[1:2]
# Seconds after which a kernel counts as hanging; a check takes a few, a part of the suite a few tens.
_CHECK_LIMIT, _SUITE_LIMIT = 90, 300


def check_kernel(tools, row, device, target, scratch, small=False):
    """None, or what `attnc check` says against it."""
    path = scratch / f"{row.kernel_name()}.attn"
    path.write_text(variants.spec_text(row))
    for shape in _SMALL_SHAPES if small else SHAPES:
        command = [str(tools.attnc), "check", str(path), "--device", device, "--target", target, "--shape", shape]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_CHECK_LIMIT)
        except subprocess.TimeoutExpired:
            return f"at {shape}: no end within {_CHECK_LIMIT} s"
        if done.returncode != 0:
            return f"at {shape}: " + (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}")
    return None


def check_kernels(tools, rows, device, target, scratch, workers=None, small=False):
    """What is wrong, by kernel name; nothing for those that are right. Each kernel once, several beside each other."""
    kernels = {row.kernel_name(): row for row in rows}
    with concurrent.futures.ThreadPoolExecutor(workers or min(8, processes())) as pool:
        found = pool.map(lambda row: check_kernel(tools, row, device, target, scratch, small), kernels.values())
        return {name: problem for name, problem in zip(kernels, found) if problem}, len(kernels)


def run_suite(tools, targets, directory, workers=None):
    """The whole conformance suite on the GPU for each target, in several processes: cases passed, failed and skipped.
    What a failed case leaves to repeat it lies in `directory`."""
    shards = workers or min(8, processes())

    def shard(target, index):
        environment = dict(os.environ, GTEST_TOTAL_SHARDS=str(shards), GTEST_SHARD_INDEX=str(index))
        command = [str(tools.conformance), "--device=cuda", f"--target={target}", "--gtest_brief=1"]
        try:
            return subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True,
                                  timeout=_SUITE_LIMIT)
        except subprocess.TimeoutExpired as late:
            return subprocess.CompletedProcess(command, 124, (late.stdout or b"").decode(), f"no end within {_SUITE_LIMIT} s")

    found = {"targets": list(targets), "passed": 0, "failed": 0, "skipped": 0}
    names = set()
    with concurrent.futures.ThreadPoolExecutor(shards) as pool:
        runs = [(target, pool.submit(shard, target, index)) for target in targets for index in range(shards)]
        for target, run in runs:
            done = run.result()
            for word in ("PASSED", "SKIPPED", "FAILED"):
                match = re.search(rf"\[ +{word} +\] (\d+) tests?", done.stdout)
                found[word.lower()] += int(match.group(1)) if match else 0
            names |= {f"{target} {name}" for name in re.findall(r"\[ +FAILED +\] (\S+\.\S+?),? ", done.stdout)}
            if done.returncode != 0 and not re.search(r"FAILED +\] \d", done.stdout):      # it ended before it could count
                found["failed"] += 1
                names.add(f"{target}: exit code {done.returncode}: {done.stderr.strip()[-200:]}")
    return dict(found, failures=sorted(names))
