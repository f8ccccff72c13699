// RUN: attn-opt %s --tile-insert-barriers | FileCheck %s
// Copies that may still fly are counted at each await; a barrier stands where another thread's bytes are met, no more.
!kv = !tile.tensor<[batch, kv_len, 2, 64], f16>   !B = !tile.buffer<64x64xf16, #tile.smem<128>>   !S = !tile.frag<64x64xf32, #tile.acc<4>>
!A = !tile.frag<64x64xf16, #tile.lhs<4>>   !H = !tile.frag<64x64xf16, #tile.acc<4>>   !ring = !tile.ring<1, 64x64xf16, #tile.smem<128>>

// Two copies in flight: the first await leaves one, the second none; each reads what other threads copied.
// CHECK-LABEL: func.func @pending
// CHECK: tile.await %{{.*}} {barrier, pending = 1 : i32}
// CHECK: tile.await %{{.*}} {barrier, pending = 0 : i32}
// CHECK-NOT: tile.barrier
// CHECK-NOT: tile.release
// CHECK: return
func.func @pending(%key: !kv) attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 16384 : i32} {
  %a = tile.splat 1.0 : !A
  %c0 = arith.constant 0 : i32   %zo = tile.splat 0.0 : !S
  %kr = tile.ring {offset = 0 : i32} : !ring   %vr = tile.ring {offset = 8192 : i32} : !ring
  tile.acquire %kr[%c0] : !ring
  tile.fill %kr[%c0] from %key[%c0, %c0, %c0] along 1 {via = "cp_async"} : !ring, !kv
  tile.fill %vr[%c0] from %key[%c0, %c0, %c0] along 1 {via = "cp_async"} : !ring, !kv
  %k = tile.await %kr[%c0] : !ring -> !B
  %s = tile.dot %a, trans %k, %zo : !A, !B -> !S
  tile.release %kr[%c0] : !ring
  %v = tile.await %vr[%c0] : !ring -> !B
  %o = tile.dot %a, %v, %s : !A, !B -> !S
  return
}

// Staging over the bytes that other warps may still read: a barrier before the write, one before the store.
// CHECK-LABEL: func.func @reused_bytes
// CHECK: tile.dot
// CHECK: tile.barrier
// CHECK-NEXT: tile.write
// CHECK-NEXT: tile.barrier
// CHECK-NEXT: tile.store
func.func @reused_bytes(%key: !kv, %out: !kv) attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 8192 : i32} {
  %a = tile.splat 1.0 : !A
  %x = tile.splat 1.0 : !H
  %c0 = arith.constant 0 : i32   %zo = tile.splat 0.0 : !S
  %kr = tile.ring {offset = 0 : i32} : !ring   %stage = tile.alloc {offset = 0 : i32} : !B
  tile.fill %kr[%c0] from %key[%c0, %c0, %c0] along 1 {via = "cp_async"} : !ring, !kv
  %k = tile.await %kr[%c0] : !ring -> !B
  %s = tile.dot %a, trans %k, %zo : !A, !B -> !S
  tile.write %x, %stage : !H, !B
  tile.store %stage, %out[%c0, %c0, %c0] along 1 : !B, !kv
  return
}

// What a thread wrote it may read again in the same layout without waiting for the others.
// CHECK-LABEL: func.func @own_elements
// CHECK: tile.write
// CHECK-NEXT: tile.read
func.func @own_elements() -> !H attributes {tile.warps = 4 : i32} {
  %x = tile.splat 1.0 : !H
  %stage = tile.alloc {offset = 0 : i32} : !B
  tile.write %x, %stage : !H, !B
  %y = tile.read %stage : !B -> !H
  return %y : !H
}

// A barrier behind a guard separates nothing where the guard does not hold: one stands in front of the write as well.
// CHECK-LABEL: func.func @behind_a_guard
// CHECK: tile.write
// CHECK: tile.barrier
// CHECK: tile.dot
// CHECK: scf.if
// CHECK-NEXT: tile.barrier
// CHECK: }
// CHECK-NEXT: tile.barrier
// CHECK-NEXT: tile.write
func.func @behind_a_guard(%guard: i1) attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 8192 : i32} {
  %a = tile.splat 1.0 : !A
  %x = tile.splat 1.0 : !H
  %zo = tile.splat 0.0 : !S
  %b = tile.alloc {offset = 0 : i32} : !B
  tile.write %x, %b : !H, !B
  %s = tile.dot %a, trans %b, %zo : !A, !B -> !S
  scf.if %guard {
    tile.barrier
  }
  tile.write %x, %b : !H, !B
  %s1 = tile.dot %a, trans %b, %s : !A, !B -> !S
  return
}

// A warp stores by a tensor map what it has written itself: no barrier, but a fence, a wait before the next tile's write,
// and one before the memory goes.
// CHECK-LABEL: func.func @staged
// CHECK: tile.role consumer
// CHECK: tile.foreach_work
// CHECK-NOT: tile.barrier
// CHECK: tile.await_stores %[[STAGING:.*]] :
// CHECK-NEXT: tile.write %{{.*}}, %[[STAGING]]
// CHECK-NEXT: tile.fence async_proxy
// CHECK-NEXT: tile.store %[[STAGING]]
// CHECK-NOT: tile.barrier
// CHECK: tile.yield
// CHECK: tile.await_stores %[[STAGING]]
func.func @staged(%query: !kv, %out: !kv) attributes {tile.kernel, tile.warps = 8 : i32, tile.shared_bytes = 16384 : i32} {
  %x = tile.splat 1.0 : !H
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %c4 = arith.constant 4 : i32
  %qr = tile.ring {offset = 0 : i32} : !ring   %staging = tile.alloc {offset = 8192 : i32} : !B
  tile.role producer warps [4 to 8] registers 56 {
    tile.foreach_work %c4 carry(%c0 : i32) -> i32 { ^work(%t: i32, %w: i32):
      tile.acquire %qr[%w] : !ring
      tile.fill %qr[%w] from %query[%c0, %c0, %c0] along 1 {via = "tma"} : !ring, !kv
      %w1 = arith.addi %w, %c1 : i32
      tile.yield %w1 : i32
    }
  }
  tile.role consumer warps [0 to 4] registers 256 {
    tile.foreach_work %c4 carry(%c0 : i32) -> i32 { ^work(%t: i32, %w: i32):
      %q = tile.await %qr[%w] : !ring -> !B
      tile.release %qr[%w] : !ring
      tile.write %x, %staging : !H, !B
      tile.store %staging, %out[%c0, %c0, %c0] along 1 {via = "tma"} : !B, !kv
      %w1 = arith.addi %w, %c1 : i32
      tile.yield %w1 : i32
    }
  }
  return
}

// Staging on the query's slot: written when no warp reads the query, and released when the store has read it.
// CHECK-LABEL: func.func @staged_on_the_query
// CHECK: tile.role consumer
// CHECK: tile.await
// CHECK-NEXT: tile.dot
// CHECK: tile.barrier
// CHECK: tile.await_stores
// CHECK-NEXT: tile.write
// CHECK-NEXT: tile.fence async_proxy
// CHECK-NEXT: tile.store
// CHECK-NOT: tile.write
// CHECK: tile.await_stores
// CHECK-NEXT: tile.release
func.func @staged_on_the_query(%query: !kv, %out: !kv) attributes {tile.kernel, tile.warps = 8 : i32, tile.shared_bytes = 8192 : i32} {
  %x = tile.splat 1.0 : !H   %a = tile.splat 1.0 : !A   %zo = tile.splat 0.0 : !S
  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %c4 = arith.constant 4 : i32
  %qr = tile.ring {offset = 0 : i32} : !ring   %staging = tile.alloc {offset = 0 : i32} : !B
  tile.role producer warps [4 to 8] registers 56 {
    tile.foreach_work %c4 carry(%c0 : i32) -> i32 { ^work(%t: i32, %w: i32):
      tile.acquire %qr[%w] : !ring
      tile.fill %qr[%w] from %query[%c0, %c0, %c0] along 1 {via = "tma"} : !ring, !kv
      %w1 = arith.addi %w, %c1 : i32
      tile.yield %w1 : i32
    }
  }
  tile.role consumer warps [0 to 4] registers 256 {
    tile.foreach_work %c4 carry(%c0 : i32) -> i32 { ^work(%t: i32, %w: i32):
      %q = tile.await %qr[%w] : !ring -> !B
      %s = tile.dot %a, trans %q, %zo : !A, !B -> !S
      tile.write %x, %staging : !H, !B
      tile.store %staging, %out[%c0, %c0, %c0] along 1 {via = "tma"} : !B, !kv
      tile.release %qr[%w] : !ring
      %w1 = arith.addi %w, %c1 : i32
      tile.yield %w1 : i32
    }
  }
  return
}
