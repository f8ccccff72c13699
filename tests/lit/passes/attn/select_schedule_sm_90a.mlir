// RUN: attn-opt %s --attn-select-schedule=target=sm_90a --split-input-file --verify-diagnostics
// RUN: not attn-opt %s --attn-select-schedule="target=sm_90a schedule=warps=16" --split-input-file 2>&1 | FileCheck %s
// Whole warpgroups; by head_dim and head_dim_v, by whether there is a mask, and by what the mathematics of a point needs.
// CHECK: error: schedule: `warps` is 16, but must be 4, 8 or 12: whole warpgroups

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @three_warpgroups(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 192, block_n 128, stages 3, warps 12: three warpgroups}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @mathematics_of_the_score(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %c = arith.constant 0.125 : f32
  // expected-remark @below {{schedule: block_m 192, block_n 112, stages 3, warps 12: leaves 12 registers}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%a: vector<64xf32>, %b: vector<64xf32>):
      %s = attn.dot %a, %b : vector<64xf32>   %t = arith.mulf %s, %s : f32   %u = arith.mulf %t, %c : f32   attn.yield %u : f32 }
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @function_of_the_score(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 128, block_n 128, stages 2, warps 8: the mathematics of a point}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%a: vector<64xf32>, %b: vector<64xf32>):
      %s = attn.dot %a, %b : vector<64xf32>   %t = math.tanh %s : f32   attn.yield %t : f32 }
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 128], bf16>
!kv = !attn.tensor<[batch, kv_len, 2, 128], bf16>
func.func @no_mask(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 128, block_n 176, stages 2, warps 8: no diagonal}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 128], bf16>
!kv = !attn.tensor<[batch, kv_len, 2, 128], bf16>
func.func @masked(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 128, block_n 128, stages 2, warps 8: as many keys as rows}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %v = arith.cmpi sle, %j, %i : i32   attn.yield %v : i1 }
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 192], bf16>
!k = !attn.tensor<[batch, kv_len, 8, 192], bf16>
!v = !attn.tensor<[batch, kv_len, 8, 128], bf16>
!o = !attn.tensor<[batch, q_len, 8, 128], bf16>
func.func @shorter_values(%query: !q, %key: !k, %value: !v) -> !o attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 128, block_n 128, stages 2, warps 8: 160 of 240 registers}}
  %out = attn.attention query(%query : !q) key(%key : !k) value(%value : !v) -> !o
  return %out : !o
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 256], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 256], f16>
func.func @longest_rows(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 128, block_n 80, stages 2, warps 8: two warpgroups}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----

// Queries known to be few: the heads of a group share a tile, and it has no more rows than there are.
!q = !attn.tensor<[batch, 4, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @few_queries(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 64, block_n 128, stages 3, warps 4: no more rows than there are queries}}
  // expected-remark @below {{schedule: the 4 query heads of a key head share tiles, 16 queries each}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----

// The mask of a head is its own: no sharing.
!q = !attn.tensor<[batch, 1, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @mask_of_the_head(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 64, block_n 128, stages 3, warps 4}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %h = attn.index h   %j = attn.index kv_idx   %v = arith.cmpi sle, %h, %j : i32   attn.yield %v : i1 }
  return %out : !q
}

// -----

// A table of distances is read from a strip, for which the producer needs registers; a table of pairs is not.
!q = !attn.tensor<[batch, q_len, 8, 128], bf16>
!kv = !attn.tensor<[batch, kv_len, 2, 128], bf16>
func.func @tables(%query: !q, %key: !kv, %value: !kv, %near: !attn.tensor<[n], f32>, %pairs: !attn.tensor<[q_len, kv_len], f32>) -> (!q, !q) attributes {attn.plan} {
  // expected-remark @below {{schedule: block_m 128, block_n 160, stages 2, warps 8: leaves registers to a producer}}
  %a = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<128xf32>, %k: vector<128xf32>):
      %s = attn.dot %q, %k : vector<128xf32>
      %i = attn.index q_idx   %j = attn.index kv_idx   %n = attn.size kv_len   %o = arith.addi %j, %n : i32   %d = arith.subi %o, %i : i32
      %b = attn.load %near[%d] : !attn.tensor<[n], f32> -> f32
      %x = arith.addf %s, %b : f32
      attn.yield %x : f32 }
  // expected-remark @below {{schedule: block_m 128, block_n 64, stages 2, warps 8}}
  %c = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<128xf32>, %k: vector<128xf32>):
      %s = attn.dot %q, %k : vector<128xf32>
      %i = attn.index q_idx   %j = attn.index kv_idx
      %b = attn.load %pairs[%i, %j] : !attn.tensor<[q_len, kv_len], f32> -> f32
      %x = arith.addf %s, %b : f32
      attn.yield %x : f32 }
  return %a, %c : !q, !q
}
