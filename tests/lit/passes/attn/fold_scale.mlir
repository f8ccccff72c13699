// RUN: attn-opt %s --attn-fold-scale --canonicalize | FileCheck %s
// RUN: attn-opt %s --attn-fold-scale --attn-fold-scale --canonicalize | FileCheck %s
// Scores come in log2 units; factors at the root merge into one, and the pass does nothing twice.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>

// The default score: 1/sqrt(64) · log2(e).
// CHECK-LABEL: func.func @default
func.func @default(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: %[[C:.*]] = arith.constant 0.180336878 : f32
  // CHECK: {log2}
  // CHECK: score {
  // CHECK: %[[S:.*]] = attn.dot %q, %k : vector<64xf32>
  // CHECK: %[[T:.*]] = arith.mulf %[[S]], %[[C]] : f32
  // CHECK: attn.yield %[[T]] : f32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// 50 · tanh(s / 50): the outer factor takes log2(e), the inner constants stay.
// CHECK-LABEL: func.func @softcap
func.func @softcap(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %scale = arith.constant 0.125 : f32
  %cap = arith.constant 50.0 : f32
  // CHECK-DAG: %[[CAP:.*]] = arith.constant 72.134{{[0-9]*}} : f32
  // CHECK: math.tanh
  // CHECK-NEXT: %[[T:.*]] = arith.mulf %{{.*}}, %[[CAP]] : f32
  // CHECK-NEXT: attn.yield %[[T]] : f32
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

// A scale given at launch meets log2(e) once, outside of the region; a sum gets one factor at its root.
// CHECK-LABEL: func.func @runtime_scale
func.func @runtime_scale(%query: !q, %key: !kv, %value: !kv, %scale: f32 {attn.name = "softmax_scale", attn.positive}, %sinks: !attn.tensor<[8], f32>) -> !q attributes {attn.plan} {
  // CHECK: %[[LOG2E:.*]] = arith.constant 1.44269502 : f32
  // CHECK: %[[C:.*]] = arith.mulf %{{.*}}, %[[LOG2E]] : f32
  // CHECK: attn.attention
  // CHECK: arith.mulf %{{.*}}, %[[C]] : f32
  // CHECK: init {
  // CHECK: arith.mulf %{{.*}}, %[[LOG2E]] : f32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>
      %t = arith.mulf %s, %scale : f32
      attn.yield %t : f32 }
    init { %h = attn.index h   %s = attn.load %sinks[%h] : !attn.tensor<[8], f32> -> f32   attn.yield %s : f32 }
  return %out : !q
}

// ALiBi: the slope, the same for all points of a head, takes in what the sum's root gives to the softmax step.
// CHECK-LABEL: func.func @alibi
func.func @alibi(%query: !q, %key: !kv, %value: !kv, %slopes: !attn.tensor<[8], f32>) -> !q attributes {attn.plan} {
  %scale = arith.constant 0.125 : f32
  // CHECK-DAG: %[[INVERSE:.*]] = arith.constant 8.000000e+00 : f32
  // CHECK-DAG: %[[C:.*]] = arith.constant 0.180336878 : f32
  // CHECK: %[[S:.*]] = attn.dot
  // CHECK: %[[SLOPE:.*]] = attn.load
  // CHECK: %[[U:.*]] = arith.mulf %[[SLOPE]], %[[INVERSE]] : f32
  // CHECK: %[[B:.*]] = arith.mulf %[[U]], %{{.*}} : f32
  // CHECK: %[[X:.*]] = arith.addf %[[S]], %[[B]] : f32
  // CHECK: %[[T:.*]] = arith.mulf %[[X]], %[[C]] : f32
  // CHECK: attn.yield %[[T]] : f32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>
      %t = arith.mulf %s, %scale : f32
      %h = attn.index h   %slope = attn.load %slopes[%h] : !attn.tensor<[8], f32> -> f32
      %j = attn.index kv_idx   %d = arith.sitofp %j : i32 to f32
      %b = arith.mulf %slope, %d : f32
      %x = arith.addf %t, %b : f32
      attn.yield %x : f32 }
  return %out : !q
}

// A bias that is another number at each point takes in nothing: the sum is scaled whole.
// CHECK-LABEL: func.func @bias
func.func @bias(%query: !q, %key: !kv, %value: !kv, %table: !attn.tensor<[kv_len], f32>) -> !q attributes {attn.plan} {
  %scale = arith.constant 0.125 : f32
  // CHECK-DAG: %[[SCALE:.*]] = arith.constant 1.250000e-01 : f32
  // CHECK-DAG: %[[LOG2E:.*]] = arith.constant 1.44269502 : f32
  // CHECK: arith.mulf %{{.*}}, %[[SCALE]] : f32
  // CHECK: arith.addf
  // CHECK-NEXT: arith.mulf %{{.*}}, %[[LOG2E]] : f32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>
      %t = arith.mulf %s, %scale : f32
      %j = attn.index kv_idx   %b = attn.load %table[%j] : !attn.tensor<[kv_len], f32> -> f32
      %x = arith.addf %t, %b : f32
      attn.yield %x : f32 }
  return %out : !q
}
