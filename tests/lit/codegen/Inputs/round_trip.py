"""round_trip.py DIRECTORY SPEC...: the text of each stage, read back, gives the PTX that the specification gives.

Places in the source differ, for they are those of the text that was read. From LLVM IR a plan's kernels are made as one module,
else each by itself: labels then have the kernel's number. All else is compared."""
import difflib
import os
import re
import subprocess
import sys


def compile(path, *options):
    command = ["attnc", "compile", path, *options]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit("%s: %s" % (" ".join(command), result.stderr))
    return result.stdout


def code(ptx):
    lines = [line for line in ptx.splitlines() if line.strip() and not re.match(r"\s*\.(loc|file)\b|\$L__(tmp|func)|\s*//", line)]
    return [re.sub(r"\$L__BB\d+_", "$L__BB_", line) for line in lines]


def main(directory, specs):
    os.makedirs(directory, exist_ok=True)
    failed = False
    for spec in specs:
        name = os.path.splitext(os.path.basename(spec))[0]
        wanted = code(compile(spec))
        if not any("mma.sync" in line for line in wanted):
            sys.exit("%s: gives no kernel" % spec)
        for stage in ("attn", "tile", "nvvm", "llvm"):
            path = os.path.join(directory, "%s.%s" % (name, stage))
            with open(path, "w") as file:
                file.write(compile(spec, "--emit", stage))
            found = code(compile(path, "--from", stage))
            difference = list(difflib.unified_diff(wanted, found, spec, path, lineterm="", n=1))
            print("%s: %s: %s" % (name, stage, "differs" if difference else "the same %d lines" % len(wanted)))
            print("\n".join(difference[:30]))
            failed |= bool(difference)
    return 1 if failed else 0


sys.exit(main(sys.argv[1], sys.argv[2:]))
