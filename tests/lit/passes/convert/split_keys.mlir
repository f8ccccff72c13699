// RUN: attn-opt %s --attn-to-tile --canonicalize --cse | FileCheck %s
// A schedule with `few_rows` gives three kernels: the one for all rows as without it, one whose work items are shares of a tile's
// keys, and one that merges what these leave.
!q = !attn.tensor<[batch, q_len, 4, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !st = !attn.state<[batch, 4, q_len], 64>

// Nothing is kept where there is one share.
// CHECK-DAG: !tile.tensor<["min(splits - 1, 1) * (batch * 2 * ceildiv(q_len, 32)) * splits * 64", 64], f32>
// CHECK-DAG: !tile.tensor<["min(splits - 1, 1) * (batch * 2 * ceildiv(q_len, 32)) * splits * 64"], f32>
// CHECK-DAG: !tile.tensor<["min(splits - 1, 1) * (batch * 2 * ceildiv(q_len, 32))"], f32>

// CHECK-LABEL: func.func @decode(
// CHECK-SAME: {attn.name = "sums.split", tile.workspace}
// CHECK-SAME: {attn.name = "maxima.split", tile.workspace}
// CHECK-SAME: {attn.name = "totals.split", tile.workspace}
// CHECK-SAME: {attn.name = "counts.split", tile.workspace}
// CHECK-SAME: {attn.name = "splits", tile.extent}
// CHECK-SAME: tile.tile = array<i64: 128, 64>, tile.use = "whole"
// CHECK-NOT: arith.remui
// CHECK: tile.store
// CHECK-NOT: tile.store
// CHECK: return

// CHECK-LABEL: func.func @decode_few_rows(
// CHECK-SAME: %[[SUMS:[a-z0-9]+]]: !{{[a-z0-9]*}} {attn.name = "sums.split", tile.workspace}, %[[MAXIMA:[a-z0-9]+]]: !{{[a-z0-9]*}} {attn.name = "maxima.split", tile.workspace}, %[[TOTALS:[a-z0-9]+]]: !{{[a-z0-9]*}} {attn.name = "totals.split", tile.workspace}, %[[COUNTS:[a-z0-9]+]]: !{{[a-z0-9]*}} {attn.name = "counts.split", tile.workspace}, %[[SPLITS:[a-z0-9]+]]: i32 {attn.name = "splits", tile.extent}
// CHECK-SAME: tile.keys = "kv_len", tile.plan = "decode", {{.*}}tile.tile = array<i64: 64, 64>, tile.use = "few_rows"
// CHECK: %[[ITEMS:.*]] = arith.muli %{{.*}}, %[[SPLITS]]
// CHECK: tile.foreach_work %batch, %c2_i32, %[[ITEMS]]
// CHECK: ^work(%{{.*}}, %{{.*}}, %[[T:[a-z0-9]+]]: i32):
// CHECK-DAG: %[[SHARE:.*]] = arith.remui %[[T]], %[[SPLITS]]
// CHECK-DAG: arith.divui %[[T]], %[[SPLITS]]
// CHECK-DAG: %[[MERGED:.*]] = arith.cmpi sgt, %[[SPLITS]], %c1_i32
// A share that is empty writes nothing.
// CHECK: %[[EMPTY:.*]] = arith.cmpi sge
// CHECK: tile.skip_work if %[[EMPTY]]
// CHECK: scf.for
// CHECK: tile.store %{{.*}}, %[[SUMS]][%{{.*}}] along 0 limit
// CHECK: tile.store %{{.*}}, %[[MAXIMA]]
// CHECK: tile.store %{{.*}}, %[[TOTALS]]
// CHECK: tile.store %{{.*}}, %[[COUNTS]]
// Results are written where nothing is merged.
// CHECK: tile.store %{{.*}}, %arg3[%{{.*}}] along 1 limit %{{.*}} {pack = 2 : i32}

// CHECK-LABEL: func.func @decode_merge(
// CHECK-SAME: tile.use = "merge"
// CHECK: tile.foreach_work %batch, %c2_i32
// CHECK: tile.param
// CHECK: %[[SHARES:.*]] = arith.fptosi
// CHECK: scf.for {{.*}} to %[[SHARES]]
// CHECK: arith.maxnumf
// CHECK: math.exp2
// CHECK: tile.finish %{{.*}} scale %cst
// CHECK: tile.store %{{.*}}, %arg3[%{{.*}}] along 1 {pack = 2 : i32}
func.func @decode(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 128, block_n = 64, stages = 1, warps = 4, few_rows = {block_m = 64, block_n = 64, pack = 2, stages = 1, warps = 4}}} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    ranges { ^tile(%first: i32, %last: i32): %zero = arith.constant 0 : i32   %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 : !st -> !q
  return %out : !q
}
