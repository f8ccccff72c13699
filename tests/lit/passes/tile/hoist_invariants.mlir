// RUN: attn-opt %s --tile-hoist-invariants --canonicalize | FileCheck %s
// What is expensive and the same for all blocks of keys moves out of the loop, as a value a row; cheap arithmetic stays.
!S = !tile.frag<64x64xf32>

// A slope of the row by a transcendental function: computed once a row, before the loop.
// CHECK-LABEL: func.func @row_function
// CHECK: %[[SLOPE:.*]] = tile.map : () -> !frag_64xf32
// CHECK: math.exp2
// CHECK: scf.for
// CHECK-NOT: math.exp2
// CHECK: tile.map %{{.*}}, %[[SLOPE]] : (!frag_64x64xf32, !frag_64xf32) -> !frag_64x64xf32
// CHECK-NOT: math.exp2
// CHECK: return
func.func @row_function(%s: !S, %n: i32, %q0: i32) -> !S {
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%x = %s) -> (!S) : i32 {
    %y = tile.map %x : (!S) -> !S { ^element(%e: f32):
      %row = tile.row   %p = arith.addi %q0, %row : i32   %f = arith.sitofp %p : i32 to f32   %g = math.exp2 %f : f32
      %z = arith.mulf %e, %g : f32   tile.yield %z : f32 }
    scf.yield %y : !S }
  return %r : !S
}

// The same of the column changes with the block, and a product costs less than a value a row: both stay.
// CHECK-LABEL: func.func @stays
// CHECK-NOT: tile.map
// CHECK: scf.for
// CHECK: tile.map %{{[a-z0-9]+}} : (!frag_64x64xf32) -> !frag_64x64xf32
// CHECK: math.exp2
func.func @stays(%s: !S, %n: i32, %q0: i32) -> !S {
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%x = %s) -> (!S) : i32 {
    %y = tile.map %x : (!S) -> !S { ^element(%e: f32):
      %col = tile.col   %row = tile.row   %k = arith.addi %i, %col : i32   %f = arith.sitofp %k : i32 to f32   %g = math.exp2 %f : f32
      %h = arith.sitofp %row : i32 to f32   %m = arith.mulf %h, %g : f32   %z = arith.mulf %e, %m : f32   tile.yield %z : f32 }
    scf.yield %y : !S }
  return %r : !S
}
