// RUN: attn-opt %s --attn-fold-scale --canonicalize --verify-diagnostics | FileCheck %s
// RUN: attn-opt %s --attn-fold-scale --attn-fold-scale --canonicalize 2>/dev/null | FileCheck %s
// Where the plan asks for the target's instruction, a `tanh` that the score needs is it, with all constants around it as one
// factor on either side.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>

// CHECK-LABEL: func.func @softcap
func.func @softcap(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan, attn.approximate_tanh} {
  %scale = arith.constant 0.125 : f32
  %cap = arith.constant 50.0 : f32
  // CHECK-DAG: %[[IN:.*]] = arith.constant 2.500000e-03 : f32
  // CHECK-DAG: %[[CAP:.*]] = arith.constant 72.134{{[0-9]*}} : f32
  // CHECK: %[[S:.*]] = attn.dot
  // CHECK: %[[U:.*]] = arith.mulf %[[S]], %[[IN]] : f32
  // CHECK-NEXT: %[[T:.*]] = math.tanh %[[U]] fastmath<afn> : f32
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[T]], %[[CAP]] : f32
  // CHECK-NEXT: attn.yield %[[X]] : f32
  // expected-remark @below {{schedule: `tanh` in the score is the target's instruction}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>
      %t = arith.mulf %s, %scale : f32
      %u = arith.divf %t, %cap : f32
      %w = math.tanh %u : f32
      %x = arith.mulf %cap, %w : f32
      attn.yield %x : f32 }
  return %out : !q
}

// A `tanh` whose result is squared is no summand of the score: it keeps its accuracy, and who asked is told.
// CHECK-LABEL: func.func @within_a_square
// expected-warning @below {{--approximate-tanh changes nothing: no `tanh` reaches the score}}
func.func @within_a_square(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan, attn.approximate_tanh} {
  // CHECK: math.tanh %{{[0-9]+}} : f32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>
      %w = math.tanh %s : f32
      %x = arith.mulf %w, %w : f32
      attn.yield %x : f32 }
  return %out : !q
}
