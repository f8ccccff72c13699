// Warpgroups issue their products in turns: from the first product of an iteration to the last before its wait.
// RUN: attn-opt --tile-overlap-dots --tile-specialize-warps --tile-place-turns %S/Inputs/full_rings.mlir | FileCheck %s
// One warpgroup has no one to wait for.
// RUN: sed 's/128x64xf16/64x64xf16/g; s/128x128xf/64x128xf/g; s/128x64xf32/64x64xf32/g; s/128xf32/64xf32/g; s/<8>/<4>/g; s/tile.warps = 8/tile.warps = 4/; s/tensor<64/tensor</' %S/Inputs/full_rings.mlir > %t.mlir
// RUN: sed -i 's/64x128xf32, #tile.acc<4>/64x64xf32, #tile.acc<4>/; s/64x128xf16, #tile.lhs<4>/64x64xf16, #tile.lhs<4>/' %t.mlir
// RUN: attn-opt --tile-overlap-dots --tile-specialize-warps --tile-place-turns %t.mlir | FileCheck %s --check-prefix=ALONE
// ALONE: tile.role consumer warps [0 to 4]
// ALONE: tile.dot_async
// ALONE-NOT: tile.turn_begin
// CHECK: tile.role consumer
// CHECK: scf.for
// CHECK: tile.turn_begin 0
// CHECK-NEXT: tile.dot_async
// CHECK: tile.dot_async
// CHECK-NEXT: tile.turn_end 0
// CHECK-NEXT: tile.wait
// CHECK-NOT: tile.turn_begin
