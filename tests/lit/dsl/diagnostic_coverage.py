"""Fails if a kind of dsl/Diagnostics.def appears in no expectation of the tests beside this file, with its whole text."""
import pathlib
import re
import sys


def kinds(registry):
    text = registry.read_text()
    return re.findall(r'^ATTN_DIAGNOSTIC\((\w+), \w+, "((?:[^"\\]|\\.)*)"\)', text, re.MULTILINE)


def pattern(text):
    """The text as a regular expression: what the place fills in may be anything."""
    parts = re.split(r"\{\d\}", text.replace('\\"', '"'))
    return re.compile(".*".join(re.escape(part) for part in parts))


def expectations(folder):
    found = []
    for file in sorted(folder.rglob("*")):
        if file.suffix in {".attn", ".test"}:
            for line in file.read_text().splitlines():
                match = re.search(r"expected-\w+(?:@\S+)? \{\{(.*)\}\}|^# [A-Z]+(?:-\w+)?: (.*)|^[A-Z]+: (.*)", line)
                if match:
                    found.append(next(group for group in match.groups() if group is not None))
    return found


def main(root):
    root = pathlib.Path(root)
    seen = expectations(root / "tests/lit/dsl")
    registry = kinds(root / "dsl/Diagnostics.def")
    missing = [kind for kind, text in registry if not any(pattern(text).search(line) for line in seen)]
    for kind in missing:
        print(f"no test under tests/lit/dsl expects {kind}")
    print(f"{len(registry)} kinds, {len(missing)} without a test")
    return 1 if missing or not registry else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
