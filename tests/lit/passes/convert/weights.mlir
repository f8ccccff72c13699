// RUN: attn-opt %s --attn-to-tile --canonicalize --cse | FileCheck %s
// Weights that are no softmax, and what region `weight` makes of any.
!q = !attn.tensor<[batch, q_len, 2, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !st = !attn.state<[batch, 2, q_len], 64>
!gate = !attn.tensor<[kv_len], f32>

// Neither a maximum nor a sum: a hidden key weighs 0.
// CHECK-LABEL: func.func @plain
// CHECK-DAG: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK-NOT: softmax_step
// CHECK: scf.for {{.*}} iter_args(%[[ACC:[a-z0-9_]+]] =
// CHECK: %[[S:.*]] = tile.dot
// CHECK: %[[W:.*]] = tile.map %[[S]]
// CHECK: arith.maximumf
// CHECK: tile.map %[[W]]
// CHECK: arith.select %{{.*}}, %{{.*}}, %[[ZERO]]
// CHECK: %[[P:.*]] = tile.convert
// CHECK: tile.dot %[[P]], %{{.*}}, %[[ACC]]
// CHECK-NOT: tile.finish
// CHECK: tile.store
func.func @plain(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %none = arith.constant 0.0 : f32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 64, stages = 1, warps = 4}, weights = #attn<weights direct>} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>
      %r = arith.maximumf %s, %none : f32   attn.yield %r : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 {undivided} : !st -> !q   return %out : !q }

// A sum of another number of each key divides.
// CHECK-LABEL: func.func @divided
// CHECK: scf.for {{.*}} iter_args(%[[L:[a-z0-9_]+]] =
// CHECK: %[[S:.*]] = tile.dot
// CHECK: tile.reduce add %{{.*}}, %[[L]]
// CHECK: tile.finish
// CHECK: tile.scale
func.func @divided(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %none = arith.constant 0.0 : f32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 64, stages = 1, warps = 4}, weights = #attn<weights direct>, normalize} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>
      %r = arith.maximumf %s, %none : f32   attn.yield %s, %r : f32, f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }

// The factor comes behind the step, whose sum does not know it; a number that may be none is kept from hidden keys.
// CHECK-LABEL: func.func @multiplied
// CHECK: %[[PROBS:[a-z0-9_]+]] = tile.softmax_step
// CHECK: %[[F:.*]] = tile.map %[[PROBS]]
// CHECK: tile.param
// CHECK: arith.mulf
// CHECK: scf.if
// CHECK: tile.map %[[F]]
// CHECK: arith.select
// CHECK: tile.convert
func.func @multiplied(%query: !q, %key: !kv, %value: !kv, %gate: !gate) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 64, stages = 1, warps = 4}, log2} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    weight { ^point(%p: f32, %v: vector<64xf32>): %j = attn.index kv_idx   %g = attn.load %gate[%j] : !gate -> f32
      %t = arith.mulf %p, %g : f32   attn.yield %t, %v : f32, vector<64xf32> }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }

// A random number is of the query, the head of all requests and the key; a choice between p and 0 needs no guard.
// CHECK-LABEL: func.func @dropped
// CHECK: %[[PROBS:[a-z0-9_]+]] = tile.softmax_step
// CHECK: %[[D:.*]] = tile.map %[[PROBS]]
// CHECK: tile.random %{{.*}}, %{{.*}} at
// CHECK: %[[P:.*]] = tile.convert %[[D]]
func.func @dropped(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %none = arith.constant 0.0 : f32   %rate = arith.constant 0.25 : f32   %factor = arith.constant 1.33333337 : f32
  %seed = arith.constant 7 : i32   %offset = arith.constant 1 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 64, stages = 1, warps = 4}, log2} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    weight { ^point(%p: f32, %v: vector<64xf32>): %u = attn.random %seed, %offset   %keeps = arith.cmpf oge, %u, %rate : f32
      %t = arith.mulf %p, %factor : f32   %d = arith.select %keeps, %t, %none : f32   attn.yield %d, %v : f32, vector<64xf32> }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }
