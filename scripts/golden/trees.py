"""Token trees of speculative decoding: the published Medusa and EAGLE trees, with the mask and the depths that Medusa's
own `generate_medusa_buffers` makes of them."""

import json
from pathlib import Path

import torch

from golden.masks import SDPA, sdpa
from golden.record import FLOAT32, FLOAT64, Family
from golden.rotary import llama_rotation, llama_config

TREES = Path(__file__).resolve().parents[2] / "tests" / "golden" / "attention" / "medusa_trees.json"


def depth_first(choices):
    """For the nodes of `choices` as Medusa numbers them (root 0, then sorted by length and value): their order depth
    first, and for each place in that order one past the last place of the node's subtree. By recursion on paths."""
    paths = [()] + [tuple(path) for path in sorted(choices, key=lambda path: (len(path), path))]
    order, ends = [], {}

    def visit(path):
        place = len(order)
        order.append(paths.index(path))
        for child in [other for other in paths if len(other) == len(path) + 1 and other[:-1] == path]:
            visit(child)
        ends[place] = len(order)

    visit(())
    return torch.tensor(order), torch.tensor([ends[place] for place in range(len(order))])


def make_trees(outside):
    """Two requests, each with its tree of 64 nodes behind 40 keys; one request with EAGLE's 26 nodes behind 110."""
    trees = json.loads(TREES.read_text())["trees"]
    (buffers,), medusa = outside.run("FasterDecoding", "Medusa", "medusa/model/utils.py", ["generate_medusa_buffers"],
                                     {"torch": torch, "TOPK": 10, "pad_path": lambda path, n, pad=-2: path + [pad] * (n - len(path))})
    families = []
    for name, seed, names, context in (("medusa", 21, ["medusa_mc_sim_7b_63", "medusa_vicuna_7b_stage2"], 40),
                                       ("eagle", 22, ["eagle_mc_sim_7b_63"], 110)):
        made = [buffers(trees[tree]["choices"], device="cpu") for tree in names]
        nodes, batch = made[0]["medusa_position_ids"].shape[0], len(names)
        family = Family(name, seed)
        query, key, value = family.inputs(batch, nodes, context + nodes, 2, 1, 16)
        tree_bits = torch.stack([one["medusa_attn_mask"][0, 0].bool() for one in made])
        depth = torch.stack([one["medusa_position_ids"] for one in made])
        family.given("bits", tree_bits)
        family.given("depth", depth.int())

        def attend(rows, keys, values, bits):
            visible = torch.cat([torch.ones(batch, nodes, context, dtype=torch.bool), bits], 2)[:, None]
            return sdpa(rows, keys, values, visible)

        source = f"{medusa}, generate_medusa_buffers of {' and '.join(names)}"
        family.output("bits", attend(query, key, value, tree_bits), f"{source}; {SDPA}", FLOAT64)

        # Nodes numbered depth first: query and key rows are what they are, the tree is another numbering of itself.
        orders = [depth_first(trees[tree]["choices"]) for tree in names]
        family.given("end", torch.stack([end for _, end in orders]).int())
        moved = torch.stack([bits[order][:, order] for bits, (order, _) in zip(tree_bits, orders)])
        family.output("subtree", attend(query, key, value, moved), f"{source}, renumbered depth first; {SDPA}", FLOAT64)

        # Positions by depth: siblings share one. Keys in the cache are rotated already, as engines keep them.
        rotate = llama_rotation(llama_config(16), context + depth)
        family.output("rotary_by_depth", attend(rotate(query), key, value, tree_bits),
                      f"{source}; transformers LlamaRotaryEmbedding, apply_rotary_pos_emb; {SDPA}", FLOAT32)
        families.append(family)
    return families
