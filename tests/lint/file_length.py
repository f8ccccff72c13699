"""Files past the size where a reader gets lost: .cpp 700 lines, .h 350, .td 800. `.def` tables are exempt.

Prints the line count of every directory, so that growth is seen.
"""
import collections
import pathlib
import sys

LIMITS = {".cpp": 700, ".h": 350, ".td": 800, ".py": 700}
TOPS = ("include", "support", "dsl", "ir", "passes", "codegen", "driver", "runtime", "tools", "tests", "examples",
        "benchmarks", "scripts")


def over_limit(path, lines):
    limit = LIMITS.get(pathlib.PurePath(path).suffix)
    return f"{path}: {lines} lines, the limit is {limit}: split by idea" if limit and lines > limit else None


def main(root):
    root = pathlib.Path(root)
    totals, problems = collections.Counter(), []
    for top in TOPS:
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in LIMITS and file.suffix not in {".def", ".attn"}:
                continue
            path = file.relative_to(root)
            lines = file.read_text().count("\n")
            totals["/".join(path.parts[:2 if len(path.parts) > 2 else 1])] += lines
            message = over_limit(path.as_posix(), lines)
            if message:
                problems.append(message)
    for directory, lines in sorted(totals.items()):
        print(f"{lines:7d}  {directory}")
    print("\n".join(problems))
    return 1 if problems or not totals else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
