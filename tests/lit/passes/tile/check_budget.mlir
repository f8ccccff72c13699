// RUN: attn-opt %s --tile-check-budget --verify-diagnostics
// Registers of all fragments live at one point, against what a thread has: 255, or its share of the file, less 30.
!S = !tile.frag<128x64xf32, #tile.acc<4>>   !big = !tile.frag<128x128xf32, #tile.acc<4>>   !R = !tile.frag<128xf32, #tile.row<4>>

// 64 a fragment of 128 x 64 over 4 warps. The scale works in place where its input dies.
func.func @fits(%c: f32, %n: i32) attributes {tile.kernel, tile.warps = 4 : i32} {
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %one = tile.splat 1.0 : !R   %zo = tile.splat 0.0 : !S
  %r:3 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zo, %b = %zo, %d = %zo) -> (!S, !S, !S) : i32 {
    %x = tile.scale %a, %one : !S, !R
    scf.yield %x, %b, %d : !S, !S, !S }
  return
}

// Two of 128 registers are more than a thread has.
// expected-error @below {{`too_many` needs 256 registers a thread for tiles, but 225 are there; a smaller `block_m` or `block_n`, or more `warps`, needs less}}
func.func @too_many(%c: f32, %n: i32) attributes {tile.kernel, tile.warps = 4 : i32} {
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %zo = tile.splat 0.0 : !big
  // expected-note @below {{128 of them for a tile of 128 x 128 f32}}
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zo, %b = %zo) -> (!big, !big) : i32 {
    scf.yield %b, %a : !big, !big }
  return
}

// Constants are no registers until a loop carries them.
func.func @constants() attributes {tile.kernel, tile.warps = 4 : i32} {
  %a = tile.splat 0.0 : !big   %b = tile.splat 1.0 : !big   %d = tile.splat 2.0 : !big
  return
}
