#!/usr/bin/env python3
"""Checks the pages that hold specifications, docs/language.md above all, against the compiler.

    language_page.py examples --page docs/language.md --attnc build/bin/attnc --source .
    language_page.py tables   …

examples: every block marked `attn` compiles to PTX for sm_80. In a block with a comment `# refused: TEXT` or
`# not yet: TEXT` the compiler exits with 1, names that line and says TEXT. The first is the language's own refusal, which
`--emit ast` gives too; the second comes from what has no code generation yet, so `--emit ast` accepts it.

tables: the keywords, extents, indices, definitions, properties, built-in functions and functions of the prelude that the
page lists between `<!-- table: NAME -->` and `<!-- end -->` are those of dsl/TokenKinds.def, dsl/Names.def and
`attnc prelude`.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```attn\n(.*?)^```", re.M | re.S)
MARK = re.compile(r"# (refused|not yet): (.*)")


def blocks(page):
    text = page.read_text()
    for match in BLOCK.finditer(text):
        yield text.count("\n", 0, match.start()) + 2, match.group(1)


def compile_block(arguments, path, stage):
    environment = dict(os.environ, ATTN_CACHE="off")
    return subprocess.run([str(arguments.attnc), "compile", str(path), "--emit", stage, "-o", os.devnull],
                          capture_output=True, text=True, env=environment)


def check_block(arguments, code, path):
    """What is wrong with one block, or None."""
    path.write_text(code)
    mark = MARK.search(code)
    result = compile_block(arguments, path, "ptx")
    if not mark:
        return None if result.returncode == 0 else f"does not compile:\n{result.stderr}"
    kind, expected = mark.group(1), mark.group(2).strip()
    line = code.count("\n", 0, mark.start()) + 1
    if result.returncode != 1:
        return f"is marked `{mark.group(0)}`, but `attnc compile` exits with {result.returncode}:\n{result.stderr}"
    errors = [text for text in result.stderr.splitlines() if "error:" in text]
    if not any(expected in text for text in errors):
        return f"does not say `{expected}` but:\n{result.stderr}"
    if kind == "refused" and not any(expected in text and f"{path.name}:{line}:" in text for text in errors):
        return f"does not say `{expected}` of line {line} but:\n{result.stderr}"
    ast = compile_block(arguments, path, "ast")
    if (ast.returncode == 0) != (kind == "not yet"):
        return f"is marked `{kind}`, but `--emit ast` exits with {ast.returncode}:\n{ast.stderr}"
    return None


def check_examples(arguments):
    count, failures = 0, 0
    with tempfile.TemporaryDirectory() as directory:
        for line, code in blocks(arguments.page):
            count += 1
            wrong = check_block(arguments, code, pathlib.Path(directory) / f"line_{line}.attn")
            if wrong:
                failures += 1
                print(f"{arguments.page}:{line}: the example {wrong}")
    print(f"{count} examples, {failures} wrong")
    return failures == 0 and count > 15


def listed(page, name):
    match = re.search(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", page, re.S)
    if not match:
        sys.exit(f"the page has no table `{name}`")
    return match.group(1)


def first_cells(table):
    """The code spans of the first column of a table."""
    rows = [row for row in table.splitlines() if row.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def rows(text, macro):
    """The last string of each row of a .def table that names something."""
    return re.findall(rf'^{macro}\((?:\w+, )?"([^"]+)"', text, re.M)


def prelude_signatures(text):
    return re.findall(r"^fn (\w+\([^)\n]*(?:\([^)\n]*\)[^)\n]*)*\)) (?:=|\{)", text, re.M)


def check_tables(arguments):
    page = arguments.page.read_text()
    tokens = (arguments.source / "dsl/TokenKinds.def").read_text()
    names = (arguments.source / "dsl/Names.def").read_text()
    prelude = subprocess.run([str(arguments.attnc), "prelude"], capture_output=True, text=True, check=True).stdout
    calls = [call.split("(")[0] for call in first_cells(listed(page, "builtins"))]
    signatures = [name for name in re.findall(r"`(\w+\([^`]*\))`", "\n".join(
        row.split(" | ")[0] for row in listed(page, "prelude").splitlines()))]
    pairs = {
        "keywords": (re.findall(r"`(\w+)`", listed(page, "keywords")), rows(tokens, "ATTN_KEYWORD")),
        "extents": (re.findall(r"`(\w+)`", listed(page, "extents")), rows(names, "ATTN_EXTENT")),
        "indices": (re.findall(r"`(\w+)` \(", listed(page, "indices")), rows(names, "ATTN_INDEX")),
        "flow": (first_cells(listed(page, "flow")), rows(names, "ATTN_FLOW")),
        "properties": (first_cells(listed(page, "properties")), rows(names, "ATTN_PROPERTY")),
        "builtins": (calls, rows(names, "ATTN_BUILTIN")),
        "prelude": (signatures, prelude_signatures(prelude)),
    }
    failed = False
    for name, (on_page, in_source) in pairs.items():
        missing, extra = sorted(set(in_source) - set(on_page)), sorted(set(on_page) - set(in_source))
        twice = sorted({item for item in on_page if on_page.count(item) > 1})
        if missing or extra or twice or not in_source:
            failed = True
            print(f"{arguments.page}: table `{name}`: missing {missing}, unknown {extra}, twice {twice}")
        else:
            print(f"{name}: {len(in_source)}")
    return not failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("check", choices=["examples", "tables"])
    parser.add_argument("--page", type=pathlib.Path, required=True)
    parser.add_argument("--attnc", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    passed = check_examples(arguments) if arguments.check == "examples" else check_tables(arguments)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
