"""Rotary positions: whole attention modules of Hugging Face whose projections return the stored tensors, so that the
models' own code rotates, scores and weighs. Frequencies and cos, sin are float32 there."""

import torch
from transformers.models.gpt_neox import modeling_gpt_neox as neox
from transformers.models.gptj import modeling_gptj as gptj
from transformers.models.llama import modeling_llama as llama
from transformers.models.qwen2_vl import modeling_qwen2_vl as qwen2_vl
from transformers.models.qwen3_vl import modeling_qwen3_vl as qwen3_vl
from transformers.models.roformer import modeling_roformer as roformer

from golden.record import FLOAT32, Family, Given, repeat_heads, softmax_attention

HF = "transformers"


def llama_config(head_dim, heads=2, kv_heads=1, limit=2048, **rope):
    config = llama.LlamaConfig(hidden_size=heads * head_dim, num_attention_heads=heads, num_key_value_heads=kv_heads,
                               head_dim=head_dim, max_position_embeddings=limit, num_hidden_layers=1, vocab_size=8,
                               intermediate_size=8, rope_parameters={"rope_type": "default", "rope_theta": 10000.0} | rope)
    config._attn_implementation = "eager"
    return config


def llama_rotation(config, positions):
    """Turns [batch, heads, rows, channels] by Llama's code, rows at `positions` [batch, rows]."""
    cos, sin = llama.LlamaRotaryEmbedding(config)(torch.zeros(1, dtype=torch.float64), positions)
    return lambda x: llama.apply_rotary_pos_emb(x, x, cos, sin)[0]


def padded_rows(query, kv_len):
    """Self-attention has as many rows as keys: the asked ones are the last."""
    return torch.cat([query.new_zeros(*query.shape[:2], kv_len - query.shape[2], query.shape[3]), query], 2)


def causal_bias(kv_len):
    return torch.full((1, 1, kv_len, kv_len), -torch.inf, dtype=torch.float64).triu(1)


def by_module(module, projections, query, output, *arguments, **options):
    """Runs an attention module with its projections replaced by tensors [batch, heads, rows, channels]; the last rows,
    as many as `query` has, of what would enter its output projection."""
    module = module.double().eval()
    for name, tensor in projections.items():
        setattr(module, name, Given(tensor))
    setattr(module, output, torch.nn.Identity())
    rows = next(iter(projections.values())).shape[2]
    with torch.no_grad():
        out = module(torch.zeros(query.shape[0], rows, 1, dtype=torch.float64), *arguments, **options)[0]
    return out.unflatten(-1, (query.shape[1], -1)).transpose(1, 2)[:, :, -query.shape[2]:]


def qkv(names, query, key, value):
    """The projections of a module that has three, by their names there."""
    return dict(zip(names, (padded_rows(query, key.shape[2]), key, value)))


def by_llama(config, tensors, positions, causal=True):
    kv_len = tensors[1].shape[2]
    rotary = llama.LlamaRotaryEmbedding(config)
    cos_sin = rotary(torch.zeros(1, dtype=torch.float64), positions)
    mask = causal_bias(kv_len) if causal else None
    return by_module(llama.LlamaAttention(config, 0), qkv(("q_proj", "k_proj", "v_proj"), *tensors), tensors[0], "o_proj",
                     position_embeddings=cos_sin, attention_mask=mask)


def make_rotary():
    """One request of 70 keys whose positions begin at 40, and its last 20 rows."""
    family = Family("rotary", seed=31)
    tensors = family.inputs(1, 20, 70, 2, 1, 32)
    positions = torch.arange(70)[None] + 40

    def add(name, causal=True, limit=2048, **rope):
        out = by_llama(llama_config(32, limit=limit, **rope), tensors, positions, causal)
        family.output(name, out, f"{HF} LlamaAttention, rope_parameters {rope}", FLOAT32)

    add("half_split")
    add("half_split_bidirectional", causal=False, rope_theta=500000.0)
    add("linear", rope_type="linear", factor=4.0)
    # The base grows with the longest position so far: 110 here, trained for 48.
    add("dynamic_ntk", limit=48, rope_type="dynamic", factor=2.0)
    add("yarn", limit=64, rope_type="yarn", factor=4.0, original_max_position_embeddings=64)
    add("yarn_of_qwen", rope_type="yarn", factor=4.0, original_max_position_embeddings=32768, rope_theta=1e6)
    add("yarn_of_gpt_oss", rope_type="yarn", factor=32.0, original_max_position_embeddings=4096, truncate=False,
        rope_theta=150000.0)
    # The magnitudes of DeepSeek-V2-Lite: the cosines keep 1, the softmax scale (not rotation's business) does not.
    add("yarn_of_deepseek", rope_type="yarn", factor=40.0, original_max_position_embeddings=4096, mscale=0.707,
        mscale_all_dim=1.0)
    add("llama3", rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=8192, rope_theta=500000.0)
    add("llama3_short_training", rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=256, rope_theta=10000.0)
    short = [1.0 + 0.05 * i for i in range(16)]
    long = [1.0 + 0.5 * i for i in range(16)]
    family.given("short_factor", torch.tensor(short, dtype=torch.float32))
    family.given("long_factor", torch.tensor(long, dtype=torch.float32))
    for name, original in (("longrope_short", 1024), ("longrope_long", 64)):
        add(name, rope_type="longrope", factor=8.0, original_max_position_embeddings=original, short_factor=short,
            long_factor=long)
    return family


def make_rotary_layouts():
    """Partial and interleaved rotation; heads are not shared in these models."""
    family = Family("rotary_layouts", seed=32, dtype=torch.float16)
    tensors = query, key, value = family.inputs(1, 20, 70, 2, 2, 32)
    kv_len, positions = 70, torch.arange(70)[None]
    mask = causal_bias(kv_len)

    config = gptj.GPTJConfig(n_embd=64, n_head=2, rotary_dim=16, n_positions=128)
    config._attn_implementation = "eager"
    sin_cos = gptj.GPTJRotaryEmbedding(config)(torch.zeros(1, dtype=torch.float64), positions)
    out = by_module(gptj.GPTJAttention(config, 0), qkv(("q_proj", "k_proj", "v_proj"), *tensors), query, "out_proj",
                    position_embeddings=sin_cos, attention_mask=mask)
    family.output("gptj", out, f"{HF} GPTJAttention, rotary_dim 16", FLOAT32)

    config = neox.GPTNeoXConfig(hidden_size=64, num_attention_heads=2, rope_parameters={
        "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}, max_position_embeddings=128)
    config._attn_implementation = "eager"
    cos_sin = neox.GPTNeoXRotaryEmbedding(config)(torch.zeros(1, dtype=torch.float64), positions)
    module = neox.GPTNeoXAttention(config, 0)
    fused = torch.cat([padded_rows(query, kv_len), key, value], -1)          # of each head: query, key, value
    out = by_module(module, {"query_key_value": fused}, query, "dense", mask, position_embeddings=cos_sin)
    family.output("neox", out, f"{HF} GPTNeoXAttention, partial_rotary_factor 0.25", FLOAT32)

    config = roformer.RoFormerConfig(hidden_size=64, num_attention_heads=2, embedding_size=64)
    angles = roformer.RoFormerSinusoidalPositionalEmbedding(128, 32)
    with torch.no_grad():
        angles.weight.copy_(angles.create_weight())
    sinusoid = angles((1, kv_len)).double()[None, None]
    out = by_module(roformer.RoFormerSelfAttention(config), qkv(("query", "key", "value"), *tensors), query, "dropout",
                    sinusoidal_pos=sinusoid)
    family.output("roformer", out, f"{HF} RoFormerSelfAttention", FLOAT32)
    return family


def vision_tokens():
    """Positions [3, 1, 70] of text, a 4 × 6 image, text, a video of 2 frames of 3 × 4: time, row, column (Qwen2-VL)."""
    places = []

    def text(count):
        start = max((max(place) for place in places), default=-1) + 1
        places.extend((start + i,) * 3 for i in range(count))

    def grid(frames, height, width):
        start = max(max(place) for place in places) + 1
        places.extend((start + t, start + y, start + x) for t in range(frames) for y in range(height) for x in range(width))

    text(9)
    grid(1, 4, 6)
    text(5)
    grid(2, 3, 4)
    text(70 - len(places))
    return torch.tensor(places).T[:, None]


def make_rotary_axes():
    """Positions of several axes: Qwen2-VL's sections, Qwen3-VL's interleaved ones, and rows and columns of an image."""
    family = Family("rotary_axes", seed=33)
    query, key, value = family.inputs(1, 20, 70, 2, 1, 32)
    positions = vision_tokens()
    family.given("at", positions[:, 0].int())
    rope = {"rope_type": "default", "rope_theta": 1000000.0}
    mask = causal_bias(70)

    def attend(rotate):
        rows = rotate(padded_rows(query, 70))[:, :, -20:]
        scores = rows @ repeat_heads(rotate(key), 2).transpose(2, 3) / 32 ** 0.5
        return softmax_attention(scores, torch.isfinite(mask[:, :, -20:]), value)

    for name, library, config, section in (
            ("qwen2_vl", qwen2_vl, qwen2_vl.Qwen2VLTextConfig, [4, 6, 6]), ("qwen3_vl", qwen3_vl, qwen3_vl.Qwen3VLTextConfig, [6, 5, 5])):
        options = config(hidden_size=64, num_attention_heads=2, num_key_value_heads=1, head_dim=32,
                         rope_parameters=rope | {"mrope_section": section})
        embedding = getattr(library, "Qwen2VLRotaryEmbedding" if name == "qwen2_vl" else "Qwen3VLTextRotaryEmbedding")
        cos, sin = embedding(options)(torch.zeros(1, dtype=torch.float64), positions)
        out, lse = attend(lambda x: library.apply_rotary_pos_emb(x, x, cos, sin)[0])
        family.output(name, out, f"{HF} {embedding.__name__}, mrope_section {section}, apply_rotary_pos_emb; plain softmax",
                      FLOAT32)

    options = qwen2_vl.Qwen2VLVisionConfig(embed_dim=64, num_heads=2)
    options.rope_parameters = {"rope_type": "axial", "rope_theta": 10000.0}
    options.num_attention_heads = 2
    options.head_dim = 32
    places = torch.stack([torch.arange(70) // 10, torch.arange(70) % 10])
    cos, sin = qwen2_vl.Qwen2VLVisionRotaryEmbedding(options)(torch.zeros(1), places[None])
    rows_first = (x.transpose(1, 2)[0] for x in (padded_rows(query, 70), repeat_heads(key, 2)))
    rows, keys = qwen2_vl.apply_rotary_pos_emb_vision(*rows_first, cos[0], sin[0])
    scores = torch.einsum("ihd,jhd->hij", rows[-20:], keys)[None] / 32 ** 0.5
    out, _ = softmax_attention(scores, torch.ones(1, 1, 20, 70, dtype=torch.bool), value)
    family.output("vision_encoder", out, f"{HF} Qwen2VLVisionRotaryEmbedding, apply_rotary_pos_emb_vision; plain softmax", FLOAT32)
    return family
