// RUN: attn-opt %s --attn-to-tile --canonicalize --cse | FileCheck %s
// Requests of lengths of their own: these are read in the work tile, tiles behind the last query are skipped, values behind
// the last key are 0, and nothing is stored behind the request's rows.
!q = !attn.tensor<[q_rows, 8, 64], f16>   !lse = !attn.tensor<[q_rows, 8], f32>   !st = !attn.state<[q_rows, 8], 64>
!kv = !attn.tensor<[kv_rows, 2, 64], f16>   !cu = !attn.tensor<["batch + 1"], i32, ascending>
!cache = !attn.tensor<[pages, 64, 2, 64], f16>   !table = !attn.tensor<[batch, columns], i32>   !lens = !attn.tensor<[batch], i32>

// CHECK-LABEL: func.func @ragged
// CHECK-SAME: %[[BATCH:arg[0-9]+]]: i32 {attn.name = "batch", tile.extent}, %[[MOST:arg[0-9]+]]: i32 {attn.name = "q_len", tile.extent}
// CHECK: %[[TILES:.*]] = arith.ceildivsi %[[MOST]], %c128_i32
// CHECK: tile.foreach_work %[[BATCH]], %c8_i32, %[[TILES]]
// CHECK: ^work(%b: i32, %h: i32, %t: i32):
// CHECK: %[[NEXT:.*]] = arith.addi %b, %c1_i32
// CHECK: %[[QUERY:.*]] = tile.param %arg3[%b]
// CHECK: %[[QUERY_END:.*]] = tile.param %arg3[%[[NEXT]]]
// CHECK: %[[Q_LEN:.*]] = arith.subi %[[QUERY_END]], %[[QUERY]]
// CHECK: %[[KEY:.*]] = tile.param %arg4[%b]
// CHECK: %[[KEY_END:.*]] = tile.param %arg4[%[[NEXT]]]
// CHECK: %[[KV_LEN:.*]] = arith.subi %[[KEY_END]], %[[KEY]]
// CHECK: %[[Q0:.*]] = arith.muli %t, %c128_i32
// CHECK: %[[PAST:.*]] = arith.cmpi sge, %[[Q0]], %[[Q_LEN]]
// CHECK: tile.skip_work if %[[PAST]]
// CHECK: tile.load %arg0[%{{.*}}, %h] along 0 :
// CHECK: scf.for
// Keys behind the last one are masked, whatever they are.
// CHECK: tile.load %arg1[%{{.*}}, %{{.*}}] along 0 :
// CHECK: tile.load %arg2[%{{.*}}, %{{.*}}] along 0 limit %
// CHECK: tile.store %{{.*}}, %arg5[%[[ROW:.*]], %h] along 0 limit %[[END:[a-z0-9_]*]]
// CHECK: tile.store %lse, %arg6[%[[ROW]], %h] along 0 limit %[[END]]
func.func @ragged(%query: !q, %key: !kv, %value: !kv, %cu_q: !cu, %cu_kv: !cu) -> (!q, !lse) attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %zero = arith.constant 0 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      ragged(%cu_q, %cu_kv : !cu, !cu) {schedule = {block_m = 128, block_n = 64, stages = 1, warps = 4}, log2} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %t = arith.mulf %s, %c : f32   attn.yield %t : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out, %lse = attn.finalize %s1 : !st -> !q, !lse   return %out, %lse : !q, !lse }

// CHECK-LABEL: func.func @paged
// CHECK: %[[KV_LEN:.*]] = tile.param %arg5[%b]
// CHECK: scf.for
// CHECK: tile.load %arg1[%b, %{{.*}}, %{{.*}}] along 1 limit %[[KV_LEN]] pages %arg4
// CHECK: tile.load %arg2[%b, %{{.*}}, %{{.*}}] along 1 limit %[[KV_LEN]] pages %arg4
func.func @paged(%query: !q, %key: !cache, %value: !cache, %cu: !cu, %table: !table, %lens: !lens) -> !q attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %zero = arith.constant 0 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !cache) value(%value : !cache)
      paged(%cu, %table, %lens : !cu, !table, !lens)
      {schedule = {block_m = 128, block_n = 64, stages = 1, warps = 4}, log2, page_size = 64} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %t = arith.mulf %s, %c : f32   attn.yield %t : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }
