// RUN: attn-opt %s --pass-pipeline='builtin.module(func.func(attn-fuse-producers,attn-check-support{target=sm_90a},attn-select-schedule{target=sm_90a}))' --split-input-file --verify-diagnostics
// Rows of more than 256 channels: values that are a part of their key stay there, heads share tiles, columns are in parts.

!q = !attn.tensor<[batch, q_len, 128, 576], bf16>
!k = !attn.tensor<[batch, kv_len, 1, 576], bf16>
!v = !attn.tensor<[batch, kv_len, 1, 512], bf16>
!o = !attn.tensor<[batch, q_len, 128, 512], bf16>
func.func @latent(%query: !q, %key: !k) -> !o attributes {attn.plan} {
  %value = attn.transform %key over key : !k -> !v row { ^row(%x: vector<576xf32>):
    %y = vector.extract_strided_slice %x {offsets = [0], sizes = [512], strides = [1]} : vector<576xf32> to vector<512xf32>
    attn.yield %y : vector<512xf32> }
  // expected-remark @below {{fusion: the transform of `value` moves into the kernel}}
  // expected-remark @below {{fusion: `value` is read as a part of `key`, which is copied once for both}}
  // expected-remark @below {{schedule: block_m 64, block_n 32, stages 4, warps 8: two warpgroups have half of the 512 columns each}}
  // expected-remark @below {{schedule: 64 query heads of a key head share tiles, 1 queries each}}
  // expected-remark @below {{schedule: sums are cut by column into 2 parts, each of which 4 warps hold; each multiplies its half of the channels for the scores, and both add them up}}
  // expected-remark @below {{schedule: 384 of 576 channels of the query are in registers through the loop}}
  %out = attn.attention query(%query : !q) key(%key : !k) value(%value : !v) -> !o
  return %out : !o
}

// -----

// Values of their own: two stages of 32 keys, for all of them lie in shared memory.
!q = !attn.tensor<[batch, q_len, 8, 576], f16>
!k = !attn.tensor<[batch, kv_len, 8, 576], f16>
!v = !attn.tensor<[batch, kv_len, 8, 512], f16>
!o = !attn.tensor<[batch, q_len, 8, 512], f16>
func.func @own_values(%query: !q, %key: !k, %value: !v) -> !o attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 64, block_n 32, stages 2, warps 8: values of a block are multiplied under the softmax of the next}}
  // expected-remark @below {{schedule: sums are cut by column into 2 parts}}
  // expected-remark @below {{schedule: 384 of 576 channels of the query are in registers through the loop}}
  %out = attn.attention query(%query : !q) key(%key : !k) value(%value : !v) -> !o
  return %out : !o
}

// -----

// Queries are rotated by a kernel in front: a thread has but some of a row's channels here.
!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!k = !attn.tensor<[batch, kv_len, 8, 64], f16>
!v = !attn.tensor<[batch, kv_len, 8, 512], f16>
!o = !attn.tensor<[batch, q_len, 8, 512], f16>
func.func @computed_queries(%query: !q, %key: !k, %value: !v) -> !o attributes {attn.plan} {
  %rows = attn.transform %query over query : !q -> !q row { ^row(%x: vector<64xf32>):
    %y = arith.addf %x, %x : vector<64xf32>
    attn.yield %y : vector<64xf32> }
  // expected-remark @below {{fusion: the transform of `query` moves into the kernel}}
  // expected-remark @below {{fusion: rows of `query` are transformed once for all tiles, by a kernel before this one}}
  // expected-remark @below {{schedule: block_m 64, block_n 32, stages 3, warps 8: 32 keys leave room for three stages}}
  // expected-remark @below {{schedule: sums are cut by column into 2 parts}}
  %out = attn.attention query(%rows : !q) key(%key : !k) value(%value : !v) -> !o
  return %out : !o
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 640], f16>
!k = !attn.tensor<[batch, kv_len, 8, 640], f16>
func.func @too_long(%query: !q, %key: !k, %value: !k) -> !q attributes {attn.plan} {
  // expected-error @below {{`head_dim` is 640, but sm_90a takes multiples of 8 up to 576}}
  %out = attn.attention query(%query : !q) key(%key : !k) value(%value : !k) -> !q
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 320], f16>
!k = !attn.tensor<[batch, kv_len, 8, 320], f16>
func.func @long_computed_rows(%query: !q, %key: !k, %value: !k) -> !q attributes {attn.plan} {
  %rows = attn.transform %key over key : !k -> !k row { ^row(%x: vector<320xf32>):
    %y = arith.addf %x, %x : vector<320xf32>
    attn.yield %y : vector<320xf32> }
  // expected-remark @below {{fusion: the transform of `key` moves into the kernel}}
  // expected-remark @below {{fusion: rows of `key` are transformed once for all tiles, by a kernel before this one, some channels at a time}}
  // expected-remark @below {{schedule: block_m 64, block_n 32, stages 3, warps 8}}
  // expected-remark @below {{schedule: sums are cut by column into 2 parts}}
  // expected-remark @below {{schedule: 256 of 320 channels of the query are in registers through the loop}}
  %out = attn.attention query(%query : !q) key(%rows : !k) value(%value : !k) -> !q
  return %out : !q
}

// -----

// f64, and more than one product: slices of values, a kernel each.
!q = !attn.tensor<[batch, q_len, 8, 576], f64>
!v = !attn.tensor<[batch, q_len, 8, 512], f64>
func.func @double(%query: !q, %key: !q, %value: !v) -> !v attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 16, block_n 16, stages 1, warps 1: 16 queries and 16 keys of 576 channels}}
  // expected-remark @below {{schedule: 64 of 512 channels of values at a time, by kernels one after the other, each of which computes all scores}}
  %out = attn.attention query(%query : !q) key(%key : !q) value(%value : !v) -> !v
  return %out : !v
}

// -----

// Two vectors of a long row are made one behind the other by a kernel in front, and read as slices of that.
!q = !attn.tensor<[batch, q_len, 8, 320], f16>
func.func @two_vectors(%query: !q, %key: !q, %value: !q) -> !q attributes {attn.plan} {
  // expected-remark @below {{fusion: rows of `query` are transformed once for all tiles, by a kernel before this one, some channels at a time}}
  // expected-remark @below {{fusion: rows of `query` are transformed in the kernel, once a tile}}
  // expected-remark @below {{schedule: block_m 64, block_n 32, stages 1, warps 4}}
  // expected-remark @below {{schedule: 128 of 320 channels of values at a time}}
  %out = attn.attention query(%query : !q) key(%key : !q) value(%value : !q) -> !q
    query { ^row(%x: vector<320xf32>): %y = arith.addf %x, %x : vector<320xf32>   attn.yield %x, %y : vector<320xf32>, vector<320xf32> }
    score { ^point(%q: vector<320xf32>, %r: vector<320xf32>, %k: vector<320xf32>):
      %s = attn.dot %q, %k : vector<320xf32>   %t = attn.dot %r, %k : vector<320xf32>   %m = arith.maximumf %s, %t : f32   attn.yield %m : f32 }
  return %out : !q
}
