// RUN: attn-opt %s --attn-to-tile --canonicalize --cse | FileCheck %s
// Lists of blocks that tiles visit: a kernel that marks blocks by their points, one that lists the marked ones, and a loop that
// takes its blocks from the list.
!q = !attn.tensor<[batch, q_len, 4, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 4, 64], f16>   !st = !attn.state<[batch, 4, q_len], 64>

// One list for all heads and requests: the mask does not depend on them.
// CHECK-DAG: !tile.tensor<[1, 1, "ceildiv(q_len, 64)", "ceildiv(kv_len, 32)"], f32>
// CHECK-DAG: !tile.tensor<[1, 1, "ceildiv(q_len, 64)", "ceildiv(kv_len, 32)"], i32>
// CHECK-DAG: !tile.tensor<[1, 1, "ceildiv(q_len, 64)"], f32>
// CHECK-DAG: !tile.tensor<[1, 4, "ceildiv(q_len, 64)", "ceildiv(kv_len, 64)"], i32>
// CHECK-LABEL: func.func @strided_marks
// CHECK-SAME: {attn.name = "marks.0", tile.workspace}
// CHECK-SAME: {attn.name = "lists.0", tile.workspace}
// CHECK-SAME: {attn.name = "counts.0", tile.workspace}
// CHECK: tile.foreach_work
// A row of the fragment is a block, a column one of its keys.
// CHECK: scf.for
// CHECK: tile.map
// CHECK: %[[ROW:.*]] = tile.row
// CHECK: arith.muli %[[ROW]], %c32_i32
// CHECK: tile.reduce add
// CHECK: tile.store %{{.*}}, %arg4[%c0_i32, %c0_i32, %{{.*}}, %{{.*}}] along 3
// CHECK-LABEL: func.func @strided_lists
// CHECK: %[[COUNT:.*]] = scf.for
// CHECK: tile.list_marked %arg4[%c0_i32, %c0_i32, %t] before %{{.*}} to %arg5 at
// CHECK: tile.store %{{.*}}, %arg6[%c0_i32, %c0_i32, %t] along 2
// CHECK-LABEL: func.func @strided
// CHECK: %[[F:.*]] = tile.param %arg6[%c0_i32, %c0_i32, %t]
// CHECK: %[[N:.*]] = arith.fptosi %[[F]]
// CHECK: scf.for %[[I:[a-z0-9_]+]] = %c0_i32
// CHECK: %[[THERE:.*]] = arith.cmpi slt, %[[I]], %[[N]]
// CHECK: %[[ENTRY:.*]] = tile.param %arg5[%c0_i32, %c0_i32, %t, %[[I]]] if %[[THERE]]
// CHECK: arith.shrui %[[ENTRY]], %c1_i32
// CHECK: arith.andi %[[ENTRY]], %c1_i32
func.func @strided(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32   %period = arith.constant 128 : i32   %some = arith.constant 8 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 32, listed = 1, stages = 1, warps = 4}, log2} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %c = arith.cmpi sle, %j, %i : i32   %r = arith.remsi %j, %period : i32
      %p = arith.cmpi slt, %r, %some : i32   %v = arith.andi %c, %p : i1   attn.yield %v : i1 }
    ranges { ^tile(%first: i32, %last: i32):
      %n = attn.size kv_len   %b = arith.addi %last, %one : i32   %end = arith.minsi %b, %n : i32   attn.yield_ranges visit [%zero, %end] full [] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }

// A table of blocks: lists of each head, and one key and one row of each run that a block of the table covers.
// CHECK-LABEL: func.func @sparse_marks
// CHECK: tile.map
// CHECK: arith.muli %{{.*}}, %c8_i32
// CHECK: !frag_16x8xf32
// CHECK-LABEL: func.func @sparse_lists
// CHECK-LABEL: func.func @sparse
!blocks = !attn.tensor<[4, 16, 16], i32>
func.func @sparse(%query: !q, %key: !kv, %value: !kv, %blocks: !blocks) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %run = arith.constant 64 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 64, listed = 1, stages = 1, warps = 4}, log2} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %h = attn.index h   %a = arith.floordivsi %i, %run : i32
      %c = arith.floordivsi %j, %run : i32   %e = attn.load %blocks[%h, %a, %c] : !blocks -> i32   %v = arith.cmpi ne, %e, %zero : i32
      attn.yield %v : i1 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }
