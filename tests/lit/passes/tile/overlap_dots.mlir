// The product with the values of block i - 1 is in flight under the softmax of block i; P is packed behind its wait.
// RUN: attn-opt --tile-overlap-dots %S/Inputs/full_rings.mlir | FileCheck %s
// It has been skewed: nothing is left to do.
// RUN: attn-opt --tile-overlap-dots %S/Inputs/full_rings.mlir > %t.once
// RUN: attn-opt --tile-overlap-dots %t.once | diff %t.once -
// Without asynchronous products the loop stays.
// RUN: sed 's/sm_90a/sm_80/' %S/Inputs/full_rings.mlir | attn-opt --tile-overlap-dots | FileCheck %s --check-prefix=SYNC
// SYNC-NOT: dot_async
// SYNC: tile.dot
// CHECK-LABEL: func.func @full
// CHECK: %[[QB:.*]] = tile.await
// The first block, before the loop.
// CHECK: tile.dot_async %[[QB]], trans
// CHECK: tile.wait
// CHECK: tile.softmax_step
// CHECK: %[[P0:.*]] = tile.convert
// CHECK: scf.for %[[I:.*]] = %{{.*}} iter_args({{.*}}, {{.*}}, %[[O:[^ ]*]] = %{{[^,]*}}, %[[P:[^ ]*]] = %[[P0]])
// CHECK: %[[BEFORE:.*]] = arith.subi %[[I]]
// CHECK: %[[S:.*]] = tile.dot_async %[[QB]], trans
// CHECK: tile.fill %{{.*}}[%[[BEFORE]]]
// CHECK-NOT: limit
// CHECK: %[[VB:.*]] = tile.await %{{.*}}[%[[BEFORE]]]
// CHECK: %[[F:.*]] = tile.dot_async %[[P]], %[[VB]], %[[O]]
// CHECK: tile.wait %[[S]]
// The sum of the values is scaled down rarely.
// CHECK: %{{.*}}, %[[L:.*]], %[[ALPHA:.*]], %[[PROBS:.*]] = tile.softmax_step {{.*}} {lazy = 8.000000e+00 : f32}
// CHECK: tile.pin %[[L]]
// CHECK: %[[O1:.*]] = tile.wait %[[F]]
// CHECK: tile.release %{{.*}}[%[[BEFORE]]]
// CHECK: %[[P1:.*]] = tile.convert %[[PROBS]]
// CHECK: %[[O2:.*]] = tile.scale %[[O1]], %[[ALPHA]]
// CHECK: scf.yield {{.*}}%[[O2]], %[[P1]]
// The last block's values, behind it.
// CHECK: tile.dot_async
// CHECK: tile.wait
// CHECK: tile.finish
