// RUN: attn-opt %s --attn-tile-to-nvvm | FileCheck %s
// One LLVM value a register: what each operation of a block program becomes.
!kv = !tile.tensor<[batch, kv_len, 2, 64], f16>   !B = !tile.buffer<64x64xf16, #tile.smem<128>>   !ring = !tile.ring<1, 64x64xf16, #tile.smem<128>>
!A = !tile.frag<64x64xf16, #tile.lhs<4>>   !S = !tile.frag<64x64xf32, #tile.acc<4>>   !R = !tile.frag<64xf32, #tile.row<4>>   !L = !tile.frag<64xf32, #tile.row_partial<4>>
module attributes {tile.target = #tile.target<"sm_80">} {

// CHECK: llvm.mlir.global external @shared_memory() {addr_space = 3 : i32, alignment = 1024 : i64}
// CHECK-LABEL: llvm.func @step
// CHECK-SAME: nvvm.kernel
// CHECK-SAME: nvvm.reqntid = array<i32: 128>
// 64 rows of 128 bytes over 128 threads: four chunks of 16 bytes each, the ragged end by a source size of 0.
// CHECK-COUNT-4: nvvm.cp.async.shared.global
// CHECK: nvvm.cp.async.commit.group
// CHECK: nvvm.cp.async.wait.group 0
// CHECK: nvvm.barrier
// 64 x 64 over 4 warps: 8 accumulators of 8 columns, 4 steps of K = 16.
// CHECK-COUNT-32: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync
// The sum of a row is added up over the four lanes of a quad.
// CHECK-COUNT-4: nvvm.shfl.sync bfly
// CHECK: llvm.return
func.func @step(%key: !kv {attn.name = "key"}, %out: !kv {attn.name = "out", tile.output}) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 1 : i32, tile.shared_bytes = 8192 : i32} {
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32
  %a = tile.splat 0.0 : !A   %zo = tile.splat 0.0 : !S   %l = tile.splat 0.0 : !L
  %kr = tile.ring {offset = 0 : i32} : !ring
  tile.foreach_work %c1, %c1, %c1 { ^work(%b: i32, %h: i32, %t: i32):
    tile.fill %kr[%c0] from %key[%b, %t, %h] along 1 {via = "cp_async"} : !ring, !kv
    %k = tile.await %kr[%c0] {barrier, pending = 0 : i32} : !ring -> !B
    %s = tile.dot %a, trans %k, %zo : !A, !B -> !S
    %r = tile.reduce add %s, %l : !S, !L
    %sum = tile.convert %r : !L -> !R
    %x = tile.scale %s, %sum : !S, !R
    %y = tile.convert %x : !S -> !tile.frag<64x64xf16, #tile.acc<4>>
    tile.store %y, %out[%b, %t, %h] along 1 : !tile.frag<64x64xf16, #tile.acc<4>>, !kv }
  return
}
}
