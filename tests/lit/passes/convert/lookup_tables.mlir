// RUN: attn-opt %s --attn-to-tile --canonicalize --cse | FileCheck %s
// Products with a small table: once a tile of queries into shared memory, read at each point where its index says.
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !lse = !attn.tensor<[batch, 8, q_len], f32>   !st = !attn.state<[batch, 8, q_len], 64>
!rel = !attn.tensor<[8, 33, 64], f16>

// Shaw's keys, a table a head: 33 rows in tiles of 16, those beyond 0; four words lie between rows of products.
// CHECK-LABEL: func.func @shaw
// CHECK: %[[PRODUCTS:.*]] = tile.alloc : !buffer_64x48xf32
// CHECK: ^work(%b: i32, %h: i32, %t: i32):
// CHECK: %[[Q:.*]] = tile.load %arg0
// CHECK: %[[TABLE:.*]] = tile.load %arg3[%h, %c0_i32] along 1 : {{.*}} -> !frag_48x64xf16
// CHECK: %[[P:.*]] = tile.dot %[[Q]], trans %[[TABLE]],
// CHECK: tile.write %[[P]], %[[PRODUCTS]]
// CHECK: scf.for
// Where the distances of a block are clipped at both corners, all its points read one column.
// CHECK: %[[LEAST:.*]] = arith.addi %{{.*}}, %c16_i32
// CHECK: %[[GREATEST:.*]] = arith.addi %{{.*}}, %c16_i32
// CHECK: %[[SAME:.*]] = arith.cmpi eq, %[[LEAST]], %[[GREATEST]]
// CHECK: scf.if %[[SAME]]
// CHECK: %[[ROWS:.*]] = tile.map : () -> !frag_64xf32
// CHECK: tile.at %[[PRODUCTS]][%{{.*}}, %[[LEAST]]]
// CHECK: tile.map %{{.*}}, %[[ROWS]] :
// CHECK: } else {
// CHECK: tile.map
// CHECK: %[[CLIPPED:.*]] = arith.minsi
// CHECK: %[[INDEX:.*]] = arith.addi %[[CLIPPED]], %c16_i32
// Clipped: it needs no other bound.
// CHECK: tile.at %[[PRODUCTS]][%{{.*}}, %[[INDEX]]]
func.func @shaw(%query: !q, %key: !kv, %value: !kv, %rel_k: !rel) -> (!q, !lse) attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %zero = arith.constant 0 : i32   %lo = arith.constant -16 : i32   %hi = arith.constant 16 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {log2, schedule = {block_m = 64 : i64, block_n = 64 : i64, stages = 1 : i64, warps = 4 : i64}} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %i = attn.index q_idx   %j = attn.index kv_idx   %h = attn.index h   %x = arith.subi %j, %i : i32
      %d = arith.maxsi %x, %lo : i32   %u = arith.minsi %d, %hi : i32   %r = arith.addi %u, %hi : i32
      %row = attn.load %rel_k[%h, %r] : !rel -> vector<64xf32>   %a = attn.dot %q, %k : vector<64xf32>   %e = attn.dot %q, %row : vector<64xf32>
      %s = arith.addf %a, %e : f32   %t = arith.mulf %s, %c : f32   attn.yield %t : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out, %lse = attn.finalize %s1 : !st -> !q, !lse   return %out, %lse : !q, !lse }

!table = !attn.tensor<[16, 64], f32>
// CoPE at one row, of a table of other numbers: the gates' sums go through the loop, hidden keys add 0; the index is cut off where it may be anything.
// CHECK-LABEL: func.func @counted
// CHECK-NOT: arith.cmpi eq
// CHECK: %[[PRODUCTS:.*]] = tile.alloc : !buffer_64x16xf32
// CHECK: %[[ROWS:.*]] = tile.map
// CHECK: %[[EXISTS:.*]] = arith.cmpi ult, %[[ROW:.*]], %c16_i32
// CHECK: tile.param %arg3[%[[ROW]], %{{.*}}] if %[[EXISTS]]
// CHECK: %[[TABLE:.*]] = tile.convert %[[ROWS]]
// CHECK: scf.for {{.*}} iter_args(%{{.*}}, %{{.*}}, %{{.*}}, %[[CARRY:[a-z0-9]+]] = %{{.*}})
// CHECK: %[[S:.*]] = tile.dot
// CHECK: %[[GATES:.*]] = scf.if
// CHECK-NEXT: scf.yield %[[S]]
// CHECK: arith.select %{{.*}}, %{{.*}}, %cst{{.*}} : f32
// CHECK: %[[SUMS:.*]], %[[TOTAL:.*]] = tile.suffix_sum %[[GATES]], %[[CARRY]]
// CHECK: tile.map {{.*}}%[[SUMS]]
// CHECK: %[[PLACE:.*]] = arith.fptosi
// CHECK: %[[INDEX:.*]] = arith.minui %[[PLACE]], %c15_i32
// CHECK: tile.at %[[PRODUCTS]][%{{.*}}, %[[INDEX]]]
// CHECK: scf.yield {{.*}}%[[TOTAL]]
func.func @counted(%query: !q, %key: !kv, %value: !kv, %table: !table) -> (!q, !lse) attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {log2, schedule = {block_m = 64 : i64, block_n = 64 : i64, stages = 1 : i64, warps = 4 : i64}} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %a = attn.dot %q, %k : vector<64xf32>   %n = attn.suffix_sum %a : f32   %r = arith.fptosi %n : f32 to i32
      %row = attn.load %table[%r] : !table -> vector<64xf32>   %e = attn.dot %q, %row : vector<64xf32>
      %s = arith.addf %a, %e : f32   %t = arith.mulf %s, %c : f32   attn.yield %t : f32 }
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %v = arith.cmpi sle, %j, %i : i32   attn.yield %v : i1 }
    ranges { ^tile(%first: i32, %last: i32): %e = arith.addi %last, %one : i32   %f = arith.addi %first, %one : i32
      attn.yield_ranges visit [%zero, %e] full [%zero, %f] }
  %out, %lse = attn.finalize %s1 : !st -> !q, !lse   return %out, %lse : !q, !lse }
