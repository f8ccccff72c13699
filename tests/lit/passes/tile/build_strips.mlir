// RUN: attn-opt %s --tile-build-strips --canonicalize --cse | FileCheck %s
// What is a function of key - query alone and costs something is computed once a diagonal; what is cheap, or depends on the
// row otherwise, stays where it is.

!acc = !tile.frag<64x32xf32, #tile.acc<4>>
!table = !tile.tensor<[n], f32>
!out = !tile.tensor<[batch, q_len, 1, 32], f32>
#target = #tile.target<"sm_80">

// The first line of the output gives the ring's words: 64 + 32 - 1.
// CHECK: !ring1_95xf32 = !tile.ring<1, 95xf32, #tile.smem<0>>
module attributes {tile.target = #target} {
  // CHECK-LABEL: func.func @table_of_distances
  // CHECK: %[[RING:.*]] = tile.ring : !ring1_95xf32
  // CHECK: scf.for %[[I:[a-z0-9]+]] =
  // CHECK: tile.acquire %[[RING]][%[[I]]]
  // CHECK: tile.build %[[RING]][%[[I]]]
  // CHECK: ^{{.*}}(%[[C:.*]]: i32):
  // CHECK: arith.subi %[[C]], %c63_i32
  // CHECK: tile.param %arg0
  // CHECK: %[[STRIP:.*]] = tile.await %[[RING]][%[[I]]]
  // CHECK: tile.map
  // CHECK-NOT: tile.param
  // CHECK: %[[D:.*]] = arith.subi %col, %row
  // CHECK: %[[AT:.*]] = arith.addi %[[D]], %c63_i32
  // CHECK: tile.at %[[STRIP]][%[[AT]]]
  // CHECK: tile.release %[[RING]][%[[I]]]
  func.func @table_of_distances(%table: !table {attn.name = "table"}, %q0: i32, %n: i32, %out: !out {attn.name = "out", tile.output}) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 1 : i32} {
    %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32   %half = arith.constant 32 : i32
    %x = tile.splat 0.0 : !acc
    %r = scf.for %i = %zero to %n step %one iter_args(%s = %x) -> (!acc) : i32 {
      %k0 = arith.muli %i, %half : i32
      %y = tile.map %s : (!acc) -> !acc { ^element(%e: f32):
        %row = tile.row   %col = tile.col
        %q = arith.addi %q0, %row : i32   %k = arith.addi %k0, %col : i32   %d = arith.subi %k, %q : i32
        %place = arith.addi %d, %half : i32
        %b = tile.param %table[%place] : !table -> f32
        %t = arith.addf %e, %b : f32
        tile.yield %t : f32 }
      scf.yield %y : !acc
    }
    tile.store %r, %out[%zero, %zero, %zero] along 1 : !acc, !out
    return
  }

  // A place in what each row looks up for itself: the costly index is read from the strip, the rest is the row's own.
  // CHECK-LABEL: func.func @index_of_distances
  // CHECK: %[[RING:.*]] = tile.ring : !ring1_95xi32
  // CHECK: tile.build %[[RING]]
  // CHECK: arith.divsi
  // CHECK: tile.yield %{{.*}} : i32
  // CHECK: %[[STRIP:.*]] = tile.await %[[RING]]
  // CHECK: %[[INDEX:.*]] = tile.at %[[STRIP]]
  // CHECK: tile.at %{{.*}}[%row, %[[INDEX]]]
  func.func @index_of_distances(%q0: i32, %n: i32, %out: !out {attn.name = "out", tile.output}) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 1 : i32} {
    %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32   %half = arith.constant 32 : i32   %seven = arith.constant 7 : i32
    %x = tile.splat 0.0 : !acc   %products = tile.alloc : !tile.buffer<64x16xf32, #tile.smem<0, pitch = 20>>
    %r = scf.for %i = %zero to %n step %one iter_args(%s = %x) -> (!acc) : i32 {
      %k0 = arith.muli %i, %half : i32
      %y = tile.map %s : (!acc) -> !acc { ^element(%e: f32):
        %row = tile.row   %col = tile.col
        %q = arith.addi %q0, %row : i32   %k = arith.addi %k0, %col : i32   %d = arith.subi %k, %q : i32
        %bucket = arith.divsi %d, %seven : i32
        %b = tile.at %products[%row, %bucket] : !tile.buffer<64x16xf32, #tile.smem<0, pitch = 20>> -> f32
        %t = arith.addf %e, %b : f32
        tile.yield %t : f32 }
      scf.yield %y : !acc
    }
    tile.store %r, %out[%zero, %zero, %zero] along 1 : !acc, !out
    return
  }

  // CHECK-LABEL: func.func @others
  // CHECK-NOT: tile.ring
  func.func @others(%table: !table {attn.name = "table"}, %q0: i32, %n: i32, %out: !out {attn.name = "out", tile.output}) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 1 : i32} {
    %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32   %half = arith.constant 32 : i32
    %x = tile.splat 0.0 : !acc
    %r = scf.for %i = %zero to %n step %one iter_args(%s = %x) -> (!acc) : i32 {
      %k0 = arith.muli %i, %half : i32
      %y = tile.map %s : (!acc) -> !acc { ^element(%e: f32):
        %row = tile.row   %col = tile.col
        %q = arith.addi %q0, %row : i32   %k = arith.addi %k0, %col : i32
        %sum = arith.addi %k, %q : i32
        %b = tile.param %table[%sum] : !table -> f32
        %d = arith.subi %k, %q : i32   %f = arith.sitofp %d : i32 to f32
        %t = arith.addf %b, %f : f32   %u = arith.addf %e, %t : f32
        tile.yield %u : f32 }
      scf.yield %y : !acc
    }
    tile.store %r, %out[%zero, %zero, %zero] along 1 : !acc, !out
    return
  }
}
