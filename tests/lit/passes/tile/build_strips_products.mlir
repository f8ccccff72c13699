// RUN: attn-opt %s --tile-build-strips --canonicalize --cse | FileCheck %s
// Where a product of tiles begins with 0 and only a number of the diagonal is added, it begins with that: read four at a time.

!acc = !tile.frag<64x32xf32, #tile.acc<4>>
!q = !tile.buffer<64x64xf16, #tile.smem<128>>
!k = !tile.buffer<32x64xf16, #tile.smem<128>>
!table = !tile.tensor<[n], f32>
!out = !tile.tensor<[batch, q_len, 1, 32], f32>

// CHECK: !ring1_95xf32 = !tile.ring<1, 95xf32, #tile.smem<0 quads = true>>
module attributes {tile.target = #tile.target<"sm_80">} {
  // CHECK-LABEL: func.func @begins_with_bias
  // CHECK: scf.for
  // CHECK: %[[STRIP:.*]] = tile.await
  // CHECK-NEXT: %[[BIAS:.*]] = tile.map
  // CHECK: tile.at %[[STRIP]]
  // CHECK: tile.release
  // CHECK-NEXT: %[[Y:.*]] = tile.dot %{{.*}}, trans %{{.*}}, %[[BIAS]]
  // CHECK-NEXT: scf.yield %[[Y]]
  func.func @begins_with_bias(%table: !table {attn.name = "table"}, %n: i32, %out: !out {attn.name = "out", tile.output}) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 1 : i32} {
    %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32   %half = arith.constant 32 : i32
    %none = tile.splat 0.0 : !acc   %q = tile.alloc : !q   %k = tile.alloc : !k
    %r = scf.for %i = %zero to %n step %one iter_args(%before = %none) -> (!acc) : i32 {
      %k0 = arith.muli %i, %half : i32
      %s = tile.dot %q, trans %k, %none : !q, !k -> !acc
      %y = tile.map %s : (!acc) -> !acc { ^element(%e: f32):
        %row = tile.row   %col = tile.col
        %at = arith.addi %k0, %col : i32   %d = arith.subi %at, %row : i32
        %b = tile.param %table[%d] : !table -> f32
        %t = arith.addf %e, %b : f32
        tile.yield %t : f32 }
      scf.yield %y : !acc
    }
    tile.store %r, %out[%zero, %zero, %zero] along 1 : !acc, !out
    return
  }

  // A scaled product cannot: the strip is read beside it.
  // CHECK-LABEL: func.func @scaled
  // CHECK: tile.dot
  // CHECK: tile.map
  // CHECK: tile.at
  // CHECK: arith.mulf
  func.func @scaled(%table: !table {attn.name = "table"}, %n: i32, %c: f32, %out: !out {attn.name = "out", tile.output}) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 1 : i32} {
    %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32   %half = arith.constant 32 : i32
    %none = tile.splat 0.0 : !acc   %q = tile.alloc : !q   %k = tile.alloc : !k
    %r = scf.for %i = %zero to %n step %one iter_args(%before = %none) -> (!acc) : i32 {
      %k0 = arith.muli %i, %half : i32
      %s = tile.dot %q, trans %k, %none : !q, !k -> !acc
      %y = tile.map %s : (!acc) -> !acc { ^element(%e: f32):
        %row = tile.row   %col = tile.col
        %at = arith.addi %k0, %col : i32   %d = arith.subi %at, %row : i32
        %b = tile.param %table[%d] : !table -> f32
        %scaled = arith.mulf %e, %c : f32
        %t = arith.addf %scaled, %b : f32
        tile.yield %t : f32 }
      scf.yield %y : !acc
    }
    tile.store %r, %out[%zero, %zero, %zero] along 1 : !acc, !out
    return
  }
}
