#!/usr/bin/env python3
"""Random specifications of the language, compiled, run on the virtual GPU and held against the float64 evaluation.

    random_specs.py --attnc build/bin/attnc --seed 1 --count 60 [--target sm_80,sm_90a] [--broad] [--keep DIR]

--broad takes all of the language (broad_specs.py), of which some is too large for a kernel: such are counted apart.

Every specification is well-formed, so each must be right, or be refused with one of the messages in REFUSED. The same
seed gives the same specifications, shapes and data. What fails is printed as a command to repeat it; --keep says where the
specification stays (default: the working directory).
"""
import argparse
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

from broad_specs import broad

# What a random specification may be refused for.
REFUSED = ("hides every key", "uses none of")
# And what one of all breadth may be, too.
REFUSED_BROAD = REFUSED + ("is not compiled yet", "registers a thread for tiles", "bytes of shared memory", "no schedule for", "would lose small scales",
                           "are not supported on", "is not supported on", "takes multiples of 8", "is defined, but", "is not supported beside", "makes a vector that depends on both rows")

PARAMETERS = {
    "table": "table: i32[64] in -9..9",
    "gate": "gate: f32[batch, kv_len]",
    "bias": "bias: f32[batch, q_heads, q_len, kv_len]",
    "relative": "relative: bf16[q_heads, 33]",
    "of_rows": "of_rows: f32[batch, q_len]",
    "of_keys": "of_keys: f16[kv_heads, kv_len]",
    "of_heads": "of_heads: f32[q_heads]",
    "buckets": "buckets: f32[32, q_heads]",
    "sinks": "sinks: f32[q_heads]",
    "norm": "norm: f32[head_dim]",
    "rel_k": "rel_k: f16[33, head_dim]",
    "far_k": "far_k: f16[257, head_dim]",
    "rel_v": "rel_v: f16[33, head_dim_v]",
}


class Generator:
    """Expressions of the language by type; `depth` limits their size."""
    parameters = PARAMETERS

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lengths = self.chance(0.2)  # each request has its own

    def chance(self, probability):
        return self.random.random() < probability

    def number(self, low, high):
        return round(self.random.uniform(low, high), 2)

    def integer(self, depth):
        r = self.random
        if depth <= 0 or self.chance(0.35):
            return r.choice(["q_idx", "kv_idx", "q_pos", "kv_pos", "h", "b", "kv_head", "q_len", "kv_len", str(r.randint(0, 40))])
        a = self.integer(depth - 1)
        forms = [
            lambda: f"({a} {r.choice('+-')} {self.integer(depth - 1)})",
            lambda: f"({a} {r.choice('+-')} {self.integer(depth - 1)})",
            lambda: f"({a} * {r.randint(-3, 4)})",
            lambda: f"({a} {r.choice(['//', '%'])} {r.randint(1, 17)})",
            lambda: f"{r.choice(['min', 'max'])}({a}, {self.integer(depth - 1)})",
            lambda: f"abs({a})",
            lambda: f"clamp({a}, {r.randint(-30, 0)}, {r.randint(1, 40)})",
            lambda: f"({a} {r.choice('&|^')} {r.randint(0, 31)})",
            lambda: f"(if {self.condition(depth - 1)} then {a} else {self.integer(depth - 1)})",
            lambda: f"table[clamp({a}, 0, 63)]",
        ]
        return r.choice(forms)()

    def condition(self, depth):
        r = self.random
        if depth <= 0 or self.chance(0.5):
            return f"{self.integer(depth)} {r.choice(['<', '<=', '>', '>=', '==', '!='])} {self.integer(depth)}"
        forms = [
            lambda: f"({self.condition(depth - 1)} and {self.condition(depth - 1)})",
            lambda: f"({self.condition(depth - 1)} or {self.condition(depth - 1)})",
            lambda: f"(not ({self.condition(depth - 1)}))",
            lambda: "gate[b, kv_idx] > 0.2",
        ]
        return r.choice(forms)()

    def bias(self):
        return self.random.choice([
            "bias[b, h, q_idx, kv_idx]", "relative[h, clamp(kv_pos - q_pos, -16, 16) + 16]", "of_rows[b, q_idx]",
            "of_keys[kv_head, kv_idx]", "of_heads[h]", "0.2 * dot(query, far_k[clamp(q_pos - kv_pos, -128, 128) + 128])",
            "0.2 * dot(key, rel_k[clamp(kv_pos - q_pos, -16, 16) + 16])", "0.01 * suffix_sum(sigmoid(score))", "alibi()", "buckets[t5_bucket(kv_pos - q_pos), h]",
            f"0.02 * abs({self.integer(2)})"])

    def score(self, depth):
        r = self.random
        if depth <= 0 or self.chance(0.3):
            return r.choice(["score", "score", "score", str(self.number(-2, 2)), self.bias()])
        a = self.score(depth - 1)
        forms = [
            lambda: f"({a} {r.choice('+-')} {self.score(depth - 1)})",
            lambda: f"({a} {r.choice('+-')} {self.score(depth - 1)})",
            lambda: f"({a} * {self.number(-1.5, 1.5)})",
            lambda: f"{r.choice(['tanh', 'sin', 'cos', 'sigmoid', 'relu', 'abs', 'erf'])}({a})",
            lambda: f"{r.choice(['min', 'max'])}({a}, {self.score(depth - 1)})",
            lambda: f"(if {self.condition(depth - 1)} then {a} else {self.score(depth - 1)})",
            lambda: f"softcap({a}, {r.randint(2, 30)})",
            lambda: f"({self.integer(depth - 1)} * 0.01)",
            lambda: f"log(1 + abs({a}))",
            lambda: f"sqrt(abs({a}) + 0.1)",
            lambda: f"clamp({a}, -3, {self.number(0, 9)})",
        ]
        return r.choice(forms)()

    def mask(self):
        r = self.random
        named = r.choice(["causal()", f"window({r.randint(0, 60)}, {r.randint(0, 20)})", f"prefix_lm({r.randint(0, 50)})",
                          f"chunked({r.randint(1, 60)})", f"dilated({r.randint(1, 60)}, {r.randint(1, 6)})"])
        return r.choice([named, named, f"{named} {r.choice(['and', 'or'])} {self.condition(2)}", self.condition(3), f"not ({named})"])

    def rows(self):
        """Statements about query, key and value."""
        r, statements = self.random, []
        if self.chance(0.25):
            statements.append(r.choice(["query = rope(query, q_pos)", "query = query * 0.5", "query = rms_norm(query, norm)",
                                        "query = rope(query, q_pos, interleaved = true)", "query = l2_normalize(query) * 3"]))
        if self.chance(0.2):
            statements.append(r.choice(["key = rope(key, kv_pos)", "key = key * 0.7", "key = l2_normalize(key) * 2"]))
        if self.chance(0.1):
            statements.append(r.choice(["key = key + rel_k[clamp(kv_pos - q_pos, -16, 16) + 16]",
                                        "key = key + far_k[clamp(q_pos - kv_pos, -128, 128) + 128]"]))
        if self.chance(0.15):
            statements.append(r.choice(["value = relu(value)", "value = value * 0.5",
                                        "value = value + rel_v[clamp(kv_pos - q_pos, -16, 16) + 16]"]))
        return statements

    def weights(self):
        r = self.random
        return r.choice(["probs = softmax(score, sink = sinks[h])", "probs = softmax(score, sink = 0)", "probs = sigmoid(score - 2)",
                         "probs = softmax(score) * (1 + 0.1 * gate[b, kv_idx])", "probs = relu(score) ** 2",
                         "probs = normalize(sigmoid(score))", "probs = dropout(softmax(score), 0.25, 7, 3)"])

    def heads(self):
        r = self.random
        query_heads, key_heads = r.choice([(2, 2), (4, 2), (4, 1), (6, 3), (1, 1)])
        types = r.choice(["dtype: f16", "dtype: bf16", "dtype: f16", "dtype: bf16", "dtype: f32", "dtype: f64",
                          "dtype: bf16; key_dtype: e4m3; value_dtype: e4m3",
                          "dtype: f16; key_dtype: e5m2; value_dtype: e4m3", "dtype: bf16; out_dtype: f32"])
        properties = [f"q_heads: {query_heads}; kv_heads: {key_heads}",
                      f"head_dim: {r.choice([16, 40, 64, 64, 64, 64, 72, 80, 96, 128, 128, 192, 256])}", types]
        if "e4m3" in types and self.chance(0.5):
            properties.append(f"key_scale: {r.choice(['per_tensor', 'per_head', 'per_block(32)'])}; "
                              f"value_scale: {r.choice(['per_tensor', 'per_head'])}")
        if self.chance(0.15):
            properties.append(f"head_dim_v: {r.choice([32, 64, 128])}")
        if self.lengths:
            properties.append(f"layout: {r.choice(['ragged', 'paged(16)', 'paged(64)'])}")
        elif self.chance(0.2):
            properties.append("layout: bhsd")
        return properties

    def positions(self):
        return []

    def end(self):
        return "out = out * 0.5"

    def specification(self):
        properties, statements = self.heads(), self.positions()
        if self.chance(0.7):
            statements.append("mask = " + self.mask())
        statements += self.rows()
        if self.chance(0.7):
            score = self.score(3)
            statements.append("score = " + (score if "score" in score else f"score + {score}"))
        if self.chance(0.2):
            statements.append(self.weights())
        elif self.chance(0.2):
            properties.append("outputs: out, lse, max_score")
        if self.chance(0.1):
            statements.append(self.end())
        text = "\n  ".join(properties + statements)
        parameters = [declaration for name, declaration in self.parameters.items() if re.search(rf"\b{name}\b", text)]
        return f"attention random({', '.join(parameters)}) {{\n  {text}\n}}\n"

    def shape(self):
        r = self.random
        if self.lengths:
            queries, keys = ([str(r.choice([0, 1, 3, 17, 64, 70, 130])) for _ in range(3)] for _ in range(2))
            return f"q_len={'/'.join(queries)},kv_len={'/'.join(keys)}"
        return (f"batch={r.choice([1, 2])},q_len={r.choice([1, 3, 17, 33, 64, 70, 130, 200])},"
                f"kv_len={r.choice([1, 5, 33, 64, 77, 130, 257])}")


def check(arguments, path, options, refusals):
    command = [str(arguments.attnc), "check", str(path), "--device", "emulator", *options]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=dict(os.environ, ATTN_CACHE="off"))
    except subprocess.TimeoutExpired:
        return command, "takes more than 300 seconds"
    text = result.stdout + result.stderr
    if result.returncode == 0:
        return command, None
    if result.returncode == 1 and any(reason in text for reason in refusals):
        return command, "refused"
    return command, f"exit code {result.returncode}\n{text}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attnc", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--target", default="sm_80,sm_90a")
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--broad", action="store_true")
    arguments = parser.parse_args()
    make, refusals = (broad(Generator), REFUSED_BROAD) if arguments.broad else (Generator, REFUSED)
    checked = refused = failures = 0
    with tempfile.TemporaryDirectory() as directory:
        for index in range(arguments.count):
            generator = make(arguments.seed * 1000003 + index)
            path = pathlib.Path(directory) / f"random_{arguments.seed}_{index}.attn"
            path.write_text(generator.specification())
            shape, data = generator.shape(), str(generator.random.randint(0, 99))
            for target in arguments.target.split(","):
                options = ["--target", target, "--shape", shape, "--seed", data]
                if generator.chance(0.2):
                    options.append("--sanitize")
                command, problem = check(arguments, path, options, refusals)
                checked += problem is None
                refused += problem == "refused"
                if problem not in (None, "refused"):
                    failures += 1
                    kept = arguments.keep / path.name
                    kept.write_text(path.read_text())
                    print(" ".join(command).replace(str(path), str(kept)), problem, path.read_text(), sep="\n", flush=True)
    print(f"{checked} right, {refused} refused, {failures} wrong")
    sys.exit(0 if failures == 0 and checked > refused else 1)


if __name__ == "__main__":
    main()
