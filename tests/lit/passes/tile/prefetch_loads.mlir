// RUN: attn-opt %s --tile-pipeline-loads --tile-prefetch-loads | FileCheck %s
// Fills move ahead of their use, as far as the rings have slots; entries of the first iterations are filled before the loop.
!kv = !tile.tensor<[batch, kv_len, 2, 64], f16>   !B = !tile.buffer<64x64xf16, #tile.smem<128>>   !S = !tile.frag<64x64xf32, #tile.acc<4>>
!A = !tile.frag<64x64xf16, #tile.lhs<4>>

// One slot each: the values of this block fly under the first product, the keys of the next one under the second.
// CHECK-LABEL: func.func @one_stage
// CHECK-DAG: %[[KR:.*]] = tile.ring : !ring1_64x64xf16
// CHECK-DAG: %[[VR:.*]] = tile.ring : !ring1_64x64xf16
// CHECK: tile.fill %[[KR]][%{{.*}}] from %arg0{{.*}} {via = "cp_async"}
// CHECK: scf.for %[[I:[a-z0-9]+]] = %{{.*}} to %[[N:.*]] step
// CHECK: tile.await %[[KR]][%[[I]]]
// CHECK: tile.fill %[[VR]][%[[I]]] from %arg1
// CHECK: tile.dot
// CHECK: tile.release %[[KR]][%[[I]]]
// CHECK: tile.await %[[VR]][%[[I]]]
// CHECK: %[[NEXT:.*]] = arith.addi %[[I]], %
// CHECK: %[[MORE:.*]] = arith.cmpi slt, %[[NEXT]], %[[N]]
// CHECK: tile.fill %[[KR]][%[[NEXT]]] from %arg0{{.*}} if %[[MORE]]
// CHECK: tile.dot
// CHECK: tile.release %[[VR]][%[[I]]]
func.func @one_stage(%key: !kv, %value: !kv, %n: i32, %b: i32) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 1 : i32} {
  %q = tile.splat 1.0 : !A
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %zo = tile.splat 0.0 : !S
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%o0 = %zo) -> (!S) : i32 {
    %k = tile.load %key[%b, %i, %b] along 1 : !kv -> !B
    %s = tile.dot %q, trans %k, %zo : !A, !B -> !S   %p = tile.convert %s : !S -> !A
    %v = tile.load %value[%b, %i, %b] along 1 : !kv -> !B
    %o = tile.dot %p, %v, %o0 : !A, !B -> !S
    scf.yield %o : !S }
  return
}

// Two slots: a whole block ahead, two blocks of keys before the loop.
// CHECK-LABEL: func.func @two_stages
// CHECK: %[[KR:.*]] = tile.ring : !ring2_64x64xf16
// CHECK-COUNT-2: tile.fill %{{.*}} from %arg0
// CHECK: scf.for %[[I:[a-z0-9]+]] =
// CHECK: tile.fill %{{.*}} from %arg0{{.*}} if %
// CHECK-NOT: tile.fill %{{.*}} from %arg0
// CHECK: return
func.func @two_stages(%key: !kv, %value: !kv, %n: i32, %b: i32) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 2 : i32} {
  %q = tile.splat 1.0 : !A
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %zo = tile.splat 0.0 : !S
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%o0 = %zo) -> (!S) : i32 {
    %k = tile.load %key[%b, %i, %b] along 1 : !kv -> !B
    %s = tile.dot %q, trans %k, %zo : !A, !B -> !S   %p = tile.convert %s : !S -> !A
    %v = tile.load %value[%b, %i, %b] along 1 : !kv -> !B
    %o = tile.dot %p, %v, %o0 : !A, !B -> !S
    scf.yield %o : !S }
  return
}

// Outside of a loop there is nothing to be ahead of.
// CHECK-LABEL: func.func @no_loop
// CHECK: tile.fill
// CHECK-NEXT: tile.await
func.func @no_loop(%key: !kv, %b: i32) attributes {tile.kernel, tile.warps = 4 : i32} {
  %q = tile.splat 1.0 : !A
  %zo = tile.splat 0.0 : !S
  %k = tile.load %key[%b, %b, %b] along 1 : !kv -> !B
  %s = tile.dot %q, trans %k, %zo : !A, !B -> !S
  return
}
