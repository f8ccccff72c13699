// RUN: attn-opt %s --attn-check-support --split-input-file --verify-diagnostics
// What the back end cannot compile is refused before anything is lowered, at the operation that asks for it.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @supported(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %v = arith.cmpi sle, %j, %i : i32   attn.yield %v : i1 }
  return %out : !q
}

// -----
!q = !attn.tensor<[rows, 8, 64], f16>   !kv = !attn.tensor<[keys, 2, 64], f16>   !cu = !attn.tensor<["batch + 1"], i32>
func.func @ragged(%query: !q, %key: !kv, %value: !kv, %cu: !cu) -> !q attributes {attn.plan} {
  // expected-error @below {{layout `ragged` is not supported on sm_80 yet}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) ragged(%cu, %cu : !cu, !cu) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f32>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f32>
func.func @dtype(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{dtype `f32` is not supported on sm_80 yet}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @direct(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{weights other than `softmax` are not supported on sm_80 yet}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {weights = #attn<weights direct>} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @suffix_sum(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>
      // expected-error @below {{`suffix_sum` is not supported on sm_80 yet}}
      %t = attn.suffix_sum %s : f32   attn.yield %t : f32 }
  return %out : !q
}
