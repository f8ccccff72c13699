// RUN: attn-opt %s --attn-to-tile --canonicalize --cse | FileCheck %s
// From the online form to a block program: the ranges in the tile's prologue, one loop over blocks, last block first,
// score and mask behind a uniform guard.
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !lse = !attn.tensor<[batch, 8, q_len], f32>   !st = !attn.state<[batch, 8, q_len], 64>

// CHECK: module attributes {tile.target = #tile.target<"sm_80">}
// CHECK-LABEL: func.func @causal
// CHECK-SAME: tile.kernel
// CHECK-SAME: tile.stages = 1 : i32, tile.warps = 4 : i32
// CHECK-DAG: %[[C:.*]] = arith.constant 0.180336878 : f32
// CHECK-DAG: %[[HIDDEN:.*]] = arith.constant 0xFF800000 : f32
// CHECK: %[[TILES:.*]] = arith.ceildivsi %q_len, %c128_i32
// CHECK: tile.foreach_work %batch, %c8_i32, %[[TILES]]
// CHECK: ^work(%b: i32, %h: i32, %t: i32):
// CHECK: %[[Q0:.*]] = arith.muli %t, %c128_i32
// Blocks of 64 keys: those that are visited, and from the front those that need no mask.
// CHECK: %[[BLOCKS:.*]] = arith.ceildivsi %[[END:.*]], %c64_i32
// CHECK: %[[COUNT:.*]] = arith.maxsi %[[BLOCKS]], %c1_i32
// CHECK: %[[FULLS:.*]] = arith.floordivsi %{{.*}}, %c64_i32
// CHECK: %[[Q:.*]] = tile.load %arg0[%b, %[[Q0]], %h] along 1
// CHECK: scf.for %[[I:[a-z0-9]+]] = %c0_i32 to %[[COUNT]] step %c1_i32
// CHECK: %[[BLOCK:.*]] = arith.subi %[[COUNT]], %
// CHECK: %[[K0:.*]] = arith.muli %[[BLOCK]], %c64_i32
// CHECK: %[[K:.*]] = tile.load %arg1[%b, %[[K0]], %[[G:.*]]] along 1
// CHECK: %[[S:.*]] = tile.dot %[[Q]], trans %[[K]]
// CHECK: %[[IS_FULL:.*]] = arith.cmpi slt, %[[BLOCK]], %[[FULLS]]
// CHECK: scf.if %[[IS_FULL]]
// CHECK-NEXT: scf.yield %[[S]]
// CHECK: } else {
// CHECK: tile.map %[[S]]
// CHECK: arith.select %{{.*}}, %{{.*}}, %[[HIDDEN]] : f32
// The factor of the score is the scale of the step.
// CHECK: tile.softmax_step %{{.*}} scale %[[C]]
// CHECK: %[[V:.*]] = tile.load %arg2[%b, %[[K0]], %[[G]]] along 1 limit %[[END]]
// Values of a block that is not full are made finite, and the keys noted where some were not.
// CHECK-DAG: %[[PARTIAL:.*]] = arith.cmpi sge, %[[BLOCK]], %[[FULLS]]
// CHECK-DAG: %[[EXISTS:.*]] = arith.cmpi slt, %[[K0]], %kv_len
// CHECK: %[[LOOKS:.*]] = arith.andi %[[PARTIAL]], %[[EXISTS]]
// CHECK: %[[FINITE:.*]], %[[FOUND:.*]] = tile.keep_finite %[[V]] if %[[LOOKS]]
// CHECK: arith.select %[[FOUND]]
// CHECK: tile.dot %{{.*}}, %[[FINITE]],
// Those that a row sees are added behind the loop.
// CHECK: scf.for %[[KEY:[a-z0-9]+]] =
// CHECK: tile.map
// CHECK: arith.cmpi sle, %[[KEY]],
// CHECK: tile.map
// CHECK: tile.param %arg2[%b, %[[KEY]], %[[G]], %{{.*}}] : {{.*}} -> f32
// CHECK: arith.select
// CHECK: tile.finish
// CHECK: tile.store %{{.*}}, %arg3[%b, %[[Q0]], %h] along 1
// CHECK: tile.store %lse, %arg4[%b, %h, %[[Q0]]] along 2
func.func @causal(%query: !q, %key: !kv, %value: !kv) -> (!q, !lse) attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 128, block_n = 64, stages = 1, warps = 4}, log2} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %t = arith.mulf %s, %c : f32   attn.yield %t : f32 }
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %v = arith.cmpi sle, %j, %i : i32   attn.yield %v : i1 }
    ranges { ^tile(%first: i32, %last: i32):
      %n = attn.size kv_len   %b = arith.addi %last, %one : i32   %end = arith.minsi %b, %n : i32
      %f = arith.addi %first, %one : i32   %full = arith.minsi %f, %n : i32   attn.yield_ranges visit [%zero, %end] full [%zero, %full] }
  %out, %lse = attn.finalize %s1 : !st -> !q, !lse   return %out, %lse : !q, !lse }

// Two ranges of keys: sorted, cut where the one before ends, and every block in one loop.
// CHECK-LABEL: func.func @two_ranges
// CHECK: %[[SWAP:.*]] = arith.cmpi
// CHECK: arith.select %[[SWAP]],
// CHECK: %[[COUNT:.*]] = arith.maxsi %{{.*}}, %c1_i32
// CHECK: scf.for %{{.*}} to %[[COUNT]]
// CHECK-NOT: scf.for %{{.*}} to %[[COUNT]]
// CHECK: tile.finish
func.func @two_ranges(%query: !q, %key: !kv, %value: !kv, %a: i32, %b: i32) -> (!q, !lse) attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %four = arith.constant 4 : i32   %zero = arith.constant 0 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 128, block_n = 64, stages = 1, warps = 4}, log2} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %t = arith.mulf %s, %c : f32   attn.yield %t : f32 }
    mask { %j = attn.index kv_idx   %u = arith.cmpi slt, %j, %four : i32   %v = arith.cmpi sge, %j, %a : i32   %w = arith.ori %u, %v : i1   attn.yield %w : i1 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %four, %a, %n] full [] }
  %out, %lse = attn.finalize %s1 : !st -> !q, !lse   return %out, %lse : !q, !lse }
