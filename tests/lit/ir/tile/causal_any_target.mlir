// RUN: attn-opt %s | attn-opt | FileCheck %s
// Causal attention, 8 query heads on 2, head_dim 64, as AttnToTile leaves it: no layouts, no target but block sizes.
!q = !tile.tensor<[batch, q_len, 8, 64], f16>
!kv = !tile.tensor<[batch, kv_len, 2, 64], f16>
!lse = !tile.tensor<[batch, 8, q_len], f32>
!H = !tile.frag<128x64xf16>
!S = !tile.frag<128x128xf32>
!P = !tile.frag<128x128xf16>
!O = !tile.frag<128x64xf32>
!R = !tile.frag<128xf32>
// Types are printed by names at the top, which say layout (none yet: frag) and shape.
// CHECK-DAG: !frag_128x128xf32 = !tile.frag<128x128xf32>
// CHECK-DAG: !frag_128xf32 = !tile.frag<128xf32>
// CHECK-DAG: ![[Q:tensor[0-9]*]] = !tile.tensor<[batch, q_len, 8, 64], f16>
// CHECK-LABEL: func.func @causal
// CHECK: tile.splat 0xFF800000 : !frag_128xf32
// CHECK: tile.foreach_work %{{.*}}, %{{.*}}, %{{.*}} {
// CHECK: tile.load %{{.*}}[%{{.*}}] along 1 : ![[Q]] -> !frag_128x64xf16
// CHECK: tile.dot %{{.*}}, trans %{{.*}}, %{{.*}} : !frag_128x64xf16, !frag_128x64xf16 -> !frag_128x128xf32
// CHECK: tile.softmax_step %{{.*}}, %{{.*}}, %{{.*}} scale %{{.*}} : !frag_128x128xf32, !frag_128xf32, !frag_128xf32
// CHECK: tile.finish
func.func @causal(%query: !q, %key: !kv, %value: !kv, %out: !q, %lse: !lse) attributes {tile.kernel, tile.warps = 8 : i32} {
  %c = arith.constant 0.180336878 : f32   %inf = arith.constant 0xFF800000 : f32   %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32
  %c4 = arith.constant 4 : i32   %c8 = arith.constant 8 : i32   %c127 = arith.constant 127 : i32   %c128 = arith.constant 128 : i32
  %batch = tile.size %query, 0 : !q   %m = tile.size %query, 1 : !q   %n = tile.size %key, 1 : !kv   %d = arith.subi %n, %m : i32   %tiles = arith.ceildivsi %m, %c128 : i32
  %ninf = tile.splat 0xFF800000 : !R   %zr = tile.splat 0.0 : !R   %zo = tile.splat 0.0 : !O   %zs = tile.splat 0.0 : !S
  tile.foreach_work %batch, %c8, %tiles { ^work(%b: i32, %h: i32, %t: i32):
    %g = arith.divsi %h, %c4 : i32   %q0 = arith.muli %t, %c128 : i32   %q1 = arith.addi %q0, %c127 : i32
    %e0 = arith.addi %q1, %d : i32   %e1 = arith.addi %e0, %c1 : i32   %end = arith.minsi %e1, %n : i32
    %f0 = arith.addi %q0, %d : i32   %f1 = arith.addi %f0, %c1 : i32   %full = arith.minsi %f1, %n : i32
    %u = arith.ceildivsi %end, %c128 : i32   %count = arith.maxsi %u, %c1 : i32   %fulls = arith.floordivsi %full, %c128 : i32
    %q = tile.load %query[%b, %q0, %h] along 1 : !q -> !H
    %r:3 = scf.for %i = %c0 to %count step %c1 iter_args(%m0 = %ninf, %l0 = %zr, %o0 = %zo) -> (!R, !R, !O) : i32 {
      %i1 = arith.addi %i, %c1 : i32   %j = arith.subi %count, %i1 : i32   %k0 = arith.muli %j, %c128 : i32
      %k = tile.load %key[%b, %k0, %g] along 1 : !kv -> !H   %s = tile.dot %q, trans %k, %zs : !H, !H -> !S
      %is_full = arith.cmpi slt, %j, %fulls : i32   %x = scf.if %is_full -> (!S) { scf.yield %s : !S } else {
        %y = tile.map %s : (!S) -> !S { ^element(%z: f32):
          %row = tile.row   %col = tile.col   %i0 = arith.addi %q0, %row : i32   %pos = arith.addi %i0, %d : i32   %j0 = arith.addi %k0, %col : i32
          %v = arith.cmpi sle, %j0, %pos : i32   %z1 = arith.select %v, %z, %inf : f32   tile.yield %z1 : f32 }   scf.yield %y : !S }
      %m1, %l1, %alpha, %p = tile.softmax_step %x, %m0, %l0 scale %c : !S, !R, !R
      %a = tile.scale %o0, %alpha : !O, !R   %pb = tile.convert %p : !S -> !P
      %v = tile.load %value[%b, %k0, %g] along 1 : !kv -> !H   %o1 = tile.dot %pb, %v, %a : !P, !H -> !O
      scf.yield %m1, %l1, %o1 : !R, !R, !O }
    %inv, %ls = tile.finish %r#0, %r#1 scale %c : !R, !R -> !R, !R   %on = tile.scale %r#2, %inv : !O, !R   %oh = tile.convert %on : !O -> !H
    tile.store %oh, %out[%b, %q0, %h] along 1 : !H, !q   tile.store %ls, %lse[%b, %h, %q0] along 2 : !R, !lse }
  return
}
