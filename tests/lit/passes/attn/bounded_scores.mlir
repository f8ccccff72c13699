// RUN: attn-opt %s --attn-pipeline=target=sm_90a 2>/dev/null | FileCheck %s
// RUN: attn-opt %s --attn-pipeline=target=sm_90a 2>&1 >/dev/null | FileCheck %s --check-prefix=SAYS
// Where scores are proved to lie between two numbers that weights have room for, the step says what these are taken above.

!q = !attn.tensor<[batch, q_len, 8, 64], bf16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], bf16>
!n = !attn.tensor<[batch, 8, q_len], f32>
!hq = !attn.tensor<[batch, q_len, 8, 64], f16>
!hkv = !attn.tensor<[batch, kv_len, 2, 64], f16>
!heads = !attn.tensor<[8], f32>

// CHECK-LABEL: func.func @softcap
// SAYS: scores lie between -72.1 and 72.1 (log2 units), so weights are taken above 2^0.1 in all rows: no row has a running maximum
func.func @softcap(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %scale = arith.constant 0.0025 : f32
  %cap = arith.constant 50.0 : f32
  // CHECK: attn.online_attention {{.*}}attn.weights_above = 0.13475{{[0-9]*}} : f64
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %t = arith.mulf %s, %scale : f32   %u = math.tanh %t : f32
      %v = arith.mulf %u, %cap : f32   attn.yield %v : f32 }
  return %out : !q
}

// The same by the target's instruction.
// CHECK-LABEL: func.func @by_instruction
// SAYS: scores lie between -72.1 and 72.1
func.func @by_instruction(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan, attn.approximate_tanh} {
  %cap = arith.constant 50.0 : f32
  // CHECK: attn.online_attention {{.*}}attn.weights_above = 0.13475{{[0-9]*}} : f64
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %u = math.tanh %s : f32
      %v = arith.mulf %u, %cap : f32   attn.yield %v : f32 }
  return %out : !q
}

// Scores far from 0 have their middle there. At their greatest weights are a power of 2.
// CHECK-LABEL: func.func @moved
// SAYS: scores lie between -447.2 and -418.4 (log2 units), so weights are taken above 2^-432.4
func.func @moved(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %cap = arith.constant 10.0 : f32
  %less = arith.constant 300.0 : f32
  // CHECK: attn.online_attention {{.*}}attn.weights_above = -432.381
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %u = math.tanh %s : f32
      %v = arith.mulf %u, %cap : f32   %w = arith.subf %v, %less : f32   attn.yield %w : f32 }
  return %out : !q
}

// A bias counts by its promise, a position by its range; -inf hides a key, and is no score.
// CHECK-LABEL: func.func @sum_of_bounded_numbers
// SAYS: scores lie between -4.3 and 31.7 (log2 units), so
func.func @sum_of_bounded_numbers(%query: !q, %key: !kv, %value: !kv, %bias: !heads {attn.name = "bias", attn.in = ["-3", "5"]}) -> !q attributes {attn.plan} {
  %one = arith.constant 1.0 : f32
  %ninf = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0 : i32
  %seven = arith.constant 7 : i32
  %ten = arith.constant 10.0 : f32
  // CHECK: attn.online_attention {{.*}}attn.weights_above
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>
      %e = math.exp %s : f32   %e1 = arith.addf %e, %one : f32   %g = arith.divf %ten, %e1 : f32
      %h = attn.index h   %b = attn.load %bias[%h] : !heads -> f32   %gb = arith.addf %g, %b : f32
      %j = attn.index kv_idx   %clipped = arith.minsi %j, %seven : i32   %p = arith.sitofp %clipped : i32 to f32
      %gbp = arith.addf %gb, %p : f32
      %c = arith.cmpi eq, %j, %zero : i32   %r = arith.select %c, %ninf, %gbp : f32
      attn.yield %r : f32 }
  return %out : !q
}

// No bounds: nothing is said, and each row has its maximum.
// CHECK-LABEL: func.func @bias_without_a_promise
func.func @bias_without_a_promise(%query: !q, %key: !kv, %value: !kv, %bias: !heads {attn.name = "bias"}) -> !q attributes {attn.plan} {
  // CHECK-NOT: attn.weights_above
  // CHECK: attn.finalize
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %u = math.tanh %s : f32
      %h = attn.index h   %b = attn.load %bias[%h] : !heads -> f32   %v = arith.addf %u, %b : f32   attn.yield %v : f32 }
  return %out : !q
}

// CHECK-LABEL: func.func @too_far_apart
// SAYS: scores lie between -86.6 and 86.6 (log2 units), but weights of bf16 have room for 150.0: each row has its maximum
func.func @too_far_apart(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %cap = arith.constant 60.0 : f32
  // CHECK-NOT: attn.weights_above
  // CHECK: attn.finalize
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %u = math.tanh %s : f32   %v = arith.mulf %u, %cap : f32   attn.yield %v : f32 }
  return %out : !q
}

// CHECK-LABEL: func.func @too_far_apart_for_f16
// SAYS: scores lie between -28.9 and 28.9 (log2 units), but weights of f16 have room for 29.0
func.func @too_far_apart_for_f16(%query: !hq, %key: !hkv, %value: !hkv) -> !hq attributes {attn.plan} {
  %cap = arith.constant 20.0 : f32
  // CHECK-NOT: attn.weights_above
  // CHECK: attn.finalize
  %out = attn.attention query(%query : !hq) key(%key : !hkv) value(%value : !hkv) -> !hq
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %u = math.tanh %s : f32   %v = arith.mulf %u, %cap : f32   attn.yield %v : f32 }
  return %out : !hq
}

// f16's normal numbers are just enough for a cap of 10.
// CHECK-LABEL: func.func @just_enough_for_f16
// SAYS: scores lie between -14.4 and 14.4 (log2 units), so weights are taken above 2^-0.6
func.func @just_enough_for_f16(%query: !hq, %key: !hkv, %value: !hkv) -> !hq attributes {attn.plan} {
  %cap = arith.constant 10.0 : f32
  // CHECK: attn.online_attention {{.*}}attn.weights_above = -0.573
  %out = attn.attention query(%query : !hq) key(%key : !hkv) value(%value : !hkv) -> !hq
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %u = math.tanh %s : f32   %v = arith.mulf %u, %cap : f32   attn.yield %v : f32 }
  return %out : !hq
}

// CHECK-LABEL: func.func @with_max_score
// SAYS: scores lie between -1.4 and 1.4 (log2 units), but `max_score` is asked for: each row has its maximum
func.func @with_max_score(%query: !q, %key: !kv, %value: !kv) -> (!q, !n) attributes {attn.plan} {
  // CHECK-NOT: attn.weights_above
  // CHECK: attn.finalize
  %out, %max = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {outputs = ["out", "max_score"]} -> !q, !n
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %u = math.tanh %s : f32   attn.yield %u : f32 }
  return %out, %max : !q, !n
}

// CHECK-LABEL: func.func @with_any_sink
// SAYS: scores lie between -1.4 and 1.4 (log2 units), but nothing bounds the sink: each row has its maximum
func.func @with_any_sink(%query: !q, %key: !kv, %value: !kv, %sinks: !heads {attn.name = "sinks"}) -> !q attributes {attn.plan} {
  // CHECK-NOT: attn.weights_above
  // CHECK: attn.finalize
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %u = math.tanh %s : f32   attn.yield %u : f32 }
    init { %h = attn.index h   %x = attn.load %sinks[%h] : !heads -> f32   attn.yield %x : f32 }
  return %out : !q
}

// CHECK-LABEL: func.func @with_a_sink_of_zero
// SAYS: scores lie between -1.4 and 1.4 (log2 units), so
func.func @with_a_sink_of_zero(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0.0 : f32
  // CHECK: attn.online_attention {{.*}}attn.weights_above
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %u = math.tanh %s : f32   attn.yield %u : f32 }
    init { attn.yield %zero : f32 }
  return %out : !q
}
