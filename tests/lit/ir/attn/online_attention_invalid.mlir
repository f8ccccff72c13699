// RUN: attn-opt %s --split-input-file --verify-diagnostics
// States that do not fit, and what makes and ends them.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !st = !attn.state<[batch, 8, q_len], 64>
func.func @another_state(%query: !q, %key: !kv, %value: !kv) attributes {attn.plan} {
  %s0 = attn.identity : !st
  // expected-error @below {{expects the state it absorbs keys into, but got '!attn.state<[batch, 8, q_len], 64>' and '!attn.state<[batch, 4, q_len], 64>'}}
  %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv) -> !attn.state<[batch, 4, q_len], 64>
  return
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !st = !attn.state<[batch, 8, q_len], 64>
func.func @split(%query: !q, %key: !kv, %value: !kv) attributes {attn.plan} {
  %s0 = attn.identity : !st
  // expected-error @below {{expects a leading dimension of 4 splits, but got '!attn.state<[batch, 8, q_len], 64>'}}
  %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv) {split = 4 : i64} -> !st
  return
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !st = !attn.state<[batch, 8, q_len], 32>
func.func @row_length(%query: !q, %key: !kv, %value: !kv) attributes {attn.plan} {
  %s0 = attn.identity : !st
  // expected-error @below {{expects a state with rows of 64, but got 32}}
  %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv) -> !st
  return
}

// -----
// (C6)
func.func @merge(%parts: !attn.state<[4, batch, 8, q_len], 64>) {
  // expected-error @below {{expects the operand without its leading dimension, but got '!attn.state<[batch, 4, q_len], 64>' from '!attn.state<[4, batch, 8, q_len], 64>'}}
  %s = attn.merge %parts : !attn.state<[4, batch, 8, q_len], 64> -> !attn.state<[batch, 4, q_len], 64>
  return
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 32], f16>   !st = !attn.state<[batch, 8, q_len], 64>
func.func @finalize(%s: !st) -> !q {
  // expected-error @below {{expects `out` with rows of 64, but got '!attn.tensor<[batch, q_len, 8, 32], f16>'}}
  %out = attn.finalize %s : !st -> !q
  return %out : !q
}

// -----
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !other = !attn.tensor<[batch, q_len, 2, 64], f16>
func.func @transform_sizes(%key: !kv) -> !other {
  // expected-error @below {{expects tensors of equal sizes but for the last, which are numbers}}
  %t = attn.transform %key over key : !kv -> !other row { ^row(%k: vector<64xf32>): attn.yield %k : vector<64xf32> }
  return %t : !other
}

// -----
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C1) a transform over keys is a column region
func.func @transform_domain(%key: !kv) -> !kv {
  %t = attn.transform %key over key : !kv -> !kv row { ^row(%k: vector<64xf32>):
    // expected-error @below {{expects an index of the domain of region `row` (column: b h kv_head kv_idx), but got `q_idx`}}
    %i = attn.index q_idx   %f = arith.sitofp %i : i32 to f32   %r = vector.broadcast %f : f32 to vector<64xf32>
    %x = arith.mulf %k, %r : vector<64xf32>   attn.yield %x : vector<64xf32> }
  return %t : !kv
}

// -----
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @transform_length(%key: !kv) -> !kv {
  // expected-error @below {{expects region `row` to yield ('vector<64xf32>'), but it yields ('vector<32xf32>')}}
  %t = attn.transform %key over key : !kv -> !kv row { ^row(%k: vector<64xf32>):
    %x = vector.extract_strided_slice %k {offsets = [0], sizes = [32], strides = [1]} : vector<64xf32> to vector<32xf32>
    attn.yield %x : vector<32xf32> }
  return %t : !kv
}
