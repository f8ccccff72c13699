// Softmax of bounded scores: the same overlap, pinned by the sum of the rows; nothing is ever scaled.
// RUN: sed -e 's/%%m1, %%l1, %%alpha, %%p = tile.softmax_step %%s, %%m0, %%l0 scale %%c : !S, !R, !L/%%l1, %%p = tile.bounded_softmax_step %%s, %%l0 scale %%c offset %%c : !S, !L, f32/' \
// RUN:   -e 's/%%a = tile.scale %%o0, %%alpha : !O, !R//' -e 's/%%vb, %%a :/%%vb, %%o0 :/' -e 's/yield %%m1,/yield %%m0,/' %S/Inputs/full_rings.mlir > %t.mlir
// RUN: attn-opt --tile-overlap-dots %t.mlir | FileCheck %s
// CHECK-LABEL: func.func @full
// CHECK: tile.dot_async
// CHECK: tile.bounded_softmax_step
// CHECK: scf.for
// CHECK: %[[S:.*]] = tile.dot_async
// CHECK: %[[F:.*]] = tile.dot_async
// CHECK: tile.wait %[[S]]
// CHECK: %[[L:.*]], %[[PROBS:.*]] = tile.bounded_softmax_step
// CHECK: tile.pin %[[L]]
// CHECK: %[[O:.*]] = tile.wait %[[F]]
// CHECK: %[[P:.*]] = tile.convert %[[PROBS]]
// CHECK-NOT: tile.scale
// CHECK: scf.yield {{.*}}%[[O]], %[[P]]
// CHECK: tile.finish
