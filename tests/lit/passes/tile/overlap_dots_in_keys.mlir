// RUN: attn-opt --tile-overlap-dots %s | FileCheck %s
// Values that are channels of the keys: one ring serves both products. Block i - 1 is awaited once more where its values are
// multiplied, under the softmax of block i, and released behind that.
// With one entry two blocks cannot be at work.
// RUN: sed 's/ring<3, /ring<1, /' %s | attn-opt --tile-overlap-dots | FileCheck %s --check-prefix=ALONE
// Warpgroups that add up what each has of a product do not take turns.
// RUN: attn-opt --tile-overlap-dots --tile-specialize-warps --tile-place-turns %s | FileCheck %s --check-prefix=TURNS

// CHECK-LABEL: func.func @latent
// CHECK: %[[QB:.*]] = tile.await
// CHECK: tile.fill %[[RING:.*]][%{{.*}}] from
// CHECK: tile.dot_async %[[QB]], trans
// CHECK: tile.wait
// CHECK: tile.add_parts
// CHECK-NOT: tile.release
// CHECK: scf.for %[[I:.*]] = %{{.*}} iter_args
// CHECK: %[[BEFORE:.*]] = arith.subi %[[I]]
// CHECK: tile.fill %[[RING]][%[[I]]]
// CHECK: %[[KB:.*]] = tile.await %[[RING]][%[[I]]]
// CHECK: %[[S:.*]] = tile.dot_async %[[QB]], trans %[[KB]]
// CHECK-NOT: tile.fill
// CHECK: %[[VB:.*]] = tile.await %[[RING]][%[[BEFORE]]]
// CHECK: %[[F:.*]] = tile.dot_async %{{.*}}, %[[VB]]
// CHECK: %[[PAIR:.*]] = tile.wait %[[S]]
// CHECK: tile.add_parts %[[PAIR]]
// CHECK: tile.softmax_step
// CHECK: tile.pin
// CHECK: tile.wait %[[F]]
// CHECK: tile.release %[[RING]][%[[BEFORE]]]
// CHECK: tile.convert
// CHECK: scf.yield
// CHECK: tile.dot_async
// CHECK: tile.release %[[RING]]

// ALONE-NOT: tile.dot_async
// ALONE: tile.dot
// TURNS: tile.dot_async
// TURNS-NOT: tile.turn_begin
!q = !tile.tensor<[batch, q_len, 8, 576], bf16>   !kv = !tile.tensor<[batch, kv_len, 1, 576], bf16>   !o = !tile.tensor<[batch, q_len, 8, 512], bf16>
!B = !tile.buffer<64x576xbf16, #tile.smem<128>>   !K = !tile.buffer<32x576xbf16, #tile.smem<128>>   !OB = !tile.buffer<64x512xbf16, #tile.smem<128>>
!ring1 = !tile.ring<1, 64x576xbf16, #tile.smem<128>>   !rings = !tile.ring<3, 32x576xbf16, #tile.smem<128>>   !X = !tile.buffer<2x1024xf32, #tile.smem<0>>
!T = !tile.frag<64x64xf32, #tile.acc<8, parts = 2>>   !S = !tile.frag<64x32xf32, #tile.acc<4>>   !P = !tile.frag<64x32xbf16, #tile.lhs<4>>
!O = !tile.frag<64x512xf32, #tile.acc<8, parts = 2>>   !H = !tile.frag<64x512xbf16, #tile.acc<8, parts = 2>>
!R = !tile.frag<64xf32, #tile.row<8, parts = 2>>   !L = !tile.frag<64xf32, #tile.row_partial<4>>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @latent(%query: !q, %key: !kv, %out: !o) attributes {tile.kernel, tile.warps = 8 : i32, tile.stages = 3 : i32, tile.parts = 2 : i32, tile.cut_depth} {
  %c = arith.constant 0.18 : f32   %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %c8 = arith.constant 8 : i32   %c32 = arith.constant 32 : i32   %c64 = arith.constant 64 : i32
  %batch = tile.size %query, 0 : !q   %m = tile.size %query, 1 : !q   %n = tile.size %key, 1 : !kv   %tiles = arith.ceildivsi %m, %c64 : i32
  %u = arith.ceildivsi %n, %c32 : i32   %count = arith.maxsi %u, %c1 : i32
  %ninf = tile.splat 0xFF800000 : !R   %zl = tile.splat 0.0 : !L   %zo = tile.splat 0.0 : !O   %zt = tile.splat 0.0 : !T
  %qr = tile.ring : !ring1   %kr = tile.ring : !rings   %ob = tile.alloc : !OB   %x = tile.alloc : !X
  tile.foreach_work %batch, %c8, %tiles { ^work(%b: i32, %h: i32, %t: i32):
    %q0 = arith.muli %t, %c64 : i32
    tile.acquire %qr[%c0] : !ring1   tile.fill %qr[%c0] from %query[%b, %q0, %h] along 1 : !ring1, !q   %qb = tile.await %qr[%c0] : !ring1 -> !B
    %r:3 = scf.for %i = %c0 to %count step %c1 iter_args(%m0 = %ninf, %l0 = %zl, %o0 = %zo) -> (!R, !L, !O) : i32 {
      %k0 = arith.muli %i, %c32 : i32
      tile.acquire %kr[%i] : !rings   tile.fill %kr[%i] from %key[%b, %k0, %c0] along 1 : !rings, !kv   %kb = tile.await %kr[%i] : !rings -> !K
      %s = tile.dot %qb, trans %kb, %zt : !B, !K -> !T   %sum = tile.add_parts %s, %x : !T, !X -> !S
      %m1, %l1, %alpha, %p = tile.softmax_step %sum, %m0, %l0 scale %c : !S, !R, !L
      %a = tile.scale %o0, %alpha : !O, !R   %pb = tile.convert %p : !S -> !P
      %o1 = tile.dot %pb, %kb, %a : !P, !K -> !O   tile.release %kr[%i] : !rings
      scf.yield %m1, %l1, %o1 : !R, !L, !O }
    tile.release %qr[%c0] : !ring1
    %l = tile.convert %r#1 : !L -> !R   %inv, %ls = tile.finish %r#0, %l scale %c : !R, !R -> !R, !R
    %on = tile.scale %r#2, %inv : !O, !R   %oh = tile.convert %on : !O -> !H   tile.write %oh, %ob : !H, !OB
    tile.store %ob, %out[%b, %q0, %h] along 1 : !OB, !o
    tile.yield }
  return
}
}
