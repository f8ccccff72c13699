#!/usr/bin/env python3
"""terminal.py ATTNC: long work shows its progress on a terminal, and diagnostics have colours there but for NO_COLOR;
nowhere else is there either.

The work is a PTX loop without end on the virtual GPU, which is stopped once the line was seen; in a pipe it is stopped by a
limit on its steps.
"""
import os
import pathlib
import pty
import select
import subprocess
import sys
import tempfile
import time

LOOP = """.version 7.0
.target sm_80
.address_size 64
.visible .entry forever()
{
$again:
  bra $again;
}
"""
PATIENCE_SECONDS = 120


def on_terminal(command, until=None, **variables):
    """What appears on a terminal until it shows `until` or the program ends."""
    main, side = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(command, stdout=side, stderr=side, stdin=subprocess.DEVNULL, env=environment | variables)
    os.close(side)
    seen, end = "", time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and not (until and until in seen):
        if not select.select([main], [], [], 1)[0]:
            continue
        try:
            seen += os.read(main, 4096).decode(errors="replace")
        except OSError:  # the other side is closed: the program has ended
            break
    process.kill()
    process.wait()
    os.close(main)
    return seen


def check_progress(attnc, path):
    path.write_text(LOOP)
    command = [attnc, "emulate", str(path), "--block", "32"]
    line = "forever on the virtual GPU"
    seen = on_terminal(command, until=line)
    if line not in seen:
        sys.exit(f"no progress on a terminal, only {seen!r}")
    piped = subprocess.run(command + ["--step-limit", "20000000"], capture_output=True, text=True)
    if piped.returncode != 1 or any(sign in piped.stderr for sign in ("\r", "\033", line)):
        sys.exit(f"in a pipe: exit code {piped.returncode}, {piped.stderr!r}")


def check_colours(attnc, path):
    path.write_text("attention a { head_dim: 64; score = scroe }\n")
    command = [attnc, "compile", str(path)]
    coloured = on_terminal(command)
    if "\033[1;31merror:\033[0m unknown name `scroe`" not in coloured:
        sys.exit(f"no colours on a terminal: {coloured!r}")
    plain = {"NO_COLOR": on_terminal(command, NO_COLOR="1"),
             "a pipe": subprocess.run(command, capture_output=True, text=True).stderr}
    for place, text in plain.items():
        if "\033" in text or ": error: unknown name `scroe`" not in text:
            sys.exit(f"colours under {place}: {text!r}")


def main():
    with tempfile.TemporaryDirectory() as directory:
        check_progress(sys.argv[1], pathlib.Path(directory) / "forever.ptx")
        check_colours(sys.argv[1], pathlib.Path(directory) / "mistake.attn")
    print("progress and colours on a terminal, plain lines elsewhere")


if __name__ == "__main__":
    main()
