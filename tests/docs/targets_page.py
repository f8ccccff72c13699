#!/usr/bin/env python3
"""targets_page.py PAGE ATTNC: whether the committed support table is what this compiler gives."""
import difflib
import subprocess
import sys

page, attnc = sys.argv[1:]
committed = open(page).read().splitlines()
compiled = subprocess.run([attnc, "targets", "--page"], capture_output=True, text=True, check=True).stdout.splitlines()
difference = list(difflib.unified_diff(committed, compiled, page, "as compiled", lineterm="", n=0))
print("\n".join(difference[:40]))
if difference:
    sys.exit("the support table is older than the compiler; run: attnc targets --page > docs/targets.md")
if len(compiled) < 60:
    sys.exit("the support table has too few lines to be one")
