"""What the makers of golden files share: random inputs, families of outputs, sources from outside.

A family is a set of attentions that read the same inputs: `tests/golden/attention/FAMILY.attn` states each of them in
the language, `FAMILY.safetensors` holds the inputs and, for each attention NAME, `out_NAME` and where it is known
`lse_NAME`.
"""

import ast
import json
import struct
import subprocess
from pathlib import Path

import torch

# How the outside implementation computes: in float64 throughout, or with parts of it in float32 (rotations and softmax
# of most models), whatever type it is given. Decides how closely the float64 evaluation has to agree with it.
FLOAT64 = "float64"
FLOAT32 = "float32 inside"


class Family:
    """Inputs, and outputs with their provenance."""

    def __init__(self, name, seed, dtype=torch.bfloat16):
        self.name, self.seed, self.dtype = name, seed, dtype
        self.generator = torch.Generator().manual_seed(seed)
        self.tensors, self.provenance = {}, {}

    def normal(self, name, *shape, dtype=None, scale=1.0):
        """A stored input of normal numbers, rounded to its type; returned as float64."""
        tensor = (torch.randn(*shape, generator=self.generator, dtype=torch.float64) * scale).to(dtype or self.dtype)
        return self.given(name, tensor).double()

    def given(self, name, tensor):
        assert name not in self.tensors, name
        self.tensors[name] = tensor.contiguous().clone()
        return tensor

    def integers(self, low, high, *shape):
        return torch.randint(low, high, shape, generator=self.generator)

    def inputs(self, batch, q_len, kv_len, q_heads, kv_heads, head_dim, head_dim_v=None):
        """query, key, value, as [batch, heads, rows, channels] in float64; stored as the language lays them out."""
        self.sizes = (batch, q_len, kv_len, q_heads, kv_heads, head_dim)
        query = self.normal("query", batch, q_len, q_heads, head_dim)
        key = self.normal("key", batch, kv_len, kv_heads, head_dim)
        value = self.normal("value", batch, kv_len, kv_heads, head_dim_v or head_dim)
        return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)

    def output(self, name, out, source, arithmetic, lse=None):
        """`out` as [batch, heads, rows, channels], `lse` as [batch, heads, rows]."""
        assert f"out_{name}" not in self.tensors, name
        self.given(f"out_{name}", out.transpose(1, 2).to(torch.float32))
        if lse is not None:
            self.given(f"lse_{name}", lse.to(torch.float32))
        self.provenance[name] = {"source": source, "arithmetic": arithmetic}

    def save(self, folder, versions):
        tensors = {name: tensor.to(torch.int32) if tensor.dtype == torch.int64 else tensor
                   for name, tensor in self.tensors.items()}
        metadata = {"made_by": "scripts/make_golden.py", "seed": str(self.seed), "versions": versions}
        metadata |= {name: json.dumps(record, sort_keys=True) for name, record in self.provenance.items()}
        (Path(folder) / f"{self.name}.safetensors").write_bytes(safetensors_bytes(tensors, metadata))


TYPE_NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.int32: "I32", torch.int8: "I8",
              torch.bool: "BOOL"}


def safetensors_bytes(tensors, metadata):
    """The same bytes each time, which the library does not promise: it writes metadata in no order."""
    header, data = {"__metadata__": metadata}, b""
    for name in sorted(tensors, key=lambda name: (-tensors[name].element_size(), name)):      # aligned, as readers ask
        tensor = tensors[name].contiguous()
        raw = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {"dtype": TYPE_NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def repeat_heads(x, q_heads):
    """[batch, kv_heads, …] with each head as often as query heads share it."""
    return x.repeat_interleave(q_heads // x.shape[1], dim=1)


def softmax_attention(scores, visible, value):
    """From scores [batch, q_heads, q_len, kv_len]: `out`, `lse`; 0 and -inf where no key is visible."""
    scores = scores.masked_fill(~visible, -torch.inf)
    lse = torch.logsumexp(scores, -1)
    weights = torch.exp(scores - lse[..., None])
    weights = torch.where(torch.isfinite(lse)[..., None], weights, 0.0)
    return weights @ repeat_heads(value, scores.shape[1]), lse


class Given(torch.nn.Module):
    """Stands where a model has a projection, and returns what was stored: [batch, heads, rows, channels] as the
    projection would lay it out."""

    def __init__(self, tensor):
        super().__init__()
        self.tensor = tensor

    def forward(self, _):
        return self.tensor.transpose(1, 2).flatten(2)


class Outside:
    """Repositories cloned beside each other: DIRECTORY/OWNER+NAME/repo or DIRECTORY/NAME."""

    def __init__(self, directory):
        self.directory = Path(directory)

    def repository(self, owner, name):
        for path in (self.directory / f"{owner}+{name}" / "repo", self.directory / name):
            if path.exists():
                return path
        raise SystemExit(f"{self.directory}: no clone of {owner}/{name}")

    def run(self, owner, name, path, wanted, environment=None):
        """The named classes and functions of one file, run without the rest of it; and where they came from."""
        repository = self.repository(owner, name)
        git = ["git", "-C", str(repository)]
        text = subprocess.run(git + ["show", f"HEAD:{path}"], capture_output=True, check=True, text=True).stdout
        commit = subprocess.run(git + ["rev-parse", "HEAD"], capture_output=True, check=True, text=True).stdout[:12]
        namespace = dict(environment or {})
        tree = ast.parse(text)
        tree.body = [node for node in tree.body if getattr(node, "name", None) in wanted]
        assert len(tree.body) == len(wanted), (path, wanted)
        exec(compile(tree, path, "exec"), namespace)
        return [namespace[item] for item in wanted], f"{owner}/{name}@{commit}, {path}"
