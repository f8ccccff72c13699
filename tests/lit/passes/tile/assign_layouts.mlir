// RUN: attn-opt %s --tile-assign-layouts | FileCheck %s
// Layouts of a whole step: scores and sums over 4 warps, operands where the products take them.
!q = !tile.tensor<[batch, q_len, 8, 64], f16>   !kv = !tile.tensor<[batch, kv_len, 2, 64], f16>   !lse = !tile.tensor<[batch, 8, q_len], f32>
!H = !tile.frag<64x64xf16>   !S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>

// CHECK-DAG: !acc_64x64xf32 = !tile.frag<64x64xf32, #tile.acc<4>>
// CHECK-DAG: !lhs_64x64xf16 = !tile.frag<64x64xf16, #tile.lhs<4>>
// CHECK-DAG: !row_64xf32 = !tile.frag<64xf32, #tile.row<4>>
// CHECK-DAG: !row_partial_64xf32 = !tile.frag<64xf32, #tile.row_partial<4>>
// CHECK-DAG: !buffer_64x64xf16 = !tile.buffer<64x64xf16, #tile.smem<128>>

// CHECK-LABEL: func.func @step
// Query, keys and values are loaded into buffers; probs stay in registers as the left operand.
// CHECK: %[[Q:.*]] = tile.load %arg0{{.*}} -> !buffer_64x64xf16
// CHECK: %[[K:.*]] = tile.load %arg1{{.*}} -> !buffer_64x64xf16
// CHECK: %[[S:.*]] = tile.dot %[[Q]], trans %[[K]], %{{.*}} -> !acc_64x64xf32
// The sum of a row is kept as four summands until the loop ends.
// CHECK: tile.softmax_step %[[S]], %{{.*}}, %{{.*}} scale %{{.*}} : !acc_64x64xf32, !row_64xf32, !row_partial_64xf32
// CHECK: %[[P:.*]] = tile.convert %probs : !acc_64x64xf32 -> !lhs_64x64xf16
// CHECK: %[[V:.*]] = tile.load %arg2{{.*}} -> !buffer_64x64xf16
// CHECK: tile.dot %[[P]], %[[V]], %{{.*}} : !lhs_64x64xf16, !buffer_64x64xf16 -> !acc_64x64xf32
// CHECK: scf.yield
// CHECK: tile.convert %{{.*}} : !row_partial_64xf32 -> !row_64xf32
// CHECK: tile.finish
// The result is staged, so that memory is written in whole chunks; a value a row is stored as it is.
// CHECK: %[[OH:.*]] = tile.convert %{{.*}} : !acc_64x64xf32 -> !acc_64x64xf16
// CHECK: tile.write %[[OH]], %[[STAGE:.*]] : !acc_64x64xf16, !buffer_64x64xf16
// CHECK: tile.store %[[STAGE]], %arg3
// CHECK: tile.store %lse, %arg4{{.*}} : !row_64xf32
func.func @step(%query: !q, %key: !kv, %value: !kv, %out: !q, %lse: !lse) attributes {tile.kernel, tile.warps = 4 : i32} {
  %c = arith.constant 0.18 : f32   %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %c64 = arith.constant 64 : i32
  %ninf = tile.splat 0xFF800000 : !R   %zr = tile.splat 0.0 : !R   %zo = tile.splat 0.0 : !S   %n = tile.size %key, 1 : !kv   %blocks = arith.ceildivsi %n, %c64 : i32
  tile.foreach_work %c1, %c1, %c1 { ^work(%b: i32, %h: i32, %t: i32):
    %q = tile.load %query[%b, %t, %h] along 1 : !q -> !H
    %r:3 = scf.for %i = %c0 to %blocks step %c1 iter_args(%m0 = %ninf, %l0 = %zr, %o0 = %zo) -> (!R, !R, !S) : i32 {
      %k0 = arith.muli %i, %c64 : i32
      %k = tile.load %key[%b, %k0, %h] along 1 : !kv -> !H   %s = tile.dot %q, trans %k, %zo : !H, !H -> !S
      %m1, %l1, %alpha, %p = tile.softmax_step %s, %m0, %l0 scale %c : !S, !R, !R
      %a = tile.scale %o0, %alpha : !S, !R   %pb = tile.convert %p : !S -> !H
      %v = tile.load %value[%b, %k0, %h] along 1 : !kv -> !H   %o1 = tile.dot %pb, %v, %a : !H, !H -> !S
      scf.yield %m1, %l1, %o1 : !R, !R, !S }
    %inv, %ls = tile.finish %r#0, %r#1 scale %c : !R, !R -> !R, !R   %on = tile.scale %r#2, %inv : !S, !R   %oh = tile.convert %on : !S -> !H
    tile.store %oh, %out[%b, %t, %h] along 1 : !H, !q   tile.store %ls, %lse[%b, %h, %t] along 2 : !R, !lse }
  return
}

// A left operand that was computed (rotated queries) is written back over the load it came from.
// CHECK-LABEL: func.func @computed_operand
// CHECK: %[[Q:.*]] = tile.load %arg0{{.*}} -> !buffer_64x64xf16
// CHECK: %[[F:.*]] = tile.read %[[Q]]
// CHECK: tile.map
// CHECK: tile.write %{{.*}}, %[[Q]]
// CHECK: scf.for
// CHECK: tile.dot %[[Q]], trans
func.func @computed_operand(%query: !q, %key: !kv) -> () attributes {tile.kernel, tile.warps = 4 : i32} {
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %zo = tile.splat 0.0 : !S   %n = tile.size %key, 1 : !kv
  tile.foreach_work %c1, %c1, %c1 { ^work(%b: i32, %h: i32, %t: i32):
    %q = tile.load %query[%b, %t, %h] along 1 : !q -> !H
    %x = tile.map %q : (!H) -> !H { ^element(%e: f16): %y = arith.addf %e, %e : f16   tile.yield %y : f16 }
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%o0 = %zo) -> (!S) : i32 {
      %k = tile.load %key[%b, %i, %h] along 1 : !kv -> !H   %s = tile.dot %x, trans %k, %o0 : !H, !H -> !S
      scf.yield %s : !S } }
  return
}

// A function that is no kernel stays.
// CHECK-LABEL: func.func @no_kernel
// CHECK: tile.splat 0.0{{.*}} : !frag_64xf32
func.func @no_kernel() {
  %zr = tile.splat 0.0 : !R
  return
}
