// RUN: attn-opt %s --tile-assign-layouts | FileCheck %s
// Columns in two parts: no thread has a row's scores, so maxima and sums are combined through a scratch, and probs go through a
// buffer of whole panels a part.
!q = !tile.tensor<[batch, q_len, 8, 512], f16>   !kv = !tile.tensor<[batch, kv_len, 2, 512], f16>   !lse = !tile.tensor<[batch, 8, q_len], f32>
!H = !tile.frag<64x512xf16>   !P = !tile.frag<64x64xf16>   !S = !tile.frag<64x64xf32>   !O = !tile.frag<64x512xf32>   !R = !tile.frag<64xf32>

// CHECK-DAG: !acc_64x512xf32 = !tile.frag<64x512xf32, #tile.acc<8, parts = 2>>
// CHECK-DAG: !row_64xf32 = !tile.frag<64xf32, #tile.row<8, parts = 2>>
// CHECK-DAG: !row_partial_64xf32 = !tile.frag<64xf32, #tile.row_partial<8, parts = 2>>
// CHECK-DAG: !buffer_64x64xf16 = !tile.buffer<64x64xf16, #tile.smem<64>>
// CHECK-DAG: !buffer_2x64xf32 = !tile.buffer<2x64xf32, #tile.smem<0>>

// CHECK-LABEL: func.func @step
// CHECK: %[[LAST:.*]] = tile.alloc : !buffer_2x64xf32
// CHECK: %[[SCRATCH:.*]] = tile.alloc : !buffer_2x64xf32
// CHECK: scf.for
// CHECK: %[[S:.*]] = tile.dot %{{.*}}, trans
// CHECK: %[[OWN:.*]] = tile.reduce max %[[S]], %{{.*}} : !acc_64x64xf32, !row_partial_64xf32
// CHECK: %[[MAX:.*]] = tile.combine max %[[OWN]], %[[SCRATCH]] : !row_partial_64xf32, !buffer_2x64xf32 -> !row_64xf32
// CHECK: tile.softmax_step %[[S]], %{{.*}}, %{{.*}} scale %{{.*}} block_max %[[MAX]] : !row_64xf32
// CHECK: %[[P:.*]] = tile.convert %probs : !acc_64x64xf32 -> !acc_64x64xf16
// CHECK: tile.write %[[P]], %[[PROBS:.*]] : !acc_64x64xf16, !buffer_64x64xf16
// CHECK: tile.dot %[[PROBS]], %{{.*}} : !buffer_64x64xf16
// CHECK: scf.yield
// CHECK: tile.combine add %{{.*}}, %[[LAST]]
// CHECK: tile.finish
func.func @step(%query: !q, %key: !kv, %value: !kv, %out: !q, %lse: !lse) attributes {tile.kernel, tile.warps = 8 : i32, tile.parts = 2 : i32} {
  %c = arith.constant 0.18 : f32   %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %c64 = arith.constant 64 : i32
  %ninf = tile.splat 0xFF800000 : !R   %zr = tile.splat 0.0 : !R   %zs = tile.splat 0.0 : !S   %zo = tile.splat 0.0 : !O
  %n = tile.size %key, 1 : !kv   %blocks = arith.ceildivsi %n, %c64 : i32
  tile.foreach_work %c1, %c1, %c1 { ^work(%b: i32, %h: i32, %t: i32):
    %q = tile.load %query[%b, %t, %h] along 1 : !q -> !H
    %r:3 = scf.for %i = %c0 to %blocks step %c1 iter_args(%m0 = %ninf, %l0 = %zr, %o0 = %zo) -> (!R, !R, !O) : i32 {
      %k0 = arith.muli %i, %c64 : i32
      %k = tile.load %key[%b, %k0, %h] along 1 : !kv -> !H   %s = tile.dot %q, trans %k, %zs : !H, !H -> !S
      %m1, %l1, %alpha, %p = tile.softmax_step %s, %m0, %l0 scale %c : !S, !R, !R
      %a = tile.scale %o0, %alpha : !O, !R   %pb = tile.convert %p : !S -> !P
      %v = tile.load %value[%b, %k0, %h] along 1 : !kv -> !H   %o1 = tile.dot %pb, %v, %a : !P, !H -> !O
      scf.yield %m1, %l1, %o1 : !R, !R, !O }
    %inv, %ls = tile.finish %r#0, %r#1 scale %c : !R, !R -> !R, !R   %on = tile.scale %r#2, %inv : !O, !R   %oh = tile.convert %on : !O -> !H
    tile.store %oh, %out[%b, %t, %h] along 1 : !H, !q   tile.store %ls, %lse[%b, %h, %t] along 2 : !R, !lse }
  return
}

// A sum over the columns of a row is one of what each part holds.
// CHECK-LABEL: func.func @sum
// CHECK: %[[OWN:.*]] = tile.reduce add %{{.*}} : !acc_64x512xf32, !row_partial_64xf32
// CHECK: tile.combine add %[[OWN]]
func.func @sum(%sums: !lse) attributes {tile.kernel, tile.warps = 8 : i32, tile.parts = 2 : i32} {
  %c0 = arith.constant 0 : i32   %zr = tile.splat 0.0 : !R
  %y = tile.map : () -> !O { %c = tile.col   %f = arith.sitofp %c : i32 to f32   tile.yield %f : f32 }
  %s = tile.reduce add %y, %zr : !O, !R
  tile.store %s, %sums[%c0, %c0, %c0] along 2 : !R, !lse
  return
}

// Products of scores cut along the depth: a summand of all keys a part, added up; from there on both parts have whole rows, and
// probs are in registers. Sums are in parts as before.
// CHECK-LABEL: func.func @cut
// CHECK: %[[EXCHANGE:.*]] = tile.alloc : !buffer_2x1024xf32
// CHECK-NOT: tile.alloc : !buffer_64x32xf16
// CHECK: scf.for
// CHECK: %[[PAIR:.*]] = tile.dot %{{.*}}, trans %{{.*}} : !buffer_64x512xf16, !buffer_32x512xf16 -> !acc_64x64xf32
// CHECK: %[[S:.*]] = tile.add_parts %[[PAIR]], %[[EXCHANGE]] : !acc_64x64xf32, !buffer_2x1024xf32 -> !acc_64x32xf32
// CHECK-NOT: tile.combine
// CHECK: tile.softmax_step %[[S]], %{{.*}}, %{{.*}} scale %{{.*}} : !acc_64x32xf32, !row_64xf32, ![[SUM:row_partial[^ ]*]]
// CHECK: tile.scale %{{.*}} : !acc_64x512xf32, !row_64xf32
// CHECK: %[[P:.*]] = tile.convert %probs : !acc_64x32xf32 -> !lhs_64x32xf16
// CHECK: tile.dot %[[P]], %{{.*}} : !lhs_64x32xf16, !buffer_32x512xf16 -> !acc_64x512xf32
// CHECK: scf.yield
// CHECK: tile.convert %{{.*}} : ![[SUM]] -> !row_64xf32
// CHECK: tile.finish
!K = !tile.frag<32x512xf16>   !P32 = !tile.frag<64x32xf16>   !S32 = !tile.frag<64x32xf32>
func.func @cut(%query: !q, %key: !kv, %value: !kv, %out: !q, %lse: !lse) attributes {tile.kernel, tile.warps = 8 : i32, tile.parts = 2 : i32, tile.cut_depth} {
  %c = arith.constant 0.18 : f32   %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %c32 = arith.constant 32 : i32
  %ninf = tile.splat 0xFF800000 : !R   %zr = tile.splat 0.0 : !R   %zs = tile.splat 0.0 : !S32   %zo = tile.splat 0.0 : !O
  %n = tile.size %key, 1 : !kv   %blocks = arith.ceildivsi %n, %c32 : i32
  tile.foreach_work %c1, %c1, %c1 { ^work(%b: i32, %h: i32, %t: i32):
    %q = tile.load %query[%b, %t, %h] along 1 : !q -> !H
    %r:3 = scf.for %i = %c0 to %blocks step %c1 iter_args(%m0 = %ninf, %l0 = %zr, %o0 = %zo) -> (!R, !R, !O) : i32 {
      %k0 = arith.muli %i, %c32 : i32
      %k = tile.load %key[%b, %k0, %h] along 1 : !kv -> !K   %s = tile.dot %q, trans %k, %zs : !H, !K -> !S32
      %m1, %l1, %alpha, %p = tile.softmax_step %s, %m0, %l0 scale %c : !S32, !R, !R
      %a = tile.scale %o0, %alpha : !O, !R   %pb = tile.convert %p : !S32 -> !P32
      %v = tile.load %value[%b, %k0, %h] along 1 : !kv -> !K   %o1 = tile.dot %pb, %v, %a : !P32, !K -> !O
      scf.yield %m1, %l1, %o1 : !R, !R, !O }
    %inv, %ls = tile.finish %r#0, %r#1 scale %c : !R, !R -> !R, !R   %on = tile.scale %r#2, %inv : !O, !R   %oh = tile.convert %on : !O -> !H
    tile.store %oh, %out[%b, %t, %h] along 1 : !H, !q   tile.store %ls, %lse[%b, %h, %t] along 2 : !R, !lse }
  return
}
