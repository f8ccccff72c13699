// RUN: attn-opt %s --tile-insert-barriers | FileCheck %s
// Columns in parts: threads meet in `combine`, which separates what lies in front of it from what lies behind it as well.
!R = !tile.frag<64xf32, #tile.row<8, parts = 2>>   !L = !tile.frag<64xf32, #tile.row_partial<8, parts = 2>>
!P = !tile.frag<64x64xf16, #tile.acc<8, parts = 2>>   !O = !tile.frag<64x512xf32, #tile.acc<8, parts = 2>>
!B = !tile.buffer<64x64xf16, #tile.smem<64>>   !V = !tile.buffer<64x512xf16, #tile.smem<128>>   !X = !tile.buffer<2x64xf32, #tile.smem<0>>
!sums = !tile.tensor<[rows], f32>

// One barrier an iteration, between writing probs and multiplying them: the combination keeps the next probs behind the
// product, and that barrier keeps the next maxima behind the reads of these.
// CHECK-LABEL: func.func @loop
// CHECK: scf.for
// CHECK-NEXT: tile.combine max
// CHECK-NEXT: tile.write
// CHECK-NEXT: tile.barrier
// CHECK-NEXT: tile.dot
// CHECK-NEXT: scf.yield
// CHECK-NEXT: }
// CHECK-NEXT: tile.combine add
func.func @loop(%n: i32, %sums: !sums) attributes {tile.kernel, tile.warps = 8 : i32, tile.shared_bytes = 74240 : i32} {
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %own = tile.splat 0.0 : !L   %p = tile.splat 0.0 : !P   %zo = tile.splat 0.0 : !O
  %probs = tile.alloc {offset = 0 : i32} : !B   %v = tile.alloc {offset = 8192 : i32} : !V   %scratch = tile.alloc {offset = 73728 : i32} : !X
  %o = scf.for %i = %c0 to %n step %c1 iter_args(%o0 = %zo) -> (!O) : i32 {
    %m = tile.combine max %own, %scratch : !L, !X -> !R
    tile.write %p, %probs : !P, !B
    %o1 = tile.dot %probs, %v, %o0 : !B, !V -> !O
    scf.yield %o1 : !O
  }
  %s = tile.combine add %own, %scratch : !L, !X -> !R
  tile.store %s, %sums[%c0] along 0 : !R, !sums
  return
}

// A buffer that threads change in place, behind a product that reads it.
// CHECK-LABEL: func.func @changed_behind_a_product
// CHECK: tile.dot
// CHECK-NEXT: tile.barrier
// CHECK-NEXT: tile.keep_finite
// CHECK-NEXT: tile.dot
func.func @changed_behind_a_product(%partial: i1) attributes {tile.kernel, tile.warps = 8 : i32, tile.shared_bytes = 73728 : i32} {
  %zo = tile.splat 0.0 : !O   %b = tile.alloc {offset = 0 : i32} : !B   %v = tile.alloc {offset = 8192 : i32} : !V
  %o = tile.dot %b, %v, %zo : !B, !V -> !O
  %found = tile.keep_finite %v if %partial : !V
  %o1 = tile.dot %b, %v, %o : !B, !V -> !O
  return
}

// Threads of two parts add up what each has of a product: they meet inside, and one addition needs no barrier behind another.
// What the product has read may be written behind it.
// CHECK-LABEL: func.func @added_up
// CHECK: scf.for
// CHECK-NEXT: tile.dot
// CHECK-NEXT: tile.add_parts
// CHECK-NEXT: tile.keep_finite
// CHECK-NEXT: scf.yield
!T = !tile.frag<64x64xf32, #tile.acc<8, parts = 2>>   !X32 = !tile.frag<64x32xf32, #tile.acc<4>>   !Y = !tile.buffer<2x1024xf32, #tile.smem<0>>
!K = !tile.buffer<32x512xf16, #tile.smem<128>>
func.func @added_up(%n: i32, %partial: i1) attributes {tile.kernel, tile.warps = 8 : i32, tile.shared_bytes = 106496 : i32} {
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %zt = tile.splat 0.0 : !T   %x0 = tile.splat 0.0 : !X32
  %q = tile.alloc {offset = 0 : i32} : !V   %k = tile.alloc {offset = 65536 : i32} : !K   %scratch = tile.alloc {offset = 98304 : i32} : !Y
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%x1 = %x0) -> (!X32) : i32 {
    %t = tile.dot %q, trans %k, %zt : !V, !K -> !T
    %x = tile.add_parts %t, %scratch : !T, !Y -> !X32
    %found = tile.keep_finite %k if %partial : !K
    scf.yield %x : !X32
  }
  return
}
