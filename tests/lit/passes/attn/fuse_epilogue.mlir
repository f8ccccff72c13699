// RUN: attn-opt %s --attn-fuse-epilogue --verify-diagnostics | FileCheck %s
// A transform of the result moves into the attention, unless the result itself is needed too.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>

// What the transform captures may stand behind the attention.
// CHECK-LABEL: func.func @gate
func.func @gate(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: %[[HALF:.*]] = arith.constant
  // CHECK: %[[OUT:.*]] = attn.attention
  // CHECK: out {
  // CHECK-NEXT: ^row(%[[ACC:.*]]: vector<64xf32>):
  // CHECK-NEXT: arith.mulf %[[ACC]], %[[HALF]]
  // CHECK-NOT: attn.transform
  // CHECK: return %[[OUT]]
  // expected-remark @below {{fusion: the transform of `out` moves into the kernel}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  %half = arith.constant dense<0.5> : vector<64xf32>
  %r = attn.transform %out over query : !q -> !q row { ^bb0(%x: vector<64xf32>): %y = arith.mulf %x, %half : vector<64xf32>   attn.yield %y : vector<64xf32> }
  return %r : !q
}

// CHECK-LABEL: func.func @both_needed
func.func @both_needed(%query: !q, %key: !kv, %value: !kv) -> (!q, !q) attributes {attn.plan} {
  %half = arith.constant dense<0.5> : vector<64xf32>
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  // CHECK: attn.transform
  %r = attn.transform %out over query : !q -> !q row { ^bb0(%x: vector<64xf32>): %y = arith.mulf %x, %half : vector<64xf32>   attn.yield %y : vector<64xf32> }
  return %out, %r : !q, !q
}
