// Attention without mask after PipelineLoads: 128 queries, 128 keys a block, head_dim 64, 8 warps.
!q = !tile.tensor<[batch, q_len, 8, 64], f16>
!kv = !tile.tensor<[batch, kv_len, 8, 64], f16>
!B = !tile.buffer<128x64xf16, #tile.smem<128>>
!ring1 = !tile.ring<1, 128x64xf16, #tile.smem<128>>
!ring2 = !tile.ring<2, 128x64xf16, #tile.smem<128>>
!P = !tile.frag<128x128xf16, #tile.lhs<8>>
!H = !tile.frag<128x64xf16, #tile.acc<8>>
!S = !tile.frag<128x128xf32, #tile.acc<8>>
!O = !tile.frag<128x64xf32, #tile.acc<8>>
!R = !tile.frag<128xf32, #tile.row<8>>
!L = !tile.frag<128xf32, #tile.row_partial<8>>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @full(%query: !q, %key: !kv, %value: !kv, %out: !q) attributes {tile.kernel, tile.warps = 8 : i32, tile.stages = 2 : i32} {
  %c = arith.constant 0.18 : f32   %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %c8 = arith.constant 8 : i32   %c128 = arith.constant 128 : i32
  %batch = tile.size %query, 0 : !q   %m = tile.size %query, 1 : !q   %n = tile.size %key, 1 : !kv   %tiles = arith.ceildivsi %m, %c128 : i32
  %u = arith.ceildivsi %n, %c128 : i32   %count = arith.maxsi %u, %c1 : i32
  %ninf = tile.splat 0xFF800000 : !R   %zl = tile.splat 0.0 : !L   %zo = tile.splat 0.0 : !O   %zs = tile.splat 0.0 : !S
  %qr = tile.ring : !ring1   %kr = tile.ring : !ring2   %vr = tile.ring : !ring2   %ob = tile.alloc : !B
  tile.foreach_work %batch, %c8, %tiles { ^work(%b: i32, %h: i32, %t: i32):
    %q0 = arith.muli %t, %c128 : i32
    tile.acquire %qr[%c0] : !ring1   tile.fill %qr[%c0] from %query[%b, %q0, %h] along 1 : !ring1, !q   %qb = tile.await %qr[%c0] : !ring1 -> !B
    %r:3 = scf.for %i = %c0 to %count step %c1 iter_args(%m0 = %ninf, %l0 = %zl, %o0 = %zo) -> (!R, !L, !O) : i32 {
      %k0 = arith.muli %i, %c128 : i32
      tile.acquire %kr[%i] : !ring2   tile.fill %kr[%i] from %key[%b, %k0, %h] along 1 : !ring2, !kv   %kb = tile.await %kr[%i] : !ring2 -> !B
      %s = tile.dot %qb, trans %kb, %zs : !B, !B -> !S   tile.release %kr[%i] : !ring2
      %m1, %l1, %alpha, %p = tile.softmax_step %s, %m0, %l0 scale %c : !S, !R, !L
      %a = tile.scale %o0, %alpha : !O, !R   %pb = tile.convert %p : !S -> !P
      tile.acquire %vr[%i] : !ring2   tile.fill %vr[%i] from %value[%b, %k0, %h] along 1 limit %n : !ring2, !kv   %vb = tile.await %vr[%i] : !ring2 -> !B
      %o1 = tile.dot %pb, %vb, %a : !P, !B -> !O   tile.release %vr[%i] : !ring2
      scf.yield %m1, %l1, %o1 : !R, !L, !O }
    tile.release %qr[%c0] : !ring1
    %l = tile.convert %r#1 : !L -> !R   %inv, %ls = tile.finish %r#0, %l scale %c : !R, !R -> !R, !R
    %on = tile.scale %r#2, %inv : !O, !R   %oh = tile.convert %on : !O -> !H   tile.write %oh, %ob : !H, !B
    tile.store %ob, %out[%b, %q0, %h] along 1 : !B, !q
    tile.yield }
  return
}
}
