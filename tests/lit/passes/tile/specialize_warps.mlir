// A producer that fills in await order, K(0) Q K(1) V(0) K(2) …, and a consumer that does the rest; entries count on from work
// tile to work tile. K(0) goes before Q, for it waits for nothing of the tile before; the query has two entries, and the
// result leaves by a tensor map, where there is room for that.
// RUN: attn-opt --tile-overlap-dots --tile-specialize-warps %S/Inputs/full_rings.mlir | FileCheck %s
// RUN: sed 's/sm_90a/sm_80/' %S/Inputs/full_rings.mlir | attn-opt --tile-specialize-warps | FileCheck %s --check-prefix=ALONE
// ALONE-NOT: tile.role
// CHECK-LABEL: func.func @full
// CHECK-SAME: tile.warps = 12
// CHECK: %[[QR:.*]] = tile.ring : !ring2_
// CHECK: %[[KR:.*]] = tile.ring
// CHECK: %[[VR:.*]] = tile.ring
// CHECK: tile.role producer warps [8 to 12] registers 24 {
// CHECK: tile.foreach_work {{.*}} carry({{.*}}) -> i32, i32 {
// CHECK: ^{{.*}}(%[[B:.*]]: i32, %[[H:.*]]: i32, %[[T:.*]]: i32, %[[TILES:.*]]: i32, %[[BLOCKS:.*]]: i32):
// CHECK: %[[W:.*]] = arith.addi %[[TILES]]
// CHECK: tile.fill %[[KR]]
// CHECK-NEXT: tile.acquire %[[QR]][%[[W]]]
// CHECK-NEXT: tile.fill %[[QR]][%[[W]]] {{.*}}via = "tma"
// CHECK: scf.for %[[I:.*]] =
// CHECK: %[[N:.*]] = arith.addi %[[BLOCKS]], %[[I]]
// CHECK: tile.acquire %[[KR]][%[[N]]]
// CHECK: tile.fill %[[KR]][%[[N]]]
// CHECK: tile.acquire %[[VR]]
// CHECK: tile.fill %[[VR]]
// CHECK: }
// CHECK: tile.fill %[[VR]]
// CHECK-NOT: tile.await
// CHECK: tile.role consumer warps [0 to 8] registers 240 {
// CHECK-NOT: tile.acquire
// CHECK-NOT: tile.fill
// CHECK: tile.await %[[QR]]
// CHECK: tile.store {{.*}} {via = "tma"}
