#!/usr/bin/env python3
"""links.py SOURCE: every relative link in the Markdown pages leads to a file, and to a heading of it where it names one."""
import pathlib
import re
import subprocess
import sys

LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
CODE = re.compile(r"`[^`\n]*`")


def pages(source):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=source,
                            capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        return [source / line for line in listed.stdout.splitlines() if (source / line).exists()]
    return [path for path in source.rglob("*.md") if not path.relative_to(source).parts[0].startswith("build")]


def prose(path):
    return CODE.sub("", FENCE.sub("", path.read_text()))


def anchors(path):
    """GitHub's anchors: lower case, blanks to hyphens, other punctuation dropped."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    count, wrong = 0, []
    for page in pages(source):
        for link in LINK.findall(prose(page)):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                wrong.append(f"{page.relative_to(source)}: {link}: there is no such file")
            elif anchor and anchor not in anchors(target):
                wrong.append(f"{page.relative_to(source)}: {link}: there is no such heading")
    print("\n".join(wrong) or f"{count} links")
    sys.exit(1 if wrong or not count else 0)


if __name__ == "__main__":
    main()
