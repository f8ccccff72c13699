// RUN: attn-opt %s | attn-opt | FileCheck %s
// Operations with a row a diagonal, before and after layouts, and copies whose rows a region chooses.

!Q = !tile.frag<128x64xf16>   !D = !tile.frag<192x64xf16>   !S = !tile.frag<128x64xf32>   !P = !tile.frag<128x64xf16>
!rel = !tile.tensor<[8, 4096, 64], f16>

// CHECK-LABEL: func.func @fragments
func.func @fragments(%q: !Q, %k: !tile.frag<64x64xf16>, %p: !P, %o: !S, %rel: !rel, %h: i32, %near: i32, %far: !tile.frag<16x64xf16>, %clipped: i1) -> (!S, !S, !S) {
  %zero = arith.constant 0 : i32
  // CHECK: %[[ROWS:.*]] = tile.load %{{.*}}[%{{.*}}, %{{.*}}] along 1 : !tensor -> !frag_192x64xf16 rows {
  // CHECK-NEXT: ^bb0(%[[X:.*]]: i32):
  // CHECK-NEXT: arith.addi %[[X]]
  %d = tile.load %rel[%h, %zero] along 1 : !rel -> !D rows { ^row(%x: i32): %i = arith.addi %x, %near : i32   tile.yield %i : i32 }
  // CHECK: %[[TABLE:.*]] = tile.tabulate {
  %t = tile.tabulate { ^at(%r: i32, %c: i32): %s = arith.addi %r, %c : i32   %v = arith.sitofp %s : i32 to f32   tile.yield %v : f32 } : !D
  // CHECK: tile.diagonal_dot %{{.*}}, %[[ROWS]] : !frag_128x64xf16, !frag_192x64xf16 -> !frag_128x64xf32
  %x = tile.diagonal_dot %q, %d : !Q, !D -> !S
  // CHECK: tile.diagonal_dot columns %{{.*}}, %[[TABLE]] plus %{{.*}} : !frag_64x64xf16, !frag_192x64xf16, !frag_128x64xf32 -> !frag_128x64xf32
  %y = tile.diagonal_dot columns %k, %t plus %x : !tile.frag<64x64xf16>, !D, !S -> !S
  // CHECK: tile.diagonal_dot %{{.*}}, %[[ROWS]] or %[[FAR:.*]] if %[[CLIPPED:.*]] plus %{{.*}} : !frag_128x64xf16, !frag_192x64xf16 or !frag_16x64xf16, !frag_128x64xf32 -> !frag_128x64xf32
  %w = tile.diagonal_dot %q, %d or %far if %clipped plus %y : !Q, !D or !tile.frag<16x64xf16>, !S -> !S
  // CHECK: tile.diagonal_sum %{{.*}}, %[[ROWS]], %{{.*}} : !frag_128x64xf16, !frag_192x64xf16 -> !frag_128x64xf32
  %s = tile.diagonal_sum %p, %d, %o : !P, !D -> !S
  // CHECK: tile.diagonal_sum %{{.*}}, %[[ROWS]] or %[[FAR]] if %[[CLIPPED]], %{{.*}} : !frag_128x64xf16, !frag_192x64xf16 or !frag_16x64xf16 -> !frag_128x64xf32
  %z = tile.diagonal_sum %p, %d or %far if %clipped, %s : !P, !D or !tile.frag<16x64xf16> -> !S
  return %x, %w, %z : !S, !S, !S
}

!B = !tile.buffer<192x64xf16, #tile.smem<128>>   !ring = !tile.ring<1, 192x64xf16, #tile.smem<128>>
!qb = !tile.buffer<128x64xf16, #tile.smem<128>>   !Sa = !tile.frag<128x64xf32, #tile.acc<8>>   !Pl = !tile.frag<128x64xf16, #tile.lhs<8>>

// CHECK-LABEL: func.func @buffers
func.func @buffers(%p: !Pl, %o: !Sa, %rel: !rel, %h: i32, %more: i1) -> (!Sa, !Sa) {
  %zero = arith.constant 0 : i32
  %r = tile.ring : !ring   %q = tile.alloc : !qb
  // CHECK: tile.fill %{{.*}}[%{{.*}}] from %{{.*}}[%{{.*}}, %{{.*}}] along 1 if %{{.*}} {via = "cp_async"} : !{{.*}}, !tensor rows {
  tile.fill %r[%zero] from %rel[%h, %zero] along 1 if %more {via = "cp_async"} : !ring, !rel rows { ^row(%x: i32): tile.yield %x : i32 }
  %d = tile.await %r[%zero] : !ring -> !B
  // CHECK: tile.diagonal_dot %{{.*}}, %{{.*}} : !buffer_128x64xf16, !buffer_192x64xf16 -> !acc_128x64xf32
  %x = tile.diagonal_dot %q, %d : !qb, !B -> !Sa
  // CHECK: tile.diagonal_sum %{{.*}}, %{{.*}}, %{{.*}} : !lhs_128x64xf16, !buffer_192x64xf16 -> !acc_128x64xf32
  %y = tile.diagonal_sum %p, %d, %o : !Pl, !B -> !Sa
  return %x, %y : !Sa, !Sa
}
