// RUN: attn-opt %s --split-input-file --verify-diagnostics | attn-opt --split-input-file | FileCheck %s
// Random numbers of elements: text, and its constraint.

!S = !tile.frag<64x64xf32>
// CHECK-LABEL: func.func @drop
func.func @drop(%p: !S, %seed: i32, %offset: i32, %head: i32) -> !S {
  %d = tile.map %p : (!S) -> !S { ^element(%x: f32):
    %i = tile.row   %j = tile.col
    // CHECK: tile.random %{{.*}}, %{{.*}} at %{{.*}}, %{{.*}}, %{{.*}}
    %u = tile.random %seed, %offset at %i, %head, %j
    %y = arith.mulf %x, %u : f32   tile.yield %y : f32 }
  return %d : !S
}

// -----
// (C1)
func.func @outside(%n: i32) {
  // expected-error @below {{expects to be in the region of a `tile.map` with a 2-D result of a multiple of 16 columns}}
  %u = tile.random %n, %n at %n, %n, %n
  return
}

// -----
func.func @eight_columns(%n: i32) {
  %d = tile.map : () -> !tile.frag<64x8xf32> {
    // expected-error @below {{expects to be in the region of a `tile.map` with a 2-D result of a multiple of 16 columns}}
    %u = tile.random %n, %n at %n, %n, %n
    tile.yield %u : f32 }
  return
}
