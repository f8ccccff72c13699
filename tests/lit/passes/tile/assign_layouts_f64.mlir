// RUN: attn-opt %s --tile-assign-layouts | FileCheck %s
// Operands of f64 lie plain: rows that lanes read along an odd number of 64 bytes apart, rows of values, which they read down
// the columns, an odd number of 16 bytes. Probs are multiplied from the registers they were computed in.
!q = !tile.tensor<[batch, q_len, 8, 64], f64>   !kv = !tile.tensor<[batch, kv_len, 2, 64], f64>
!Q = !tile.frag<64x64xf64>   !K = !tile.frag<32x64xf64>   !S = !tile.frag<64x32xf64>   !R = !tile.frag<64xf64>

// CHECK-DAG: !buffer_64x64xf64 = !tile.buffer<64x64xf64, #tile.smem<0, pitch = 72>>
// CHECK-DAG: ![[KEYS:.*]] = !tile.buffer<32x64xf64, #tile.smem<0, pitch = 72>>
// CHECK-DAG: ![[VALUES:.*]] = !tile.buffer<32x64xf64, #tile.smem<0, pitch = 66>>
// CHECK-LABEL: func.func @step
// CHECK: %[[Q:.*]] = tile.load %arg0{{.*}} -> !buffer_64x64xf64
// CHECK: %[[K:.*]] = tile.load %arg1{{.*}} -> ![[KEYS]]
// CHECK: %[[S:.*]] = tile.dot %[[Q]], trans %[[K]], %{{.*}} -> !acc_64x32xf64
// CHECK: tile.softmax_step %[[S]]
// CHECK: %[[P:.*]] = tile.convert %probs : !acc_64x32xf64 -> !lhs_64x32xf64
// CHECK: %[[V:.*]] = tile.load %arg2{{.*}} -> ![[VALUES]]
// CHECK: tile.keep_finite %[[V]]
// CHECK: tile.dot %[[P]], %[[V]], %{{.*}} -> !acc_64x64xf64
// CHECK-NOT: tile.write
// CHECK: tile.store %{{.*}}, %arg3{{.*}} : !acc_64x64xf64
func.func @step(%query: !q, %key: !kv, %value: !kv, %out: !q) attributes {tile.kernel, tile.warps = 4 : i32} {
  %c = arith.constant 0.18 : f64   %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %c32 = arith.constant 32 : i32
  %ninf = tile.splat 0xFF800000 : !R   %zr = tile.splat 0.0 : !R   %zs = tile.splat 0.0 : !S   %zo = tile.splat 0.0 : !Q   %n = tile.size %key, 1 : !kv
  %yes = arith.constant true
  tile.foreach_work %c1, %c1, %c1 { ^work(%b: i32, %h: i32, %t: i32):
    %q = tile.load %query[%b, %t, %h] along 1 : !q -> !Q
    %r:3 = scf.for %i = %c0 to %n step %c1 iter_args(%m0 = %ninf, %l0 = %zr, %o0 = %zo) -> (!R, !R, !Q) : i32 {
      %k0 = arith.muli %i, %c32 : i32
      %k = tile.load %key[%b, %k0, %h] along 1 : !kv -> !K   %s = tile.dot %q, trans %k, %zs : !Q, !K -> !S
      %m1, %l1, %alpha, %p = tile.softmax_step %s, %m0, %l0 scale %c : !S, !R, !R
      %a = tile.scale %o0, %alpha : !Q, !R
      %v = tile.load %value[%b, %k0, %h] along 1 : !kv -> !K
      %w, %found = tile.keep_finite %v if %yes : !K -> !K
      %o1 = tile.dot %p, %w, %a : !S, !K -> !Q
      scf.yield %m1, %l1, %o1 : !R, !R, !Q }
    tile.store %r#2, %out[%b, %t, %h] along 1 : !Q, !q }
  return
}
