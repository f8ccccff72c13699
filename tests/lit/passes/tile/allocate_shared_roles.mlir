// RUN: attn-opt %s --tile-allocate-shared --split-input-file --verify-diagnostics | FileCheck %s
// With roles everything lives throughout, until bytes are short: then the staging lies on the query, released behind it.
!Q = !tile.buffer<128x256xf16, #tile.smem<128>>   !qring = !tile.ring<1, 128x256xf16, #tile.smem<128>>
!kring = !tile.ring<2, 80x256xf16, #tile.smem<128>>   !kv = !tile.tensor<[batch, kv_len, 2, 256], f16>
!H = !tile.frag<128x256xf16, #tile.acc<8>>

module attributes {tile.target = #tile.target<"sm_90a">} {
  // CHECK-LABEL: func.func @short_of_bytes
  // CHECK-SAME: tile.shared_bytes = 229376 : i32
  // CHECK: %[[Q:.*]] = tile.ring {offset = 0 : i32} : !ring1_128x256xf16
  // CHECK: tile.ring {offset = 65536 : i32} : !ring2_80x256xf16
  // CHECK: tile.ring {offset = 147456 : i32} : !ring2_80x256xf16
  // CHECK: tile.alloc {offset = 0 : i32}
  // CHECK: tile.role
  // CHECK: tile.read
  // CHECK-NEXT: tile.write
  // CHECK-NEXT: tile.store
  // CHECK-NEXT: tile.release %[[Q]]
  func.func @short_of_bytes(%query: !kv, %out: !kv) attributes {tile.kernel, tile.warps = 12 : i32} {
    %x = tile.splat 1.0 : !H
    %c0 = arith.constant 0 : i32   %c4 = arith.constant 4 : i32
    %qr = tile.ring : !qring   %kr = tile.ring : !kring   %vr = tile.ring : !kring   %stage = tile.alloc : !Q
    tile.role consumer warps [0 to 8] registers 240 {
      tile.foreach_work %c4 carry(%c0 : i32) -> i32 { ^work(%t: i32, %w: i32):
        %q = tile.await %qr[%w] : !qring -> !Q
        %f = tile.read %q : !Q -> !H
        tile.release %qr[%w] : !qring
        tile.write %x, %stage : !H, !Q
        tile.store %stage, %out[%c0, %c0, %c0] along 1 : !Q, !kv
        tile.yield %w : i32
      }
    }
    return
  }
}

// -----

!Q = !tile.buffer<128x64xf16, #tile.smem<128>>   !qring = !tile.ring<1, 128x64xf16, #tile.smem<128>>
!kv = !tile.tensor<[batch, kv_len, 2, 64], f16>   !H = !tile.frag<128x64xf16, #tile.acc<8>>
module attributes {tile.target = #tile.target<"sm_90a">} {
  // Bytes enough: the query of the next tile is copied while the result is written.
  // CHECK-LABEL: func.func @bytes_enough
  // CHECK-SAME: tile.shared_bytes = 32768 : i32
  // CHECK: tile.alloc {offset = 16384 : i32}
  // CHECK: tile.release
  // CHECK-NEXT: tile.write
  func.func @bytes_enough(%query: !kv, %out: !kv) attributes {tile.kernel, tile.warps = 12 : i32} {
    %x = tile.splat 1.0 : !H
    %c0 = arith.constant 0 : i32   %c4 = arith.constant 4 : i32
    %qr = tile.ring : !qring   %stage = tile.alloc : !Q
    tile.role consumer warps [0 to 8] registers 240 {
      tile.foreach_work %c4 carry(%c0 : i32) -> i32 { ^work(%t: i32, %w: i32):
        %q = tile.await %qr[%w] : !qring -> !Q
        %f = tile.read %q : !Q -> !H
        tile.release %qr[%w] : !qring
        tile.write %x, %stage : !H, !Q
        tile.store %stage, %out[%c0, %c0, %c0] along 1 : !Q, !kv
        tile.yield %w : i32
      }
    }
    return
  }
}

// -----

!Q = !tile.buffer<128x256xf16, #tile.smem<128>>   !qring = !tile.ring<1, 128x256xf16, #tile.smem<128>>
!kring = !tile.ring<3, 128x256xf16, #tile.smem<128>>   !kv = !tile.tensor<[batch, kv_len, 2, 256], f16>
!H = !tile.frag<128x256xf16, #tile.acc<8>>
module attributes {tile.target = #tile.target<"sm_90a">} {
  // The query is read behind the write: nothing can move.
  // expected-error @below {{`in_use` needs 327744 bytes of shared memory, but sm_90a has 232448}}
  func.func @in_use(%query: !kv, %out: !kv) attributes {tile.kernel, tile.warps = 12 : i32} {
    %x = tile.splat 1.0 : !H
    %c0 = arith.constant 0 : i32   %c4 = arith.constant 4 : i32
    %qr = tile.ring : !qring   %kr = tile.ring : !kring   %stage = tile.alloc : !Q
    tile.role consumer warps [0 to 8] registers 240 {
      tile.foreach_work %c4 carry(%c0 : i32) -> i32 { ^work(%t: i32, %w: i32):
        %q = tile.await %qr[%w] : !qring -> !Q
        tile.write %x, %stage : !H, !Q
        %f = tile.read %q : !Q -> !H
        tile.store %stage, %out[%c0, %c0, %c0] along 1 : !Q, !kv
        tile.release %qr[%w] : !qring
        tile.yield %w : i32
      }
    }
    return
  }
}
