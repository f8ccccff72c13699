"""Random specifications of the language's whole breadth, for random_specs.py: all layouts and mixed precisions, scales,
wide rows, positions of one's own, tables of relative rows, sinks of rows, outputs, masks by data."""

PARAMETERS = {
    "documents": "documents: i32[batch, kv_len] in 0..5 ascending",
    "lengths": "lengths: i32[batch] in 0..kv_len",
    "pad": "pad: bool[batch, kv_len]",
    "bits": "bits: bit[kv_heads, q_len, kv_len]",
    "places": "places: i32[batch, kv_len] in 0..500",
    "radius": "radius: i32[q_heads] in 0..kv_len",
    "step": "step: i32 in 1..64 = 7",
    "u": "u: f32[q_heads, head_dim]",
    "span": "span: bf16[q_heads, 301, head_dim]",
    "near_k": "near_k: f16[41, head_dim]",
    "near_q": "near_q: bf16[q_heads, 41, head_dim]",
    "gain": "gain: f32[batch, q_len, q_heads]",
    "gates": "gates: bf16[batch, q_len, q_heads, head_dim_v]",
    "weight_v": "weight_v: f32[head_dim_v]",
    "first": "first: bf16[batch, kv_len, kv_heads, head_dim_v]",
    "factor": "factor: f32",
    "grid": "grid: f32[9, 9, q_heads]",
}

# Parameters by rows of a request; the layouts of requests one behind the other number rows otherwise.
PADDED_ONLY = ("documents", "pad", "bits", "places", "gain", "gates", "first")


def broad(base):
    """The class of such specifications, over the generator of random_specs.py."""

    class BroadGenerator(base):
        parameters = dict(base.parameters, **PARAMETERS)

        def __init__(self, seed):
            super().__init__(seed)
            self.lengths = self.chance(0.35)
            self.wide = self.chance(0.12)

        def pick(self, choices):
            allowed = [text for text in choices if not (self.lengths and any(name in text for name in PADDED_ONLY))]
            return self.random.choice(allowed)

        def mask(self):
            more = [
                "documents[b, clamp(q_idx + kv_len - q_len, 0, kv_len - 1)] == documents[b, kv_idx]", "kv_idx < lengths[b]", "pad[b, kv_idx]",
                "bits[kv_head, q_idx, kv_idx]", "q_pos - kv_pos <= radius[h]", "q_pos // step == kv_pos // step",
                "(kv_pos % step == 0 or q_pos - kv_pos < step)", "near(q_idx, kv_idx, kv_len, 9)", "near(q_idx, kv_idx, kv_len, step)",
                "neighborhood_2d(12, 11, 2)", "(q_idx & 3) == (kv_idx & 3)", "(h % 2 == 0 or q_pos - kv_pos < 20)",
                "kv_idx >> 4 <= q_idx >> 4", "not (kv_idx > 10 and kv_idx < 30)",
            ]
            if self.lengths:
                more = [text for text in more if not text.startswith("near(q_idx")]
            one = self.pick(more) if self.chance(0.6) else super().mask()
            two = self.pick(more) if self.chance(0.3) else None
            return f"({one}) {self.random.choice(['and', 'or'])} ({two})" if two else one

        def bias(self):
            if self.chance(0.4):
                return super().bias() if not self.lengths else self.random.choice(["alibi()", "of_heads[h]", "buckets[t5_bucket(kv_pos - q_pos), h]"])
            return self.pick([
                "0.2 * dot(query, near_k[clamp(kv_pos - q_pos, -20, 20) + 20])",
                "0.2 * dot(key, near_q[h, clamp(q_pos - kv_pos, -20, 20) + 20])",
                "0.2 * dot(query + u[h], span[h, clamp(q_pos - kv_pos, -150, 150) + 150])",
                "gain[b, q_idx, h]", "gain[b, q_idx, h] * alibi()", "0.001 * places[b, kv_idx]",
                "grid[q_idx % 5 - kv_idx % 5 + 4, q_idx // 5 % 5 - kv_idx // 5 % 5 + 4, h]",
                "kerple_log(0.5, 0.3)", "sandwich(16) * 0.1", "factor * (kv_pos - q_pos)",
            ])

        def positions(self):
            if self.wide or not self.chance(0.25):
                return []
            return [self.pick([
                "q_pos = places[b, clamp(q_idx + kv_len - q_len, 0, kv_len - 1)]\n  kv_pos = places[b, kv_idx]", "q_pos = q_idx",
                "q_pos = q_idx + 3\n  kv_pos = kv_idx + 1", "q_pos = 2 * q_idx\n  kv_pos = 2 * kv_idx"])]

        def rows(self):
            if self.wide:
                return ["value = key[0:head_dim_v]"] if self.chance(0.5) else []
            if self.chance(0.3):
                return [self.pick([
                    "query = rope(query, q_pos, dim = head_dim // 2)\n  key = rope(key, kv_pos, dim = head_dim // 2)",
                    "query = rope(query, q_pos / 4.0)\n  key = rope(key, kv_pos / 4.0)",
                    "query = rope(rms_norm(query, norm), q_pos)\n  key = rope(rms_norm(key, norm), kv_pos)",
                    "query = rotate(query, fn(p) = q_pos * yarn(p, 8, 64)) * yarn_magnitude(8)",
                    "query = query + sinusoidal(q_pos, head_dim)\n  key = key + sinusoidal(kv_pos, head_dim)",
                    "query = if h % 2 == 0 then rope(query, q_pos) else query", "query = clamp(query, -factor, factor)",
                    "value = 0.5 * value + 0.5 * first[b, kv_idx, kv_head]",
                ])]
            return super().rows()

        def weights(self):
            if self.chance(0.5):
                return super().weights() if not self.lengths else "probs = softmax(score, sink = sinks[h])"
            return self.pick([
                "probs = softmax(score, sink = gain[b, q_idx, h])", "probs = softmax(score) * factor", "probs = normalize(exp(clamp(score, -9, 9)))",
                "probs = normalize(relu(score) + 0.01)", "probs = softmax(score) * (if kv_idx % 2 == 0 then 1 else 0.5)",
                "probs = normalize(dot(relu(query), relu(key)))", "probs = sigmoid(score + alibi())",
            ])

        def heads(self):
            r = self.random
            query_heads, key_heads = r.choice([("2", "2"), ("4", "2"), ("8", "1"), ("6", "3"), ("5", "1"), ("any", "2"), ("16", "2")])
            properties = [f"q_heads: {query_heads}; kv_heads: {key_heads}"]
            if self.wide:
                length, value = r.choice([(576, 512), (320, 256), (512, 512), (288, 288)])
                properties += [f"head_dim: {length}; head_dim_v: {value}", r.choice(["dtype: bf16", "dtype: f16"])]
            else:
                properties += [f"head_dim: {r.choice([8, 24, 32, 48, 64, 64, 80, 96, 112, 128, 128, 160, 192, 224, 256])}", self.types()]
                if self.chance(0.2):
                    properties.append(f"head_dim_v: {r.choice([8, 40, 64, 96, 128, 256])}")
            if self.lengths:
                properties.append(f"layout: {r.choice(['ragged', 'paged(8)', 'paged(16)', 'paged(64)', 'paged(128)'])}")
            elif self.chance(0.3):
                properties.append("layout: bhsd")
            if self.chance(0.2):
                properties.append(f"softmax_scale: {r.choice(['runtime', '0.1', '1', '1 / head_dim'])}")
            return properties

        def types(self):
            r = self.random
            scales = ["per_tensor", "per_head", "per_block(16)", "per_block(64)"]
            text = r.choice([
                "dtype: f16", "dtype: bf16", "dtype: f32", "dtype: e4m3; out_dtype: bf16", "dtype: e5m2; out_dtype: f16", "dtype: e4m3",
                "dtype: bf16; key_dtype: e4m3; value_dtype: e5m2", "dtype: f16; query_dtype: bf16; key_dtype: bf16; value_dtype: bf16",
                "dtype: bf16; out_dtype: e4m3; out_scale: per_tensor", "dtype: f16; value_dtype: e4m3; probs_dtype: bf16",
                "dtype: bf16; out_dtype: f32", "dtype: f32; out_dtype: bf16", "dtype: e4m3; probs_dtype: bf16; out_dtype: bf16"])
            if "e4m3" in text or "e5m2" in text:
                for name, odds in (("key", 0.5), ("value", 0.4), ("query", 0.2)):
                    if self.chance(odds):
                        text += f"; {name}_scale: {r.choice(scales)}"
            return text

        def end(self):
            return self.pick(["out = out * 0.5", "out = rms_norm(out, weight_v)", "out = out * sigmoid(gates[b, q_idx, h])", "out = out * gain[b, q_idx, h]"])

    return BroadGenerator
