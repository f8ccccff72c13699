// RUN: attn-opt %s --tile-pipeline-loads | FileCheck %s
// Loads into buffers become entries of rings: entry i of `tile.stages` slots in a loop, entry 0 of one outside.
!kv = !tile.tensor<[batch, kv_len, 2, 64], f16>   !B = !tile.buffer<64x64xf16, #tile.smem<128>>   !S = !tile.frag<64x64xf32, #tile.acc<4>>

// CHECK-LABEL: func.func @step
// CHECK-DAG: %[[QR:.*]] = tile.ring : !ring1_64x64xf16
// CHECK-DAG: %[[KR:.*]] = tile.ring : !ring2_64x64xf16
// CHECK-NOT: tile.load
// CHECK: tile.acquire %[[QR]][%[[ZERO:.*]]]
// CHECK-NEXT: tile.fill %[[QR]][%[[ZERO]]] from %arg0
// CHECK-NEXT: %[[Q:.*]] = tile.await %[[QR]][%[[ZERO]]]
// CHECK: scf.for %[[I:[a-z0-9]+]] =
// CHECK: tile.acquire %[[KR]][%[[I]]]
// CHECK-NEXT: tile.fill %[[KR]][%[[I]]] from %arg1[%{{.*}}, %{{.*}}, %{{.*}}] along 1 limit %{{.*}}
// CHECK-NEXT: %[[K:.*]] = tile.await %[[KR]][%[[I]]]
// CHECK-NEXT: tile.dot %[[Q]], trans %[[K]]
// Behind the last use, once.
// CHECK-NEXT: tile.release %[[KR]][%[[I]]]
// CHECK: scf.yield
// CHECK: tile.release %[[QR]][%[[ZERO]]]
// CHECK-NOT: tile.release
func.func @step(%query: !kv, %key: !kv, %n: i32, %b: i32) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 2 : i32} {
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %zo = tile.splat 0.0 : !S
  %q = tile.load %query[%b, %b, %b] along 1 : !kv -> !B
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%o0 = %zo) -> (!S) : i32 {
    %k = tile.load %key[%b, %i, %b] along 1 limit %n : !kv -> !B
    %s = tile.dot %q, trans %k, %o0 : !B, !B -> !S
    scf.yield %s : !S }
  return
}
