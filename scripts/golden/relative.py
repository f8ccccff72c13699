"""Relative positions that are vectors (Shaw, Transformer-XL, XLNet, DeBERTa), CoPE, xPos, added sinusoids, and weights
other than the plain softmax. Much of it the compiler refuses today: these check what the language means."""

import torch
from transformers.models.deberta import modeling_deberta as deberta
from transformers.models.deberta_v2 import modeling_deberta_v2 as deberta_v2
from transformers.models.distilbert import modeling_distilbert as distilbert
from transformers.models.wav2vec2_bert import modeling_wav2vec2_bert as wav2vec2_bert
from transformers.models.xlnet import modeling_xlnet as xlnet
from torchscale.component.xpos_relative_position import XPOS
from x_transformers.x_transformers import CoPE

from golden.masks import SDPA, sdpa
from golden.record import FLOAT32, FLOAT64, Family, Given, softmax_attention
from golden.rotary import HF, by_module, padded_rows, qkv


def make_shaw():
    """Keys with a table of clipped distances: 7 to the left, 4 to the right."""
    family = Family("shaw", seed=51)
    tensors = query, key, value = family.inputs(1, 40, 40, 2, 2, 8)
    config = wav2vec2_bert.Wav2Vec2BertConfig(hidden_size=16, num_attention_heads=2, left_max_position_embeddings=7,
                                              right_max_position_embeddings=4, position_embeddings_type="relative_key")
    config._attn_implementation = "eager"
    module = wav2vec2_bert.Wav2Vec2BertSelfAttention(config)
    with torch.no_grad():
        module.distance_embedding.weight.copy_(family.normal("rel", 12, 8))
    out = by_module(module, qkv(("linear_q", "linear_k", "linear_v"), *tensors), query, "linear_out")
    family.output("keys", out, f"{HF} Wav2Vec2BertSelfAttention, relative_key", FLOAT64)

    # Keys and values, equations (3) to (5) of Shaw et al. 2018, by plain loops over rows and keys.
    rel, rel_v = family.tensors["rel"].double(), family.normal("rel_v", 12, 8)
    out = torch.zeros_like(query)
    for h in range(2):
        for i in range(40):
            places = [min(max(j - i, -7), 4) + 7 for j in range(40)]
            scores = torch.stack([query[0, h, i] @ (key[0, h, j] + rel[p]) for j, p in enumerate(places)]) / 8 ** 0.5
            weights = torch.softmax(scores, 0)
            out[0, h, i] = sum(w * (value[0, h, j] + rel_v[p]) for j, (p, w) in enumerate(zip(places, weights)))
    family.output("keys_and_values", out, "equations (3) to (5) of the paper by plain loops, float64", FLOAT64)
    return family


def make_xl(outside):
    """Transformer-XL's layer with 30 keys of memory, and XLNet's with segments."""
    family = Family("xl", seed=52)
    query, key, value = family.inputs(1, 20, 50, 2, 2, 8)
    u, v = family.normal("u", 2, 8, dtype=torch.float32), family.normal("v", 2, 8, dtype=torch.float32)
    rel = family.normal("rel", 2, 50, 8)                     # [heads, distance 0 … 49, channels]

    (_, layer), source = outside.run("kimiyoung", "transformer-xl", "pytorch/mem_transformer.py",
                                     ["RelMultiHeadAttn", "RelPartialLearnableMultiHeadAttn"],
                                     {"torch": torch, "nn": torch.nn, "F": torch.nn.functional})
    module = layer(2, 16, 8, 0.0).double().eval()
    heads = torch.cat([padded_rows(query, 50), key, value], 1)            # all queries, all keys, all values
    module.qkv_net.forward = lambda _: heads[0].permute(1, 0, 2).reshape(50, 1, 48)
    module.r_net.forward = lambda _: rel.flip(1).permute(1, 0, 2).reshape(50, 16)   # distances from the largest down
    module.o_net, module.layer_norm = torch.nn.Identity(), torch.nn.Identity()
    rows, memory = torch.zeros(20, 1, 16, dtype=torch.float64), torch.zeros(30, 1, 16, dtype=torch.float64)
    hidden = torch.ones(20, 50, dtype=torch.bool).triu(31)
    with torch.no_grad():
        out = module(rows, torch.zeros(50, 16, dtype=torch.float64), u, v, attn_mask=hidden[:, :, None], mems=memory)
    family.output("transformer_xl", out.view(20, 1, 2, 8).permute(1, 2, 0, 3), f"{source}, {layer.__name__}", FLOAT32)

    config = xlnet.XLNetConfig(d_model=16, n_head=2, vocab_size=8, n_layer=1)
    module = xlnet.XLNetRelativeAttention(config).eval().double()
    s = family.normal("s", 2, 8, dtype=torch.float32)
    segments = family.normal("segments", 2, 2, 8)            # [heads, same or other, channels]
    both = family.normal("both", 2, 70, 8)                   # [heads, distances from 50 down to -19, channels]
    segment = family.given("segment", (torch.arange(50) >= 27).int()[None])
    other = (segment[0, 30:, None] != segment[0, None]).long()
    with torch.no_grad():
        for parameter, given in ((module.r_w_bias, u), (module.r_r_bias, v), (module.r_s_bias, s),
                                 (module.seg_embed, segments.transpose(0, 1))):
            parameter.copy_(given)
        first = [x.permute(2, 0, 1, 3) for x in (query, key, value)]
        out = module.rel_attn_core(*first, both[None].permute(2, 0, 1, 3),
                                   seg_mat=torch.nn.functional.one_hot(other, 2)[:, :, None].double())
    family.output("xlnet", out.permute(1, 2, 0, 3), f"{HF} XLNetRelativeAttention.rel_attn_core", FLOAT64)
    return family


def make_deberta():
    """Both terms, content to position and position to content; v1 with distances, v2 with buckets of them."""
    family = Family("deberta", seed=53)
    query, key, value = family.inputs(1, 60, 60, 2, 2, 8)
    pos_key, pos_query = family.normal("pos_key", 2, 24, 8), family.normal("pos_query", 2, 24, 8)
    common = {"hidden_size": 16, "num_attention_heads": 2, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
    hidden, everything = torch.zeros(1, 60, 16, dtype=torch.float64), torch.ones(1, 1, 60, 60)
    embeddings = torch.zeros(24, 16, dtype=torch.float64)

    module = deberta_v2.DisentangledSelfAttention(deberta_v2.DebertaV2Config(
        **common, position_buckets=12, max_relative_positions=40, share_att_key=False)).double().eval()
    for name, tensor in (("query_proj", query), ("key_proj", key), ("value_proj", value), ("pos_key_proj", pos_key[None]),
                         ("pos_query_proj", pos_query[None])):
        setattr(module, name, Given(tensor))
    with torch.no_grad():
        out = module(hidden, everything, rel_embeddings=embeddings)[0]
    family.output("v2", out.view(1, 60, 2, 8).transpose(1, 2),
                  f"{HF} deberta_v2 DisentangledSelfAttention, 12 buckets to a distance of 40", FLOAT32)

    module = deberta.DisentangledSelfAttention(deberta.DebertaConfig(**common, max_relative_positions=12)).double().eval()
    module.in_proj = Given(torch.cat([query, key, value], -1))
    module.pos_proj, module.pos_q_proj = Given(pos_key[None]), Given(pos_query[None].clone())
    distance = deberta.build_relative_position(query, key)
    with torch.no_grad():
        out = module(hidden, everything, relative_pos=distance, rel_embeddings=embeddings)[0]
    family.output("v1", out.view(1, 60, 2, 8).transpose(1, 2), f"{HF} deberta DisentangledSelfAttention, span 12", FLOAT32)
    return family


def make_other():
    """A causal layer of 70 keys, its last 12 rows."""
    family = Family("other", seed=54)
    query, key, value = family.inputs(1, 12, 70, 2, 2, 8)
    rows = padded_rows(query, 70)
    visible = torch.ones(70, 70, dtype=torch.bool).tril()
    scale = 8 ** -0.5

    with torch.no_grad():
        cope = CoPE(8, 2, 16).double()
        cope.pos_emb.copy_(family.normal("table", 16, 8))
        scores = (rows @ key.transpose(2, 3) * scale).masked_fill(~visible, -torch.finfo(torch.float64).max)
        out, lse = softmax_attention(scores + cope(rows, scores), visible, value)
    family.output("cope", out[:, :, -12:], "x_transformers CoPE", FLOAT64, lse[:, :, -12:])

    turn = XPOS(8)
    turned, keys = turn(rows[0]), turn(key[0], downscale=True)
    out, _ = softmax_attention((turned @ keys.transpose(1, 2) * scale)[None].double(), visible, value)
    family.output("xpos", out[:, :, -12:], "torchscale XPOS", FLOAT32)

    sinusoids = torch.empty(70, 8)
    distilbert.create_sinusoidal_embeddings(70, 8, sinusoids)
    out = sdpa((rows + sinusoids)[:, :, -12:], key + sinusoids, value, visible[-12:])
    family.output("sinusoidal", out, f"{HF} distilbert create_sinusoidal_embeddings; {SDPA}", FLOAT32)

    attention = torch.nn.MultiheadAttention(16, 2, bias=False, add_zero_attn=True, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.eye(16).repeat(3, 1))
        attention.out_proj.weight.copy_(torch.eye(16))
        flat = [x.transpose(1, 2).flatten(2) for x in (query, key, value)]
        out, _ = attention(*flat, attn_mask=~visible[-12:], need_weights=False)
    family.output("off_by_one", out.view(1, 12, 2, 8).transpose(1, 2), "torch.nn.MultiheadAttention, add_zero_attn, float64",
                  FLOAT64)

    scores = query @ key.transpose(2, 3) * scale
    for name, weights in (("sigmoid", torch.sigmoid(scores - torch.log(torch.tensor(70.0, dtype=torch.float64)))),
                          ("relu_squared", torch.relu(scores) ** 2 / 70)):
        family.output(name, (weights * visible[-12:]) @ value, "plain float64", FLOAT64)
    family.output("rotary_linear", recurrent_linear(rows, key, value)[:, :, -12:],
                  "RoFormer equations (17) to (19) as a recurrence over complex numbers, float64", FLOAT64)
    return family


def recurrent_linear(query, key, value):
    """Linear attention with rotation in the numerator alone, a key at a time."""
    features = [torch.nn.functional.elu(x) + 1 for x in (query, key)]
    frequency = 10000.0 ** (-torch.arange(4, dtype=torch.float64) / 4)
    state = torch.zeros(2, 4, 8, dtype=torch.complex128)
    total, out = torch.zeros(2, 8, dtype=torch.float64), torch.zeros_like(query)
    for i in range(query.shape[2]):
        q, k = (x[0, :, i] for x in features)
        turn = torch.exp(1j * i * frequency)
        turned_q, turned_k = (torch.complex(x[:, :4], x[:, 4:]) * turn for x in (q, k))
        state += turned_k.conj()[:, :, None] * value[0, :, i][:, None]
        total += k
        out[0, :, i] = (turned_q[:, :, None] * state).sum(1).real / (q * total).sum(1, keepdim=True)
    return out
