"""Checks who includes whom: the table of docs/architecture.md ("Layers"), held here as data.

    python3 tests/lint/layers.py [repository root]
"""
import pathlib
import re
import sys

# layer -> project layers it may include (itself always), and whether LLVM/MLIR headers are allowed there.
LAYERS = {
    "include": (set(), False),
    "support": ({"include"}, False),
    "ir": ({"support", "include"}, True),
    "dsl": ({"support", "include"}, True),
    "codegen": ({"ir", "support", "include", "runtime/manifest"}, True),
    "passes": ({"ir", "codegen", "support", "include"}, True),
    "driver": ({"dsl", "passes", "codegen", "ir", "support", "include", "runtime/manifest"}, True),
    "runtime/manifest": ({"support", "include"}, False),
    "runtime/core": ({"support", "include", "runtime/manifest", "runtime/cache", "runtime/package",
                      "runtime/cuda", "runtime/emulator", "runtime/null"}, False),
    "runtime/cuda": ({"support", "include", "runtime/manifest", "runtime/core"}, False),
    "runtime/emulator": ({"support", "include", "runtime/manifest", "runtime/core"}, False),
    "runtime/null": ({"support", "include", "runtime/manifest", "runtime/core"}, False),
    "runtime/package": ({"support", "include", "runtime/manifest", "runtime/core"}, False),
    "runtime/c": ({"support", "include"}, False),
    "runtime/cache": ({"support", "include", "runtime/manifest", "runtime/core", "runtime/package"}, False),
}
# Files that may include more than their layer.
EXTRA = {
    "dsl/AstToAttn": {"ir"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def layer_of(path):
    """The layer of a repository-relative path; None for tools, tests, examples and runtime/jit, which may use anything."""
    for name in sorted(LAYERS, key=len, reverse=True):
        if path.startswith(name + "/"):
            return name
    return None


def check_text(path, text):
    """Violations in one file: (line, message)."""
    layer = layer_of(path)
    if layer is None:
        return []
    allowed, llvm_allowed = LAYERS[layer]
    allowed = set(allowed) | {layer}
    for stem, extra in EXTRA.items():
        if path.startswith(stem):
            allowed |= extra
    problems = []
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        target = match.group(2)
        if target.startswith(("llvm/", "mlir/")):
            if not llvm_allowed:
                problems.append((line, f"`{layer}` includes `{target}`, but is free of LLVM"))
            continue
        if target == "cuda.h" or target.startswith("cuda/"):
            problems.append((line, f"`{target}`: nothing includes CUDA headers; the driver is loaded by dlopen"))
            continue
        if target.startswith("fmt/") and layer == "include":
            problems.append((line, "public headers include the standard library alone"))
            continue
        if match.group(1) != '"':
            continue
        other = "include" if target.startswith("attn/") else layer_of(target)
        if other is None and target.split("/")[0] in {"tools", "tests", "examples"} or target.startswith("runtime/jit/"):
            problems.append((line, f"`{layer}` includes `{target}`"))
        elif other is not None and other not in allowed:
            problems.append((line, f"`{layer}` includes `{target}` of layer `{other}`"))
    return problems


def main(root):
    root = pathlib.Path(root)
    failures = files = 0
    for top in ("include", "support", "ir", "dsl", "codegen", "passes", "driver", "runtime"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in {".h", ".cpp"}:
                continue
            files += 1
            path = file.relative_to(root).as_posix()
            for line, message in check_text(path, file.read_text()):
                print(f"{path}:{line}: {message}")
                failures += 1
    print(f"layers: {files} files, {failures} violations")
    return 1 if failures or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
