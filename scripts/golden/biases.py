"""Biases and other changes of the score: Hugging Face's T5, BLOOM, MPT, Gemma 2 and gpt-oss modules, the authors' code
of KERPLE, Sandwich (in NeMo) and FIRE, and FlexAttention's score_mod."""

import types

import torch
from transformers.models.bloom import modeling_bloom as bloom
from transformers.models.gemma2 import modeling_gemma2 as gemma2
from transformers.models.gpt_oss import modeling_gpt_oss as gpt_oss
from transformers.models.mpt import modeling_mpt as mpt
from transformers.models.t5 import modeling_t5 as t5

from golden.masks import FLEX, flex
from golden.record import FLOAT32, FLOAT64, Family, softmax_attention
from golden.rotary import HF, by_module, causal_bias, padded_rows, qkv


def make_scores():
    """Closed forms, by FlexAttention's score_mod. The rows are the last of the keys."""
    family = Family("scores", seed=41)
    query, key, value = family.inputs(2, 12, 70, 4, 2, 16)

    def add(name, score_mod, mask_mod=None, note=""):
        out, lse = flex(query, key, value, mask_mod, score_mod)
        family.output(name, out, f"{note or 'score_mod'}; {FLEX}", FLOAT64, lse)

    def causal(b, h, i, j):
        return j <= i + 58

    slopes = torch.tensor([2.0 ** (-8 * (h + 1) / 4) for h in range(4)], dtype=torch.float64)
    add("softcap", lambda s, b, h, i, j: 2 * torch.tanh(s / 2))
    add("alibi", lambda s, b, h, i, j: s - slopes[h] * (i + 58 - j), causal, "score_mod with Press et al.'s slopes of 4 heads")
    add("alibi_symmetric", lambda s, b, h, i, j: s - slopes[h] * (i + 20 - j).abs())
    add("softcap_then_alibi", lambda s, b, h, i, j: 2 * torch.tanh(s / 2) - slopes[h] * (i + 58 - j), causal)
    add("alibi_then_softcap", lambda s, b, h, i, j: 2 * torch.tanh((s - slopes[h] * (i + 58 - j)) / 2), causal)
    bias = family.normal("bias", 2, 4, 12, 70, dtype=torch.float16)
    add("bias_of_points", lambda s, b, h, i, j: s + bias[b, h, i, j])
    add("hidden_by_the_score", lambda s, b, h, i, j: torch.where((i + j) % 3 == 0, -torch.inf, s))
    return family


def make_alibi():
    """Six heads: the slopes of a head count that is no power of two."""
    family = Family("alibi", seed=42)
    query, key, value = family.inputs(1, 12, 70, 6, 6, 8)
    mask = causal_bias(70)
    module = bloom.BloomAttention(bloom.BloomConfig(hidden_size=48, n_head=6), 0)
    fused = torch.cat([padded_rows(query, 70), key, value], -1)
    alibi = bloom.build_alibi_tensor(torch.ones(1, 70, dtype=torch.long), 6, torch.float64)
    out = by_module(module, {"query_key_value": fused}, query, "dense",
                    residual=torch.zeros(1, 70, 48, dtype=torch.float64), alibi=alibi, attention_mask=mask)
    family.output("bloom", out, f"{HF} BloomAttention, build_alibi_tensor", FLOAT32)

    module = mpt.MptAttention(mpt.MptConfig(d_model=48, n_heads=6), 0)
    heads_last = torch.cat([padded_rows(query, 70), key, value], 1)
    bias = mpt.build_mpt_alibi_tensor(6, 70).double()
    out = by_module(module, {"Wqkv": heads_last}, query, "out_proj", bias, attention_mask=~torch.isfinite(mask))
    family.output("mpt", out, f"{HF} MptAttention, build_mpt_alibi_tensor", FLOAT32)
    return family


def make_t5():
    """Rows 60 to 83 of 170: buckets on both sides, and those past the largest distance."""
    family = Family("t5", seed=43)
    query, key, value = family.inputs(1, 24, 170, 2, 2, 8)
    for name, decoder, buckets, distance in (("bidirectional", False, 32, 128), ("causal", True, 32, 128),
                                             ("few_buckets", False, 12, 40)):
        config = t5.T5Config(d_model=16, d_kv=8, num_heads=2, relative_attention_num_buckets=buckets,
                             relative_attention_max_distance=distance, is_decoder=decoder)
        config._attn_implementation = "eager"
        module = t5.T5Attention(config, has_relative_attention_bias=True, layer_idx=0)
        table = family.normal(f"bias_{name}", buckets, 2, dtype=torch.float32)
        with torch.no_grad():
            module.relative_attention_bias.weight.copy_(table)
        rows = torch.zeros(1, 2, 170, 8, dtype=torch.float64)
        rows[:, :, 60:84] = query
        out = by_module(module, {"q": rows, "k": key, "v": value}, rows, "o", mask=causal_bias(170) if decoder else None)
        family.output(name, out[:, :, 60:84], f"{HF} T5Attention, {buckets} buckets, max_distance {distance}", FLOAT64)
    return family


def make_models():
    """Layers of models as they are: Gemma 2's local layer (rotation, softcap, window, its own scale) and gpt-oss's
    (rotation, window, a sink a head)."""
    family = Family("models", seed=44)
    tensors = family.inputs(1, 20, 70, 4, 2, 16)
    positions = torch.arange(70)[None]
    distance = torch.arange(70)[:, None] - torch.arange(70)[None]
    mask = causal_bias(70).masked_fill(distance >= 24, -torch.inf)
    common = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    rope = {"rope_type": "default", "rope_theta": 10000.0}

    config = gemma2.Gemma2Config(**common, query_pre_attn_scalar=24, attn_logit_softcapping=3.0, rope_parameters=rope)
    config._attn_implementation = "eager"
    cos_sin = gemma2.Gemma2RotaryEmbedding(config)(torch.zeros(1, dtype=torch.float64), positions)
    out = by_module(gemma2.Gemma2Attention(config, 0), qkv(("q_proj", "k_proj", "v_proj"), *tensors), tensors[0], "o_proj",
                    position_embeddings=cos_sin, attention_mask=mask)
    family.output("gemma2", out, f"{HF} Gemma2Attention, attn_logit_softcapping 3, query_pre_attn_scalar 24", FLOAT32)

    config = gpt_oss.GptOssConfig(**common, rope_parameters=rope)
    config._attn_implementation = "eager"
    cos_sin = gpt_oss.GptOssRotaryEmbedding(config)(torch.zeros(1, dtype=torch.float64), positions)
    module = gpt_oss.GptOssAttention(config, 0)
    with torch.no_grad():
        module.sinks.copy_(family.normal("sinks", 4, dtype=torch.float32))
    out = by_module(module, qkv(("q_proj", "k_proj", "v_proj"), *tensors), tensors[0], "o_proj", position_embeddings=cos_sin,
                    attention_mask=mask)
    family.output("gpt_oss", out, f"{HF} GptOssAttention with sinks", FLOAT32)
    return family


def make_papers(outside):
    """Biases from the code of the papers' authors: a causal layer of 70 keys and its last 12 rows."""
    family = Family("papers", seed=45)
    query, key, value = family.inputs(1, 12, 70, 4, 4, 8)
    visible = torch.ones(70, 70, dtype=torch.bool).tril()
    plain = padded_rows(query, 70) @ key.transpose(2, 3) / 8 ** 0.5

    def add(name, scores, source, arithmetic):
        out, lse = softmax_attention(scores, visible, value)
        family.output(name, out[:, :, -12:], source, arithmetic, lse[:, :, -12:])

    cuda = types.SimpleNamespace(current_device=lambda: "cpu")               # the layers ask for a device to make parameters on
    megatron = {"torch": types.SimpleNamespace(**{name: getattr(torch, name) for name in dir(torch) if name != "cuda"}, cuda=cuda),
                "Parameter": torch.nn.Parameter, "math": __import__("math"),
                "get_model_parallel_world_size": lambda: 1, "get_model_parallel_rank": lambda: 0}
    (log, power), source = outside.run("chijames", "KERPLE", "megatron/mpu/layers.py",
                                       ["ParallelKerpleLog", "ParallelKerplePower"], megatron)
    p = family.given("p", torch.rand(4, generator=family.generator) * 1.8 + 0.1)
    a = family.given("a", torch.rand(4, generator=family.generator) * 0.9 + 0.05)
    options = types.SimpleNamespace(num_attention_heads=4, pos_emb="kerple_pa_", params_dtype=torch.float64)
    for name, layer in (("kerple_log", log(options)), ("kerple_power", power(options))):
        layer.bias_p.data, layer.bias_a.data = p.double()[:, None, None], a.double()[:, None, None]
        add(name, layer.double()(plain).detach(), f"{source}, {type(layer).__name__}", FLOAT64)

    folder = "nemo/collections/nlp/modules/common/megatron/position_embedding"
    (distances,), _ = outside.run("NVIDIA", "NeMo", f"{folder}/alibi_relative_position_embedding.py",
                                  ["build_relative_position"], {"torch": torch})
    (sandwich,), source = outside.run("NVIDIA", "NeMo", f"{folder}/sandwich_relative_position_embedding.py",
                                      ["SandwichRelativePositionEmbedding"],
                                      {"torch": torch, "experimental": lambda x: x, "build_relative_position": distances})
    bias = sandwich(True, 4, None, 16, 128)(70, 70)
    add("sandwich", plain + bias.double(), f"{source}, hidden_size 16", FLOAT32)

    (fire,), source = outside.run("chuanyang-Zheng", "DAPE", "DAPE.py", ["FIRE"], {"torch": torch, "nn": torch.nn})
    layer = fire(num_heads=4, mlp_width=8, init_c=0.1, init_L=30.0)
    with torch.no_grad():
        for name, parameter in (("w1", layer.mlp[0].weight), ("b1", layer.mlp[0].bias), ("w2", layer.mlp[2].weight),
                                ("b2", layer.mlp[2].bias)):
            parameter.copy_(family.normal(name, *parameter.squeeze(-1).shape, dtype=torch.float32).view_as(parameter))
        bias = layer(torch.zeros(1, 4, 70, 70))
    add("fire", plain + bias.double(), f"{source}, class FIRE, L 30", FLOAT32)
    return family
