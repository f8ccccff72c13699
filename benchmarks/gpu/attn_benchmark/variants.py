"""What is measured: the rows, the specification of each, its work, and its mathematics for references and FlexAttention.

Sizes follow the published comparisons: a constant number of tokens and a constant hidden size, so that the batch shrinks
as the length grows and the heads as head_dim grows. Work counts the pairs of query and key that the mask shows.
"""
import dataclasses
import math
import random

MASKS = ("full", "causal", "window", "alibi", "softcap", "document")
DTYPES = ("bf16", "f16")
HEAD_DIMS = (64, 128, 256)
LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768)
TOKENS, HIDDEN = 16384, 2048
WINDOW = 1024      # keys a row sees, itself and those before it; of shorter sequences a quarter
SOFTCAP = 30.0
DOCUMENTS = 8      # in a sequence, of unequal lengths

# What comes first when time is short: rows by the sum of these.
_PRIORITY = {"full": 0, "causal": 0, "window": 3, "alibi": 3, "softcap": 3, "document": 3, "bf16": 0, "f16": 4,
             128: 0, 64: 1, 256: 1, 16384: 0, 4096: 1, 8192: 2, 2048: 2, 32768: 2, 1024: 3}

_STATEMENTS = {
    "full": "",
    "causal": "mask = causal()",
    "window": "mask = window({before})",
    "alibi": "mask = causal()\n  score = score + alibi()",
    "softcap": "mask = causal()\n  score = softcap(score, {cap:g})",
    "document": "mask = causal() and same_document(document, document)",
}


@dataclasses.dataclass(frozen=True)
class Row:
    mask: str
    dtype: str
    head_dim: int
    length: int
    batch: int
    heads: int

    def name(self):
        return f"{self.mask} {self.dtype} d{self.head_dim} {self.length}"

    def window(self):
        return WINDOW if self.length > WINDOW else max(1, self.length // 4)

    def kernel_name(self):
        """Of the kernel, which serves rows of several lengths."""
        mask = f"window{self.window()}" if self.mask == "window" else self.mask
        return f"{mask}_{self.dtype}_{self.head_dim}_{self.heads}"

    def shape(self):
        return (self.batch, self.length, self.heads, self.head_dim)

    def input_bytes(self):
        return 3 * 2 * math.prod(self.shape())

    def flops(self):
        """Of the two products, over the pairs that are visible; the convention of the published figures."""
        return 4 * self.heads * self.head_dim * visible_pairs(self)


def rows(masks=MASKS, dtypes=DTYPES, head_dims=HEAD_DIMS, lengths=LENGTHS, tokens=TOKENS, hidden=HIDDEN):
    """The most important first."""
    out = [Row(mask, dtype, head_dim, length, max(1, tokens // length), max(1, hidden // head_dim))
           for mask in masks for dtype in dtypes for head_dim in head_dims for length in lengths]
    return sorted(out, key=lambda row: sum(_PRIORITY.get(value, 3) for value in
                                           (row.mask, row.dtype, row.head_dim, row.length)))


def spec_text(row):
    parameters = "(document: i32[batch, kv_len] in 0..65535 ascending)" if row.mask == "document" else ""
    statements = _STATEMENTS[row.mask].format(before=row.window() - 1, cap=SOFTCAP)
    return (f"attention {row.mask}{parameters} {{\n  q_heads: {row.heads};  kv_heads: {row.heads}\n"
            f"  head_dim: {row.head_dim};  dtype: {row.dtype};  outputs: out\n  {statements}\n}}\n")


def document_lengths(row):
    """Of the documents of each sequence, in order; the same in every run. No tile divides them."""
    draw, out = random.Random(row.length), []
    for _ in range(row.batch):
        cuts = sorted(draw.sample(range(1, row.length), min(DOCUMENTS, row.length) - 1))
        out.append([end - begin for begin, end in zip([0, *cuts], [*cuts, row.length])])
    return out


def document_numbers(row):
    """[batch][length]: the document each row belongs to, ascending."""
    return [[number for number, count in enumerate(lengths) for _ in range(count)] for lengths in document_lengths(row)]


def _triangle(count):
    return count * (count + 1) // 2


def visible_pairs(row):
    """Of one head, all sequences."""
    if row.mask == "full":
        return row.batch * row.length ** 2
    if row.mask == "window":
        beyond = max(0, row.length - row.window())
        return row.batch * (_triangle(row.length) - _triangle(beyond))
    if row.mask == "document":
        return sum(_triangle(count) for lengths in document_lengths(row) for count in lengths)
    return row.batch * _triangle(row.length)


def is_visible(mask, window, q_idx, kv_idx, q_document=None, kv_document=None):
    """The mask on numbers or on tensors. For `full` there is nothing to ask."""
    causal = q_idx >= kv_idx
    if mask == "window":
        return causal & (q_idx - kv_idx < window)
    if mask == "document":
        return causal & (q_document == kv_document)
    return causal


def slope(head, heads):
    """Of ALiBi (Press et al. 2022), for a power of two of heads; `head` may be a tensor."""
    return 2.0 ** (-8.0 / heads * (head + 1))


def score(mask, value, q_idx, kv_idx, head_slope=None, tanh=math.tanh):
    """What the variant makes of a scaled score, on numbers or on tensors."""
    if mask == "alibi":
        return value - head_slope * (q_idx - kv_idx)
    if mask == "softcap":
        return SOFTCAP * tanh(value / SOFTCAP)
    return value
