"""Exact outputs of some rows, and how far a contender's are from them.

Every contender is held to them at the size it is timed at: nobody is timed on a wrong output. Rows at both ends, at
multiples of usual tiles and some in between are computed in float64 from the rounded inputs: of all heads and sequences
with torch, of one head of the first and last sequence without it.
"""
import dataclasses
import math
import operator
import random

from . import variants
from .inputs import widen

# Relative error (root mean square) above which an output is wrong: rounding of the output and of the weights to the
# type leaves less than half of it; a wrong key, row or scale far more.
TOLERANCE = {"bf16": 1e-2, "f16": 2e-3}
_EVERYWHERE = 64          # rows up to this many are all compared
_PLAIN_ROWS = 6


@dataclasses.dataclass
class Comparison:
    rms_relative: float
    max_abs: float
    rows: int
    problem: str = ""

    def record(self):
        """For JSON, which has no NaN."""
        return {name: None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in dataclasses.asdict(self).items()}


def sampled_rows(length):
    if length <= _EVERYWHERE:
        return list(range(length))
    edges = {0, 1, 63, 64, 127, 128, length // 2 - 1, length // 2, length - 65, length - 2, length - 1}
    drawn = random.Random(length).sample(range(length), 8)
    return sorted({index for index in edges if 0 <= index < length} | set(drawn))


def judge(rms_relative, max_abs, rows, dtype):
    problem = ""
    if not rms_relative <= TOLERANCE[dtype]:       # NaN is not
        problem = f"relative error {rms_relative:.3g}, allowed {TOLERANCE[dtype]:g}"
    return Comparison(rms_relative, max_abs, rows, problem)


class TorchReference:
    """Of one set of inputs, in torch."""

    def __init__(self, inputs, index):
        torch, row = inputs.torch, inputs.row
        self.torch, self.row = torch, row
        self.rows = torch.tensor(sampled_rows(row.length), device=inputs.place)
        query, key, value = (inputs.sets[index][name].transpose(1, 2).double() for name in ("query", "key", "value"))
        scores = query[:, :, self.rows] @ key.transpose(2, 3) / math.sqrt(row.head_dim)
        q_idx, kv_idx = self.rows[:, None], torch.arange(row.length, device=inputs.place)[None, :]
        heads = torch.arange(row.heads, device=inputs.place, dtype=torch.float64)[:, None, None]
        scores = variants.score(row.mask, scores, q_idx, kv_idx, variants.slope(heads, row.heads), torch.tanh)
        if row.mask != "full":
            documents = inputs.documents
            of_rows, of_keys = (None, None) if documents is None else (documents[:, self.rows, None], documents[:, None, :])
            visible = variants.is_visible(row.mask, row.window(), q_idx, kv_idx, of_rows, of_keys)
            visible = visible[:, None] if visible.dim() == 3 else visible
            scores = scores.masked_fill(~visible, -math.inf)
        self.exact = (scores.softmax(-1) @ value).transpose(1, 2)

    def compare(self, output):
        """`output` is [batch, length, heads, head_dim]."""
        difference = output[:, self.rows].double() - self.exact
        rms = (difference.square().mean().sqrt() / self.exact.square().mean().sqrt()).item()
        if not bool(self.torch.isfinite(output).all()):
            rms = math.nan
        return judge(rms, difference.abs().max().item(), len(self.rows), self.row.dtype)


class PlainReference:
    """Of one set of inputs, without torch: a few rows of the first head of the first sequence and the last of the last."""

    def __init__(self, inputs, index):
        row = self.row = inputs.row
        self.tensors = {name: memoryview(data) for name, data in inputs.sets[index].items()}
        self.documents = variants.document_numbers(row) if row.mask == "document" else None
        sample = sampled_rows(row.length)
        self.rows = sorted({sample[i * (len(sample) - 1) // (_PLAIN_ROWS - 1)] for i in range(_PLAIN_ROWS)})
        self.places = [(0, 0), (row.batch - 1, row.heads - 1)]
        self.exact = [self._outputs(*place) for place in self.places]

    def _vector(self, data, batch, index, head):
        row = self.row
        begin = 2 * row.head_dim * ((batch * row.length + index) * row.heads + head)
        return widen(bytes(data[begin:begin + 2 * row.head_dim]), row.dtype)

    def _outputs(self, batch, head):
        row = self.row
        keys = [self._vector(self.tensors["key"], batch, index, head) for index in range(row.length)]
        values = [self._vector(self.tensors["value"], batch, index, head) for index in range(row.length)]
        slope = variants.slope(head, row.heads)
        documents = self.documents[batch] if self.documents else [None] * row.length
        outputs = []
        for q_idx in self.rows:
            query = self._vector(self.tensors["query"], batch, q_idx, head)
            shown = [kv_idx for kv_idx in range(row.length) if row.mask == "full" or
                     variants.is_visible(row.mask, row.window(), q_idx, kv_idx, documents[q_idx], documents[kv_idx])]
            scores = [variants.score(row.mask, sum(map(operator.mul, query, keys[kv_idx])) / math.sqrt(row.head_dim),
                                     q_idx, kv_idx, slope) for kv_idx in shown]
            top = max(scores)
            weights = [math.exp(value - top) for value in scores]
            total = sum(weights)
            outputs.append([sum(weight * values[kv_idx][channel] for weight, kv_idx in zip(weights, shown)) / total
                            for channel in range(row.head_dim)])
        return outputs

    def compare(self, output):
        """`output` is the tensor's bytes."""
        squares = exact_squares = largest = 0.0
        for place, exact in zip(self.places, self.exact):
            for q_idx, expected in zip(self.rows, exact):
                for got, want in zip(self._vector(output, place[0], q_idx, place[1]), expected):
                    squares += (got - want) ** 2
                    exact_squares += want ** 2
                    largest = max(largest, abs(got - want)) if got == got else math.nan
        return judge(math.sqrt(squares / exact_squares), largest, len(self.rows), self.row.dtype)
