// RUN: attn-opt %s --attn-to-tile --canonicalize --cse | FileCheck %s
// Linear attention in chunks: a kernel that stores the state before each block of keys, and one whose tiles start from a
// state and meet only the keys that not all of their rows see.
!q = !attn.tensor<[batch, q_len, 4, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !st = !attn.state<[batch, 4, q_len], 64>

// CHECK-DAG: !tile.tensor<[batch, 2, "kv_len // 64 + 1", 64, 64], f16>
// CHECK-DAG: !tile.tensor<[batch, 2, "kv_len // 64 + 1", 64], f32>
// CHECK-DAG: !tile.tensor<[batch, 2, 1, 64, 64], f16>
// CHECK-LABEL: func.func @causal_states
// CHECK-SAME: %arg4: !{{[a-z0-9]*}} {attn.name = "states.0", tile.workspace}, %arg5: !{{[a-z0-9]*}} {attn.name = "sums.0", tile.workspace}
// CHECK-SAME: tile.mma_sync, tile.plan = "causal"
// CHECK: tile.foreach_work %batch, %c2_i32
// CHECK: scf.for %[[N:[a-z0-9]+]] = {{.*}} iter_args(%[[S:[a-z0-9_]+]] = %{{.*}}, %[[Z:[a-z0-9_]+]] =
// CHECK: tile.store %{{.*}}, %arg4[%{{.*}}, %[[N]], %c0_i32] along 3
// CHECK: tile.store %[[Z]], %arg5[%{{.*}}, %[[N]], %c0_i32] along 3
// CHECK: %[[K:.*]] = tile.load %arg1
// CHECK: %[[KT:.*]] = tile.transpose %[[K]]
// CHECK: %[[V:.*]] = tile.load %arg2
// CHECK: tile.dot %[[KT]], %[[V]], %[[S]]
// CHECK: tile.reduce add %{{.*}}, %[[Z]]

// CHECK-LABEL: func.func @causal
// CHECK: tile.foreach_work
// Blocks that all rows see whole are a state; the loop begins behind them.
// CHECK: %[[BLOCKS:.*]] = arith.divui %{{.*}}, %c64_i32
// CHECK: %[[Q:.*]] = tile.load %arg0
// CHECK: tile.param %arg5[%b, %{{.*}}, %[[BLOCKS]], %
// CHECK: %[[SUM:.*]] = tile.reduce add
// CHECK: %[[STATE:.*]] = tile.load %arg4[%b, %{{.*}}, %[[BLOCKS]], %c0_i32] along 3
// CHECK: tile.dot %[[Q]], %[[STATE]]
// CHECK: %[[ACC:.*]] = tile.map
// CHECK: scf.for {{.*}} iter_args({{.*}} = %[[SUM]], {{.*}} = %[[ACC]]
// CHECK-NOT: scf.if
// CHECK: arith.select
// CHECK: tile.finish
func.func @causal(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 64, chunked = 1, stages = 1, warps = 4}, weights = #attn<weights direct>, normalize} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %v = arith.cmpi sle, %j, %i : i32   attn.yield %v : i1 }
    ranges { ^tile(%first: i32, %last: i32):
      %n = attn.size kv_len   %b = arith.addi %last, %one : i32   %end = arith.minsi %b, %n : i32
      %f = arith.addi %first, %one : i32   %full = arith.minsi %f, %n : i32   attn.yield_ranges visit [%zero, %end] full [%zero, %full] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }

// All tiles see all keys: one state, stored once, and no sum where nothing divides.
// CHECK-LABEL: func.func @whole_states
// CHECK-SAME: "states.0", tile.workspace}) attributes
// CHECK: scf.for
// CHECK-NOT: tile.store
// CHECK: tile.dot
// CHECK: tile.store %{{.*}}, %arg4[%{{.*}}, %c0_i32, %c0_i32] along 3
// CHECK-LABEL: func.func @whole
// CHECK: tile.load %arg4[%b, %{{.*}}, %c0_i32, %c0_i32] along 3
func.func @whole(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 64, chunked = 1, stages = 1, warps = 4}, weights = #attn<weights direct>} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 {undivided} : !st -> !q   return %out : !q }
