"""Rejects other libraries' names for things that docs/glossary.md names, and words that say nothing in file names."""
import pathlib
import re
import sys

SYNONYMS = {
    "nheads": "q_heads", "num_heads": "q_heads", "h_k": "kv_heads", "num_kv_heads": "kv_heads",
    "seqlen": "q_len or kv_len", "seqlen_q": "q_len", "seqlen_k": "kv_len", "seq_len": "q_len or kv_len",
    "sm_scale": "softmax_scale", "block_table": "page_table", "logits_transform": "score", "p_sum": "row_sum",
    "TILE_Q": "block_m", "qkv_ptr": "query, key, value", "headdim": "head_dim", "logsumexp": "lse",
}
FILE_WORDS = re.compile(r"(Utils|Util|Helpers?|Common|Managers?|Impl|Misc)(?=[A-Z.]|$)")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TOPS = ("include", "support", "dsl", "ir", "passes", "codegen", "driver", "runtime", "tools", "examples")


def check_text(path, text):
    """Messages for the words of one file."""
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        for word in WORD.findall(line):
            if word in SYNONYMS:
                problems.append(f"{path}:{number}: `{word}`: here it is called {SYNONYMS[word]}")
    return problems


def check_name(path):
    stem = pathlib.PurePath(path).stem
    return [f"{path}: a file name says what the file holds"] if FILE_WORDS.search(stem) else []


def main(root):
    root = pathlib.Path(root)
    problems, files = [], 0
    for top in TOPS:
        for file in sorted((root / top).rglob("*")):
            if file.suffix in {".h", ".cpp", ".td", ".def", ".attn"}:
                files += 1
                path = file.relative_to(root).as_posix()
                problems += check_name(path) + check_text(path, file.read_text())
    print("\n".join(problems))
    print(f"glossary: {files} files, {len(problems)} problems")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
