// RUN: attn-opt %s --nvvm-pipeline | FileCheck %s
// Query and key of 8-bit floats, multiplied as they are copied, 32 deep a step and without transpositions; values of 16 bits.
// CHECK-LABEL: llvm.func @causal_128_float8(
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e5m2
// CHECK-SAME: a, b, add, 1, 1;\0Awgmma.commit_group
// CHECK: wgmma.wait_group.sync.aligned 0
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e5m2
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16
!q = !tile.tensor<[batch, q_len, 4, 128], f8E4M3FN>
!o = !tile.tensor<[batch, q_len, 4, 128], f16>
!k = !tile.tensor<[batch, kv_len, 2, 128], f8E5M2>
!kv = !tile.tensor<[batch, kv_len, 2, 128], f16>
!lse = !tile.tensor<[batch, 4, q_len], f32>
!B = !tile.buffer<128x128xf8E4M3FN, #tile.smem<128>>
!K = !tile.buffer<128x128xf8E5M2, #tile.smem<128>>
!V = !tile.buffer<128x128xf16, #tile.smem<128>>
!ring1 = !tile.ring<1, 128x128xf8E4M3FN, #tile.smem<128>>
!ringk = !tile.ring<2, 128x128xf8E5M2, #tile.smem<128>>
!ringv = !tile.ring<2, 128x128xf16, #tile.smem<128>>
!P = !tile.frag<128x128xf16, #tile.lhs<8>>
!H = !tile.frag<128x128xf16, #tile.acc<8>>
!S = !tile.frag<128x128xf32, #tile.acc<8>>
!O = !tile.frag<128x128xf32, #tile.acc<8>>
!R = !tile.frag<128xf32, #tile.row<8>>
!L = !tile.frag<128xf32, #tile.row_partial<8>>
!fS = !tile.inflight<128x128xf32, #tile.acc<8>>
!fO = !tile.inflight<128x128xf32, #tile.acc<8>>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @causal_128_float8(%query: !q {attn.name = "query"}, %key: !k {attn.name = "key"}, %value: !kv {attn.name = "value"}, 
    %out: !o {attn.name = "out", tile.output}, %lse: !lse {attn.name = "lse", tile.output})
    attributes {tile.kernel, tile.warps = 8 : i32, tile.shared_bytes = 114688 : i32} {
  %c = arith.constant 0.127517431 : f32
  %inf = arith.constant 0xFF800000 : f32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %group = arith.constant 2 : i32
  %heads = arith.constant 4 : i32
  %bm1 = arith.constant 127 : i32
  %bm = arith.constant 128 : i32
  %bn = arith.constant 128 : i32
  %batch = tile.size %query, 0 : !q
  %m = tile.size %query, 1 : !q
  %n = tile.size %key, 1 : !k
  %d = arith.subi %n, %m : i32
  %tiles = arith.ceildivsi %m, %bm : i32
  %qr = tile.ring {offset = 0 : i32} : !ring1
  %kr = tile.ring {offset = 16384 : i32} : !ringk
  %vr = tile.ring {offset = 49152 : i32} : !ringv
  tile.role producer warps [8 to 12] registers 24 {
    tile.foreach_work %batch, %heads, %tiles descending carry(%c0, %c0 : i32, i32) -> i32, i32 { ^work(%b: i32, %h: i32, %t: i32, %w: i32, %s0: i32):
      %g = arith.divsi %h, %group : i32
      %q0 = arith.muli %t, %bm : i32
      %q1 = arith.addi %q0, %bm1 : i32
      %e0 = arith.addi %q1, %d : i32
      %e1 = arith.addi %e0, %c1 : i32
      %end = arith.minsi %e1, %n : i32
      %f0 = arith.addi %q0, %d : i32
      %f1 = arith.addi %f0, %c1 : i32
      %full = arith.minsi %f1, %n : i32
      %u = arith.ceildivsi %end, %bn : i32
      %count = arith.maxsi %u, %c1 : i32
      %fulls = arith.floordivsi %full, %bn : i32
      %jl = arith.subi %count, %c1 : i32
      %kl = arith.muli %jl, %bn : i32
      tile.acquire %qr[%w] : !ring1
      tile.fill %qr[%w] from %query[%b, %q0, %h] along 1 {via = "tma"} : !ring1, !q
      tile.acquire %kr[%s0] : !ringk
      tile.fill %kr[%s0] from %key[%b, %kl, %g] along 1 {via = "tma"} : !ringk, !k
      scf.for %i = %c1 to %count step %c1 : i32 {
        %s = arith.addi %s0, %i : i32
        %sp = arith.subi %s, %c1 : i32
        %i1 = arith.addi %i, %c1 : i32
        %j = arith.subi %count, %i1 : i32
        %k0 = arith.muli %j, %bn : i32
        %v0 = arith.addi %k0, %bn : i32
        tile.acquire %kr[%s] : !ringk
        tile.fill %kr[%s] from %key[%b, %k0, %g] along 1 {via = "tma"} : !ringk, !k
        tile.acquire %vr[%sp] : !ringv
        tile.fill %vr[%sp] from %value[%b, %v0, %g] along 1 {via = "tma"} : !ringv, !kv
      }
      %s1 = arith.addi %s0, %count : i32
      %sl = arith.subi %s1, %c1 : i32
      %w1 = arith.addi %w, %c1 : i32
      tile.acquire %vr[%sl] : !ringv
      tile.fill %vr[%sl] from %value[%b, %c0, %g] along 1 {via = "tma"} : !ringv, !kv
      tile.yield %w1, %s1 : i32, i32
    }
  }
  tile.role consumer warps [0 to 8] registers 240 {
    %ninf = tile.splat 0xFF800000 : !R
    %zl = tile.splat 0.0 : !L
    %zo = tile.splat 0.0 : !O
    %zs = tile.splat 0.0 : !S
    tile.foreach_work %batch, %heads, %tiles descending carry(%c0, %c0 : i32, i32) -> i32, i32 { ^work(%b: i32, %h: i32, %t: i32, %w: i32, %s0: i32):
      %q0 = arith.muli %t, %bm : i32
      %q1 = arith.addi %q0, %bm1 : i32
      %e0 = arith.addi %q1, %d : i32
      %e1 = arith.addi %e0, %c1 : i32
      %end = arith.minsi %e1, %n : i32
      %f0 = arith.addi %q0, %d : i32
      %f1 = arith.addi %f0, %c1 : i32
      %full = arith.minsi %f1, %n : i32
      %u = arith.ceildivsi %end, %bn : i32
      %count = arith.maxsi %u, %c1 : i32
      %fulls = arith.floordivsi %full, %bn : i32
      %jl = arith.subi %count, %c1 : i32
      %kl = arith.muli %jl, %bn : i32
      %s1 = arith.addi %s0, %count : i32
      %sl = arith.subi %s1, %c1 : i32
      %w1 = arith.addi %w, %c1 : i32
      %qb = tile.await %qr[%w] : !ring1 -> !B
      %kb0 = tile.await %kr[%s0] : !ringk -> !K
      %fs0 = tile.dot_async %qb, trans %kb0, %zs : !B, !K, !S -> !fS
      %sv0 = tile.wait %fs0 : !fS -> !S
      tile.release %kr[%s0] : !ringk
      %x0 = tile.map %sv0 : (!S) -> !S { ^element(%z: f32):
          %row = tile.row
          %col = tile.col
          %i0 = arith.addi %q0, %row : i32
          %pos = arith.addi %i0, %d : i32
          %j0 = arith.addi %kl, %col : i32
          %v = arith.cmpi sle, %j0, %pos : i32
          %z1 = arith.select %v, %z, %inf : f32
          tile.yield %z1 : f32 }
      %m1, %l1, %a1, %p1 = tile.softmax_step %x0, %ninf, %zl scale %c : !S, !R, !L
      %pb1 = tile.convert %p1 : !S -> !P
      %r:4 = scf.for %i = %c1 to %count step %c1 iter_args(%m2 = %m1, %l2 = %l1, %o2 = %zo, %pb2 = %pb1) -> (!R, !L, !O, !P) : i32 {
        %s = arith.addi %s0, %i : i32
        %sp = arith.subi %s, %c1 : i32
        %i1 = arith.addi %i, %c1 : i32
        %j = arith.subi %count, %i1 : i32
        %k0 = arith.muli %j, %bn : i32
        %kb = tile.await %kr[%s] : !ringk -> !K
        tile.turn_begin 0
        %fs = tile.dot_async %qb, trans %kb, %zs : !B, !K, !S -> !fS
        %vb = tile.await %vr[%sp] : !ringv -> !V
        %fo = tile.dot_async %pb2, %vb, %o2 : !P, !V, !O -> !fO
        tile.turn_end 0
        %sv = tile.wait %fs : !fS -> !S
        tile.release %kr[%s] : !ringk
        %is_full = arith.cmpi slt, %j, %fulls : i32
        %x = scf.if %is_full -> (!S) {
          scf.yield %sv : !S
        } else {
          %y = tile.map %sv : (!S) -> !S { ^element(%z: f32):
          %row = tile.row
          %col = tile.col
          %i0 = arith.addi %q0, %row : i32
          %pos = arith.addi %i0, %d : i32
          %j0 = arith.addi %k0, %col : i32
          %v = arith.cmpi sle, %j0, %pos : i32
          %z1 = arith.select %v, %z, %inf : f32
          tile.yield %z1 : f32 }
          scf.yield %y : !S
        }
        %m3, %l3, %a3, %p3 = tile.softmax_step %x, %m2, %l2 scale %c : !S, !R, !L
        tile.pin %l3 : !L
        %o3 = tile.wait %fo : !fO -> !O
        tile.release %vr[%sp] : !ringv
        %pb3 = tile.convert %p3 : !S -> !P
        %o4 = tile.scale %o3, %a3 : !O, !R
        scf.yield %m3, %l3, %o4, %pb3 : !R, !L, !O, !P
      }
      tile.release %qr[%w] : !ring1
      %vl = tile.await %vr[%sl] : !ringv -> !V
      %fl = tile.dot_async %r#3, %vl, %r#2 : !P, !V, !O -> !fO
      %l = tile.convert %r#1 : !L -> !R
      %inv, %ls = tile.finish %r#0, %l scale %c : !R, !R -> !R, !R
      %ol = tile.wait %fl : !fO -> !O
      tile.release %vr[%sl] : !ringv
      %on = tile.scale %ol, %inv : !O, !R
      %oh = tile.convert %on : !O -> !H
      tile.store %oh, %out[%b, %q0, %h] along 1 : !H, !o
      tile.store %ls, %lse[%b, %h, %q0] along 2 : !R, !lse
      tile.yield %w1, %s1 : i32, i32
    }
  }
  return
}
}
