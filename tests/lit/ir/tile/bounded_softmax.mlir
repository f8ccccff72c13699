// RUN: attn-opt %s --split-input-file --verify-diagnostics | attn-opt --split-input-file | FileCheck %s
// A step of softmax above a constant: text, and its constraint.

// CHECK-LABEL: func.func @step
func.func @step(%x: !tile.frag<64x128xf32>, %l0: !tile.frag<64xf32>, %c: f32, %o: f32) -> !tile.frag<64xf32> {
  // CHECK: %{{.*}}, %{{.*}} = tile.bounded_softmax_step %{{.*}}, %{{.*}} scale %{{.*}} offset %{{.*}} {emulate = 28 : i32} : !frag_64x128xf32, !frag_64xf32, f32
  %l1, %p = tile.bounded_softmax_step %x, %l0 scale %c offset %o {emulate = 28 : i32} : !tile.frag<64x128xf32>, !tile.frag<64xf32>, f32
  return %l1 : !tile.frag<64xf32>
}

// CHECK-LABEL: func.func @doubles
func.func @doubles(%x: !tile.frag<64x64xf64>, %l0: !tile.frag<64xf64>, %c: f64) {
  // CHECK: tile.bounded_softmax_step {{.*}}, f64
  %l1, %p = tile.bounded_softmax_step %x, %l0 scale %c offset %c : !tile.frag<64x64xf64>, !tile.frag<64xf64>, f64
  return
}

// -----
// (C1)
func.func @other_rows(%x: !tile.frag<64x128xf32>, %l0: !tile.frag<128xf32>, %c: f32) {
  // expected-error @below {{expects scores of f32 or f64, a sum a row and a scale of the same type, but got '!tile.frag<64x128xf32>', '!tile.frag<128xf32>' and 'f32'}}
  %l1, %p = tile.bounded_softmax_step %x, %l0 scale %c offset %c : !tile.frag<64x128xf32>, !tile.frag<128xf32>, f32
  return
}

// -----
func.func @other_scale(%x: !tile.frag<64x128xf32>, %l0: !tile.frag<64xf32>, %c: f64) {
  // expected-error @below {{expects scores of f32 or f64, a sum a row and a scale of the same type}}
  %l1, %p = tile.bounded_softmax_step %x, %l0 scale %c offset %c : !tile.frag<64x128xf32>, !tile.frag<64xf32>, f64
  return
}
