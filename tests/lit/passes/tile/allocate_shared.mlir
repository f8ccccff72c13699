// RUN: attn-opt %s --tile-allocate-shared | FileCheck %s
// Offsets in shared memory: what is never live together shares bytes.
!B = !tile.buffer<64x64xf16, #tile.smem<128>>   !ring1 = !tile.ring<1, 64x64xf16, #tile.smem<128>>   !ring2 = !tile.ring<2, 64x64xf16, #tile.smem<128>>
!H = !tile.frag<64x64xf16, #tile.acc<4>>   !kv = !tile.tensor<[batch, kv_len, 2, 64], f16>

// The result is staged where the query was; the ring of keys lies behind it with both its slots.
// CHECK-LABEL: func.func @reuse
// CHECK-SAME: tile.shared_bytes = 24576 : i32
// CHECK: tile.ring {offset = 0 : i32} : !ring1_64x64xf16
// CHECK: tile.ring {offset = 8192 : i32} : !ring2_64x64xf16
// CHECK: tile.alloc {offset = 0 : i32}
func.func @reuse(%n: i32, %query: !kv, %out: !kv) attributes {tile.kernel, tile.warps = 4 : i32} {
  %x = tile.splat 1.0 : !H
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32
  %qr = tile.ring : !ring1   %kr = tile.ring : !ring2   %stage = tile.alloc : !B
  tile.fill %qr[%c0] from %query[%c0, %c0, %c0] along 1 : !ring1, !kv
  %q = tile.await %qr[%c0] : !ring1 -> !B
  scf.for %i = %c0 to %n step %c1 : i32 {
    tile.fill %kr[%i] from %query[%c0, %i, %c0] along 1 : !ring2, !kv
    %k = tile.await %kr[%i] : !ring2 -> !B
    %f = tile.read %q : !B -> !H   %g = tile.read %k : !B -> !H
  }
  tile.write %x, %stage : !H, !B
  tile.store %stage, %out[%c0, %c0, %c0] along 1 : !B, !kv
  return
}

// A buffer that is written while the query is still read gets bytes of its own.
// CHECK-LABEL: func.func @apart
// CHECK-SAME: tile.shared_bytes = 16384 : i32
// CHECK: tile.ring {offset = [[QUERY:[0-9]+]] : i32}
// CHECK-NOT: tile.alloc {offset = [[QUERY]] :
// CHECK: return
func.func @apart(%query: !kv) attributes {tile.kernel, tile.warps = 4 : i32} {
  %x = tile.splat 1.0 : !H
  %c0 = arith.constant 0 : i32
  %qr = tile.ring : !ring1   %stage = tile.alloc : !B
  tile.fill %qr[%c0] from %query[%c0, %c0, %c0] along 1 : !ring1, !kv
  %q = tile.await %qr[%c0] : !ring1 -> !B
  tile.write %x, %stage : !H, !B
  %f = tile.read %q : !B -> !H   %g = tile.read %stage : !B -> !H
  return
}
