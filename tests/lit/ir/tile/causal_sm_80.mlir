// RUN: attn-opt %s | attn-opt | FileCheck %s
// The same kernel after InsertBarriers for sm_80: 4 warps, one stage, two barriers an iteration, O staged on Q.
!q = !tile.tensor<[batch, q_len, 8, 64], f16>
!kv = !tile.tensor<[batch, kv_len, 2, 64], f16>
!lse = !tile.tensor<[batch, 8, q_len], f32>
!B = !tile.buffer<128x64xf16, #tile.smem<128>>
!ring = !tile.ring<1, 128x64xf16, #tile.smem<128>>
!P = !tile.frag<128x128xf16, #tile.lhs<4>>
!H = !tile.frag<128x64xf16, #tile.acc<4>>
!S = !tile.frag<128x128xf32, #tile.acc<4>>
!O = !tile.frag<128x64xf32, #tile.acc<4>>
!R = !tile.frag<128xf32, #tile.row<4>>
!L = !tile.frag<128xf32, #tile.row_partial<4>>
// CHECK: tile.target = #tile.target<"sm_80">
module attributes {tile.target = #tile.target<"sm_80">} {
// CHECK-LABEL: func.func @causal
func.func @causal(%query: !q, %key: !kv, %value: !kv, %out: !q, %lse: !lse)
    attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 1 : i32, tile.shared_bytes = 49152 : i32} {
  %c = arith.constant 0.180336878 : f32   %inf = arith.constant 0xFF800000 : f32   %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32
  %c4 = arith.constant 4 : i32   %c8 = arith.constant 8 : i32   %c127 = arith.constant 127 : i32   %c128 = arith.constant 128 : i32
  %batch = tile.size %query, 0 : !q   %m = tile.size %query, 1 : !q   %n = tile.size %key, 1 : !kv   %d = arith.subi %n, %m : i32   %tiles = arith.ceildivsi %m, %c128 : i32
  %ninf = tile.splat 0xFF800000 : !R   %zl = tile.splat 0.0 : !L   %zo = tile.splat 0.0 : !O   %zs = tile.splat 0.0 : !S
  %qr = tile.ring {offset = 0 : i32} : !ring   %kr = tile.ring {offset = 16384 : i32} : !ring   %vr = tile.ring {offset = 32768 : i32} : !ring
  %stage = tile.alloc {offset = 0 : i32} : !B
  tile.foreach_work %batch, %c8, %tiles descending { ^work(%b: i32, %h: i32, %t: i32):
    %g = arith.divsi %h, %c4 : i32   %q0 = arith.muli %t, %c128 : i32   %q1 = arith.addi %q0, %c127 : i32
    %e0 = arith.addi %q1, %d : i32   %e1 = arith.addi %e0, %c1 : i32   %end = arith.minsi %e1, %n : i32
    %f0 = arith.addi %q0, %d : i32   %f1 = arith.addi %f0, %c1 : i32   %full = arith.minsi %f1, %n : i32
    %u = arith.ceildivsi %end, %c128 : i32   %count = arith.maxsi %u, %c1 : i32   %fulls = arith.floordivsi %full, %c128 : i32
    %jl = arith.subi %count, %c1 : i32   %kl = arith.muli %jl, %c128 : i32
    tile.fill %qr[%c0] from %query[%b, %q0, %h] along 1 {via = "cp_async"} : !ring, !q
    tile.fill %kr[%c0] from %key[%b, %kl, %g] along 1 {via = "cp_async"} : !ring, !kv
    // CHECK: tile.await %{{.*}}[%{{.*}}] {pending = 1 : i32}
    %qb = tile.await %qr[%c0] {pending = 1 : i32} : !ring -> !B
    %r:3 = scf.for %i = %c0 to %count step %c1 iter_args(%m0 = %ninf, %l0 = %zl, %o0 = %zo) -> (!R, !L, !O) : i32 {
      %i1 = arith.addi %i, %c1 : i32   %j = arith.subi %count, %i1 : i32   %k0 = arith.muli %j, %c128 : i32   %kn = arith.subi %k0, %c128 : i32   %more = arith.cmpi slt, %i1, %count : i32
      // CHECK: tile.await %{{.*}}[%{{.*}}] {barrier, pending = 0 : i32}
      %kb = tile.await %kr[%i] {pending = 0 : i32, barrier} : !ring -> !B
      tile.fill %vr[%i] from %value[%b, %k0, %g] along 1 {via = "cp_async"} : !ring, !kv
      %s = tile.dot %qb, trans %kb, %zs : !B, !B -> !S
      %vb = tile.await %vr[%i] {pending = 0 : i32, barrier} : !ring -> !B
      // CHECK: tile.fill %{{.*}}[%{{.*}}] from %{{.*}}[%{{.*}}] along 1 if %{{.*}} {via = "cp_async"}
      tile.fill %kr[%i1] from %key[%b, %kn, %g] along 1 if %more {via = "cp_async"} : !ring, !kv
      %is_full = arith.cmpi slt, %j, %fulls : i32   %x = scf.if %is_full -> (!S) { scf.yield %s : !S } else {
        %y = tile.map %s : (!S) -> !S { ^element(%z: f32):
          %row = tile.row   %col = tile.col   %i0 = arith.addi %q0, %row : i32   %pos = arith.addi %i0, %d : i32   %j0 = arith.addi %k0, %col : i32
          %v = arith.cmpi sle, %j0, %pos : i32   %z1 = arith.select %v, %z, %inf : f32   tile.yield %z1 : f32 }   scf.yield %y : !S }
      %m1, %l1, %alpha, %p = tile.softmax_step %x, %m0, %l0 scale %c : !S, !R, !L
      %a = tile.scale %o0, %alpha : !O, !R   %pb = tile.convert %p : !S -> !P   %o1 = tile.dot %pb, %vb, %a : !P, !B -> !O
      scf.yield %m1, %l1, %o1 : !R, !L, !O }
    %l = tile.convert %r#1 : !L -> !R
    %inv, %ls = tile.finish %r#0, %l scale %c : !R, !R -> !R, !R   %on = tile.scale %r#2, %inv : !O, !R   %oh = tile.convert %on : !O -> !H
    tile.write %oh, %stage : !H, !B
    tile.barrier
    tile.store %stage, %out[%b, %q0, %h] along 1 : !B, !q   tile.store %ls, %lse[%b, %h, %q0] along 2 : !R, !lse }
  return
}
}
