#!/usr/bin/env python3
"""config_page.py PAGE CONFIG.def SOURCE: the table of environment variables on the page is that of Config.def, row by row, and
no other file of the product reads the environment."""
import pathlib
import re
import sys

# Programs that others install are looked for as a shell would: through PATH and CUDA_HOME.
OTHERS = {"tools/attnc/Ptxas.cpp": {"PATH", "CUDA_HOME"}}
LAYERS = ("support", "dsl", "ir", "passes", "codegen", "driver", "runtime", "tools")


def main():
    page, config, source = (pathlib.Path(argument) for argument in sys.argv[1:4])
    rows = re.findall(r'^ATTN_SETTING\(\w+, "([^"]*)", "([^"]*)", "([^"]*)"\)', config.read_text(), re.M)
    listed = re.findall(r"^\| `([A-Z_]+)` \| (.*) \| (.*) \|$", page.read_text(), re.M)
    wrong = [f"{page}: lacks or differs: {row}" for row in rows if row not in listed]
    wrong += [f"{page}: is not in {config.name}: {row}" for row in listed if row not in rows]
    for layer in LAYERS:
        for path in sorted((source / layer).rglob("*.cpp")):
            name = path.relative_to(source).as_posix()
            for variable in re.findall(r'getenv\("?([^")]*)', path.read_text()):
                if name != "runtime/core/Config.cpp" and variable not in OTHERS.get(name, set()):
                    wrong.append(f"{name}: reads {variable}, which is for runtime/core/Config.def")
    print("\n".join(wrong) or f"{len(rows)} variables")
    sys.exit(1 if wrong or not rows else 0)


if __name__ == "__main__":
    main()
