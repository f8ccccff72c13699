"""Masks: FlexAttention's eager mode and scaled_dot_product_attention of PyTorch, the mask functions of Hugging Face,
and patterns written from the papers as plain loops."""

import itertools

import torch
from torch.nn.attention.bias import causal_lower_right, causal_upper_left
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, and_masks, flex_attention, or_masks
from torch.nn.functional import scaled_dot_product_attention
from transformers import masking_utils as hf

from golden.record import FLOAT64, Family, repeat_heads, softmax_attention

FLEX = "torch.nn.attention.flex_attention.flex_attention, eager, float64"
SDPA = "torch.nn.functional.scaled_dot_product_attention, float64"


def flex(query, key, value, mask_mod=None, score_mod=None):
    """`out`, `lse` of FlexAttention; a row without visible keys gives 0."""
    def score(s, b, h, i, j):
        s = s if score_mod is None else score_mod(s, b, h, i, j)
        return s if mask_mod is None else torch.where(mask_mod(b, h, i, j), s, -torch.inf)

    out, aux = flex_attention(query, key, value, score_mod=score, enable_gqa=True, return_aux=AuxRequest(lse=True))
    return out, aux.lse


def sdpa(query, key, value, mask):
    heads = query.shape[1]
    return scaled_dot_product_attention(query, repeat_heads(key, heads), repeat_heads(value, heads), attn_mask=mask)


def make_masks():
    """One request with 80 keys in front of its 70 rows."""
    family = Family("masks", seed=11)
    query, key, value = family.inputs(1, 70, 150, 2, 1, 8)
    past = 80

    def add(name, mask_mod, source):
        out, lse = flex(query, key, value, mask_mod)
        family.output(name, out, f"{source}; {FLEX}", FLOAT64, lse)

    def shifted(mask_mod):
        return hf.add_offsets_to_mask_function(mask_mod, past, 0)

    out = scaled_dot_product_attention(query, repeat_heads(key, 2), repeat_heads(value, 2))
    family.output("none", out, SDPA, FLOAT64)
    for name, bias in (("causal", causal_lower_right), ("causal_top_left", causal_upper_left)):
        mask = bias(70, 150)._materialize(query.device)
        family.output(name, sdpa(query, key, value, mask), f"torch.nn.attention.bias.{bias.__name__}; {SDPA}", FLOAT64)

    masking = "transformers.masking_utils"
    add("window", shifted(hf.sliding_window_causal_mask_function(32)), f"{masking}.sliding_window_causal_mask_function(32)")
    add("window_both_sides", shifted(hf.sliding_window_bidirectional_overlay(20)),
        f"{masking}.sliding_window_bidirectional_overlay(20)")
    add("chunks", shifted(hf.chunked_causal_mask_function(48, torch.zeros(1, dtype=torch.long))),
        f"{masking}.chunked_causal_mask_function(48)")
    documents = family.given("document", torch.cumsum(torch.rand(1, 150, generator=family.generator) < 0.05, 1).int())
    add("documents", shifted(hf.and_masks(hf.causal_mask_function, hf.packed_sequence_mask_function(documents))),
        f"{masking}.packed_sequence_mask_function and causal_mask_function")
    images = family.given("image", torch.tensor([[-1] * 60 + [0] * 35 + [-1] * 11 + [1] * 24 + [-1] * 20]).int())
    add("images_in_text", shifted(hf.or_masks(hf.causal_mask_function, hf.blockwise_overlay(images))),
        f"{masking}.blockwise_overlay or causal_mask_function")

    def causal(b, h, i, j):
        return i + past >= j

    flex_masks = "a mask_mod as in the FlexAttention tutorial"
    add("prefix_lm", or_masks(lambda b, h, i, j: j < 100, causal), f"{flex_masks}, or_masks")
    add("first_keys_and_window", and_masks(or_masks(lambda b, h, i, j: j < 4, lambda b, h, i, j: i + past - j < 24), causal),
        f"StreamingLLM, {flex_masks}")
    add("dilated", lambda b, h, i, j: (i + past - j >= 0) & (i + past - j <= 60) & ((i + past - j) % 4 == 0),
        f"Longformer's dilated window, {flex_masks}")
    add("strided", lambda b, h, i, j: causal(b, h, i, j) & ((i + past - j < 12) | ((i + past - j) % 12 == 0)),
        f"Sparse Transformers' strided attention, {flex_masks}")
    add("fixed", lambda b, h, i, j: causal(b, h, i, j) & ((torch.div(i + past, 16, rounding_mode="floor") == torch.div(
        j, 16, rounding_mode="floor")) | (j % 16 >= 13)), f"Sparse Transformers' fixed attention, {flex_masks}")
    add("global_tokens", lambda b, h, i, j: ((i + past - j).abs() <= 16) | (j < 5) | (i < 3),
        f"Longformer's window with global tokens, {flex_masks}")
    add("heads_differ", lambda b, h, i, j: causal(b, h, i, j) & (i + past - j <= 16 << (2 * h)),
        f"a window a head, {flex_masks}")
    add("hidden_rows", lambda b, h, i, j: (j < i - 20) & (i % 7 != 0), f"rows without a key, {flex_masks}")

    bits = family.given("bits", torch.rand(1, 70, 150, generator=family.generator) < 0.3)
    family.output("bits", sdpa(query, key, value, bits[:, None]), SDPA, FLOAT64)
    counts = torch.tensor([[[2, 3, 1, 2, 4], [1, 1, 3, 2, 2]]], dtype=torch.int32)
    columns = torch.stack([torch.stack([torch.randperm(10, generator=family.generator) for _ in range(5)]) for _ in range(2)])
    blocks = BlockMask.from_kv_blocks(counts, columns[None].int(), BLOCK_SIZE=(16, 16), seq_lengths=(80, 160))
    table = family.given("blocks", blocks.to_dense()[0].to(torch.int8))
    points = table.bool().repeat_interleave(16, 1).repeat_interleave(16, 2)[None, :, :70, :150]
    family.output("block_table", sdpa(query, key, value, points), f"BlockMask.from_kv_blocks; {SDPA}", FLOAT64)
    return family


def neighbors(extent, radius, cell):
    """The window of `2 * radius + 1` around a coordinate, moved inside at the edges (Hassani et al. 2023)."""
    start = min(max(cell - radius, 0), extent - 2 * radius - 1)
    return range(start, start + 2 * radius + 1)


def make_grids():
    """Neighbourhoods on a grid: every point of it is a row and a key."""
    family = Family("grids", seed=12)
    query, key, value = family.inputs(1, 72, 72, 1, 1, 8)
    for name, extents, radii in (("neighborhood_2d", (8, 9), (2, 2)), ("neighborhood_3d", (3, 4, 6), (1, 1, 2)),
                                 ("rectangle", (6, 12), (1, 3))):
        cells = list(itertools.product(*map(range, extents)))
        visible = torch.tensor([[all(k in neighbors(n, r, q) for k, q, n, r in zip(other, cell, extents, radii))
                                 for other in cells] for cell in cells])
        family.output(name, sdpa(query, key, value, visible),
                      f"windows of NATTEN by plain loops; {SDPA}", FLOAT64)
    return family


def make_requests():
    """Three requests of different lengths."""
    family = Family("requests", seed=13, dtype=torch.float16)
    query, key, value = family.inputs(3, 9, 70, 2, 2, 8)
    lengths = family.given("lengths", torch.tensor([70, 33, 1], dtype=torch.int32))
    prefix = family.given("prefix", torch.tensor([0, 66, 20], dtype=torch.int32))
    padded = torch.arange(70)[None] < lengths[:, None]
    attended = hf.and_masks(hf.bidirectional_mask_function, hf.padding_mask_function(padded))
    source = "transformers.masking_utils.padding_mask_function"
    out, lse = flex(query, key, value, attended)
    family.output("padding", out, f"{source}; {FLEX}", FLOAT64, lse)
    left = hf.and_masks(hf.add_offsets_to_mask_function(hf.causal_mask_function, 61, 0),
                        hf.padding_mask_function(padded.flip(1)))
    out, lse = flex(query, key, value, left)
    family.output("padding_on_the_left", out, f"{source}, causal_mask_function; {FLEX}", FLOAT64, lse)
    out, lse = flex(query, key, value, lambda b, h, i, j: (j < prefix[b]) | (j <= i + 61))
    family.output("prefix_of_the_request", out, FLEX, FLOAT64, lse)

    # Left and right padding of one batch as scaled_dot_product_attention takes it: a row of the mask a request.
    visible = padded[:, None, None, :] & (torch.arange(9)[None, :] < lengths[:, None])[:, None, :, None]
    out, lse = softmax_attention(query @ key.transpose(2, 3) / 8 ** 0.5, visible, value)
    family.output("padding_of_queries_and_keys", out, "plain softmax in float64", FLOAT64, lse)
    return family
