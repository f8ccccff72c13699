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

// 50 · tanh(s / 50) = 50 + 100 · r, r = -1/(1 + 2^(s/50 · 2 log2 e)): all constants within meet, as do those at the root, and what is
// the same for all points is added last.
// CHECK-LABEL: func.func @softcap
func.func @softcap(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %scale = arith.constant 0.125 : f32
  %cap = arith.constant 50.0 : f32
  // CHECK-DAG: %[[IN:.*]] = arith.constant 0.00721347{{[0-9]*}} : f32
  // CHECK-DAG: %[[CAP:.*]] = arith.constant 72.134{{[0-9]*}} : f32
  // CHECK-DAG: %[[TWICE:.*]] = arith.constant 144.26{{[0-9]*}} : f32
  // CHECK-DAG: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
  // CHECK-DAG: %[[MINUS:.*]] = arith.constant -1.000000e+00 : f32
  // CHECK: %[[S:.*]] = attn.dot
  // CHECK-NOT: math.tanh
  // CHECK: %[[U:.*]] = arith.mulf %[[S]], %[[IN]] : f32
  // CHECK-NEXT: %[[E:.*]] = math.exp2 %[[U]] : f32
  // CHECK-NEXT: %[[D:.*]] = arith.addf %[[E]], %[[ONE]] : f32
  // CHECK-NEXT: %[[R:.*]] = arith.divf %[[MINUS]], %[[D]] fastmath<arcp> : f32
  // CHECK-NEXT: %[[T:.*]] = arith.mulf %[[R]], %[[TWICE]] : f32
  // CHECK-NEXT: %[[X:.*]] = arith.addf %[[T]], %[[CAP]] : f32
  // CHECK-NEXT: attn.yield %[[X]] : f32
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

// A capped score beside ALiBi: the tangent is a summand of the score there too.
// CHECK-LABEL: func.func @softcap_alibi
func.func @softcap_alibi(%query: !q, %key: !kv, %value: !kv, %slopes: !attn.tensor<[8], f32>) -> !q attributes {attn.plan} {
  %scale = arith.constant 0.125 : f32
  %cap = arith.constant 50.0 : f32
  // CHECK-NOT: math.tanh
  // CHECK: %[[R:.*]] = arith.divf %{{.*}} fastmath<arcp> : f32
  // CHECK: %[[T:.*]] = arith.mulf %[[R]], %cst{{[_0-9]*}} : f32
  // CHECK: %[[X:.*]] = arith.addf %[[T]], %{{.*}} : f32
  // CHECK: %[[Y:.*]] = arith.mulf %[[X]], %{{.*}} : f32
  // CHECK: %[[Z:.*]] = arith.addf %[[Y]], %{{.*}} : f32
  // CHECK: attn.yield %[[Z]] : f32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>
      %t = arith.mulf %s, %scale : f32
      %u = arith.divf %t, %cap : f32
      %w = math.tanh %u : f32
      %capped = arith.mulf %w, %cap : f32
      %h = attn.index h   %slope = attn.load %slopes[%h] : !attn.tensor<[8], f32> -> f32
      %j = attn.index kv_idx   %d = arith.sitofp %j : i32 to f32
      %b = arith.mulf %slope, %d : f32
      %x = arith.addf %capped, %b : f32
      attn.yield %x : f32 }
  return %out : !q
}

// Where a tangent is no summand of the score its relative accuracy may count.
// CHECK-LABEL: func.func @tangent_within
func.func @tangent_within(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: math.tanh
  // CHECK-NOT: arcp
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>
      %w = math.tanh %s : f32
      %x = arith.mulf %w, %s : f32
      attn.yield %x : f32 }
  return %out : !q
}

// A bias that is read once a diagonal takes in the constant there.
// CHECK-LABEL: func.func @bias_of_distance
func.func @bias_of_distance(%query: !q, %key: !kv, %value: !kv, %table: !attn.tensor<[n], f32>) -> !q attributes {attn.plan} {
  %scale = arith.constant 0.125 : f32
  // CHECK-DAG: %[[INVERSE:.*]] = arith.constant 8.000000e+00 : f32
  // CHECK: %[[S:.*]] = attn.dot
  // CHECK: %[[LOADED:.*]] = attn.load
  // CHECK: %[[B:.*]] = arith.mulf %[[LOADED]], %[[INVERSE]] : f32
  // CHECK: arith.addf %[[S]], %[[B]] : f32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>
      %t = arith.mulf %s, %scale : f32
      %i = attn.index q_idx   %j = attn.index kv_idx   %d = arith.subi %j, %i : i32
      %b = attn.load %table[%d] : !attn.tensor<[n], f32> -> f32
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
