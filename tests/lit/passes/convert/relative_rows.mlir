// RUN: attn-opt %s --attn-to-tile --canonicalize --cse | FileCheck %s
// Rows that the distance of key and query chooses: one a diagonal of the tile.
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 8, 64], f16>   !lse = !attn.tensor<[batch, 8, q_len], f32>   !st = !attn.state<[batch, 8, q_len], 64>
!rel = !attn.tensor<[8, 4096, 64], f16>   !wide = !attn.tensor<[4096, 64], f32>

// Diagonal x is at row 0 and column x - 63. The query's product and the key's; a table of another type is converted.
// CHECK-LABEL: func.func @both_sides
// CHECK: scf.for
// CHECK: %[[K:.*]] = tile.load %arg1
// CHECK: %[[ROWS:.*]] = tile.load %arg3[%h, %c0_i32] along 1 : !tensor2 -> !frag_128x64xf16 rows {
// CHECK-NEXT: ^bb0(%[[X:.*]]: i32):
// CHECK-NEXT: %[[COLUMN:.*]] = arith.subi %[[X]], %c63_i32
// CHECK-NEXT: %[[KEY:.*]] = arith.addi %{{.*}}, %[[COLUMN]]
// CHECK-NEXT: %[[DISTANCE:.*]] = arith.subi %{{.*}}, %[[KEY]]
// CHECK: %[[X1:.*]] = tile.diagonal_dot %{{.*}}, %[[ROWS]] : !frag_64x64xf16, !frag_128x64xf16 -> !frag_64x64xf32
// CHECK: %[[TABLE:.*]] = tile.tabulate {
// CHECK: tile.param %arg4[%{{.*}}, %{{.*}}] if
// CHECK: tile.diagonal_dot columns %[[K]], %[[TABLE]] plus %[[X1]]
func.func @both_sides(%query: !q, %key: !kv, %value: !kv, %rel: !rel, %wide: !wide) -> (!q, !lse) attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %zero = arith.constant 0 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {log2, schedule = {block_m = 64 : i64, block_n = 64 : i64, stages = 1 : i64, warps = 4 : i64}} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %i = attn.index q_idx   %j = attn.index kv_idx   %h = attn.index h   %d = arith.subi %i, %j : i32
      %row = attn.load %rel[%h, %d] : !rel -> vector<64xf32>   %other = attn.load %wide[%d] : !wide -> vector<64xf32>
      %a = attn.dot %q, %row : vector<64xf32>   %e = attn.dot %k, %other : vector<64xf32>
      %s = arith.addf %a, %e : f32   %t = arith.mulf %s, %c : f32   attn.yield %t : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out, %lse = attn.finalize %s1 : !st -> !q, !lse   return %out, %lse : !q, !lse }

// A row added to values: the weights by diagonals. What is not finite is taken out, noted, and added behind the loop.
// CHECK-LABEL: func.func @values
// CHECK: %[[LOOP:.*]]:4 = scf.for {{.*}} iter_args(%{{.*}}, %{{.*}}, %{{.*}}, %[[NOTE:[a-z0-9]+]] = %{{.*}})
// CHECK: %[[O:.*]] = tile.dot %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %
// CHECK: %[[ROWS:.*]] = tile.load %arg3[%h, %c0_i32] along 1 : !tensor2 -> !frag_128x64xf16 rows {
// CHECK: %[[FINITE:.*]], %[[FOUND:.*]] = tile.keep_finite %[[ROWS]]
// CHECK: tile.diagonal_sum %{{.*}}, %[[FINITE]], %[[O]]
// CHECK: scf.for %{{.*}} = %[[LOOP]]#3 to
// CHECK: tile.param %arg3
func.func @values(%query: !q, %key: !kv, %value: !kv, %rel: !rel) -> (!q, !lse) attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %zero = arith.constant 0 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {log2, schedule = {block_m = 64 : i64, block_n = 64 : i64, stages = 1 : i64, warps = 4 : i64}} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %a = attn.dot %q, %k : vector<64xf32>   %t = arith.mulf %a, %c : f32   attn.yield %t : f32 }
    weight { ^point(%p: f32, %v: vector<64xf32>):
      %i = attn.index q_idx   %j = attn.index kv_idx   %h = attn.index h   %d = arith.subi %i, %j : i32
      %row = attn.load %rel[%h, %d] : !rel -> vector<64xf32>   %w = arith.addf %v, %row : vector<64xf32>
      attn.yield %p, %w : f32, vector<64xf32> }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out, %lse = attn.finalize %s1 : !st -> !q, !lse   return %out, %lse : !q, !lse }

// A distance that ends at a bound: where two corners of the block have one row of the table, sixteen of it are loaded beside the
// rows of the diagonals. Where a logarithm makes buckets of it, the index is shown to be one from some distance on.
// CHECK-LABEL: func.func @clipped
// CHECK: scf.for
// CHECK: %[[LAST:.*]] = arith.addi %{{.*}}, %c63_i32
// CHECK: %[[SAME:.*]] = arith.cmpi eq
// CHECK: %[[FAR:.*]] = tile.load %arg3[%h, %c0_i32] along 1 : !tensor2 -> !frag_16x64xf16 rows {
// CHECK: %[[ROWS:.*]] = tile.load %arg3[%h, %c0_i32] along 1 : !tensor2 -> !frag_128x64xf16 rows {
// CHECK: tile.diagonal_dot %{{.*}}, %[[ROWS]] or %[[FAR]] if %[[SAME]] :
func.func @clipped(%query: !q, %key: !kv, %value: !kv, %rel: !rel) -> (!q, !lse) attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %zero = arith.constant 0 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {log2, schedule = {block_m = 64 : i64, block_n = 64 : i64, stages = 1 : i64, warps = 4 : i64}} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %i = attn.index q_idx   %j = attn.index kv_idx   %h = attn.index h   %d = arith.subi %i, %j : i32
      %most = arith.constant 200 : i32   %none = arith.constant 0 : i32   %up = arith.maxsi %d, %none : i32   %at = arith.minsi %up, %most : i32
      %row = attn.load %rel[%h, %at] : !rel -> vector<64xf32>   %a = attn.dot %q, %row : vector<64xf32>
      %t = arith.mulf %a, %c : f32   attn.yield %t : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out, %lse = attn.finalize %s1 : !st -> !q, !lse   return %out, %lse : !q, !lse }

// floor(10 log(d)) is above 51, clear of 50 by more than it may be off by, from d = 182 on: e^5.2.
// CHECK-LABEL: func.func @in_buckets
// CHECK: arith.cmpi sge, %{{.*}}, %c182_i32
// CHECK: tile.diagonal_dot {{.*}} or
func.func @in_buckets(%query: !q, %key: !kv, %value: !kv, %rel: !rel) -> (!q, !lse) attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %zero = arith.constant 0 : i32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {log2, schedule = {block_m = 64 : i64, block_n = 64 : i64, stages = 1 : i64, warps = 4 : i64}} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %i = attn.index q_idx   %j = attn.index kv_idx   %h = attn.index h   %d = arith.subi %i, %j : i32
      %most = arith.constant 50 : i32   %one = arith.constant 1 : i32   %ten = arith.constant 10.0 : f32
      %up = arith.maxsi %d, %one : i32   %x = arith.sitofp %up : i32 to f32   %l = math.log %x : f32   %y = arith.mulf %l, %ten : f32
      %z = math.floor %y : f32   %b = arith.fptosi %z : f32 to i32   %at = arith.minsi %b, %most : i32
      %row = attn.load %rel[%h, %at] : !rel -> vector<64xf32>   %a = attn.dot %q, %row : vector<64xf32>
      %t = arith.mulf %a, %c : f32   attn.yield %t : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out, %lse = attn.finalize %s1 : !st -> !q, !lse   return %out, %lse : !q, !lse }
