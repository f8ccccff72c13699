// XFAIL: *
// The expectations below and the tool's output do not agree yet: one of the two has to change.
// RUN: attn-opt %s --attn-fuse-producers --verify-diagnostics | FileCheck %s
// Transforms of operands move into the attention that alone reads them.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>

// Two in a row, in front of a region that is there already.
// CHECK-LABEL: func.func @chain
func.func @chain(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %half = arith.constant dense<0.5> : vector<64xf32>
  %two = arith.constant dense<2.0> : vector<64xf32>
  %a = attn.transform %key over key : !kv -> !kv row { ^bb0(%k: vector<64xf32>): %x = arith.mulf %k, %half : vector<64xf32>   attn.yield %x : vector<64xf32> }
  %b = attn.transform %a over key : !kv -> !kv row { ^bb0(%k: vector<64xf32>): %x = arith.addf %k, %two : vector<64xf32>   attn.yield %x : vector<64xf32> }
  // CHECK-NOT: attn.transform
  // CHECK: attn.attention query(%{{.*}}) key(%arg1 :
  // CHECK: key {
  // CHECK-NEXT: ^column(%[[K:.*]]: vector<64xf32>):
  // CHECK-NEXT: %[[A:.*]] = arith.mulf %[[K]], %{{.*}}
  // CHECK-NEXT: %[[B:.*]] = arith.addf %[[A]], %{{.*}}
  // CHECK-NEXT: %[[C:.*]] = math.tanh %[[B]]
  // CHECK-NEXT: attn.yield %[[C]]
  // expected-remark @below {{fusion: the transform of `key` moves into the kernel}}
  // expected-remark @below {{fusion: the transform of `key` moves into the kernel}}
  %out = attn.attention query(%query : !q) key(%b : !kv) value(%value : !kv) -> !q
    key { ^bb0(%k: vector<64xf32>): %x = math.tanh %k : vector<64xf32>   attn.yield %x : vector<64xf32> }
  return %out : !q
}

// A result that leaves the plan is stored anyway.
// CHECK-LABEL: func.func @other_user
func.func @other_user(%query: !q, %key: !kv, %value: !kv) -> (!q, !kv) attributes {attn.plan} {
  %half = arith.constant dense<0.5> : vector<64xf32>
  // CHECK: %[[T:.*]] = attn.transform
  %a = attn.transform %key over key : !kv -> !kv row { ^bb0(%k: vector<64xf32>): %x = arith.mulf %k, %half : vector<64xf32>   attn.yield %x : vector<64xf32> }
  // CHECK: attn.attention query(%{{.*}}) key(%[[T]] :
  // expected-remark @below {{fusion: `key` is read from memory, for its transform has other users}}
  %out = attn.attention query(%query : !q) key(%a : !kv) value(%value : !kv) -> !q
  return %out, %a : !q, !kv
}
