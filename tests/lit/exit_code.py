#!/usr/bin/env python3
"""exit_code.py CODE PROGRAM …: runs the program and succeeds if it ends with that exit code."""
import subprocess
import sys

code = subprocess.run(sys.argv[2:]).returncode
if code != int(sys.argv[1]):
    print(f"exit_code: expected {sys.argv[1]}, but got {code}", file=sys.stderr)
    sys.exit(1)
