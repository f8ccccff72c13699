// RUN: attn-opt %s --tile-assign-layouts --split-input-file | FileCheck %s --check-prefix=LAYOUTS
// RUN: attn-opt %s --tile-assign-layouts --tile-pipeline-loads --tile-prefetch-loads --split-input-file | FileCheck %s --check-prefix=RINGS
// RUN: attn-opt %s --tile-assign-layouts --tile-pipeline-loads --tile-overlap-dots --tile-specialize-warps --split-input-file | FileCheck %s --check-prefix=ROLES
// Rows that diagonals choose, through the passes: their copies fly ahead like those of keys, what is computed is built in its
// block; and a kernel with such products of more than two tables has no roles on targets that have some.
!q = !tile.tensor<[batch, q_len, 8, 64], f16>   !kv = !tile.tensor<[batch, kv_len, 8, 64], f16>   !rel = !tile.tensor<[8, 4096, 64], f16>
!H = !tile.frag<64x64xf16>   !D = !tile.frag<128x64xf16>   !S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>

module attributes {tile.target = #tile.target<"sm_90a">} {
// LAYOUTS-LABEL: func.func @relative
// LAYOUTS: scf.for
// LAYOUTS: %[[K:.*]] = tile.load %arg1
// LAYOUTS: %[[ROWS:.*]] = tile.load %arg3{{.*}} -> !buffer_128x64xf16 rows {
// LAYOUTS: %[[X:.*]] = tile.diagonal_dot %{{.*}}, %[[ROWS]] : !buffer_64x64xf16, !buffer_128x64xf16 -> !acc_64x64xf32
// LAYOUTS: %[[TABLE:.*]] = tile.tabulate {
// LAYOUTS: } : !buffer_128x64xf16
// LAYOUTS: tile.diagonal_dot columns %[[K]], %[[TABLE]] plus %[[X]] : !buffer_64x64xf16, !buffer_128x64xf16, !acc_64x64xf32 -> !acc_64x64xf32
// Probs are the left operand of both sums, in the same registers.
// LAYOUTS: %[[P:.*]] = tile.convert {{.*}} -> !lhs_64x64xf16
// LAYOUTS: %[[O:.*]] = tile.dot %[[P]],
// LAYOUTS: tile.diagonal_sum %[[P]], %[[ROWS]], %[[O]] : !lhs_64x64xf16, !buffer_128x64xf16 -> !acc_64x64xf32

// RINGS-LABEL: func.func @relative
// The first block's rows are copied before the loop, where the number of the block is 0 ...
// RINGS: tile.fill %[[RING:.*]][%{{.*}}] from %arg3{{.*}} {via = "cp_async"} {{.*}} rows {
// RINGS: tile.yield
// RINGS: scf.for %[[I:[a-z0-9]+]] =
// ... and the next one's while this block is computed.
// RINGS: tile.fill %[[RING]][%{{[a-z0-9]+}}] from %arg3[{{.*}}] along 1 if %{{.*}} {via = "cp_async"} {{.*}} rows {
// RINGS: tile.yield
// RINGS: tile.await %[[RING]][%[[I]]]
// RINGS: tile.build
// RINGS: tile.diagonal_sum
// RINGS: tile.release %[[RING]][%[[I]]]

// Threads of the producer copy and compute, each warp of the consumers multiplies.
// ROLES-LABEL: func.func @relative
// ROLES: tile.role producer
// ROLES: tile.fill {{.*}} from %arg3
// ROLES: tile.build
// ROLES: tile.role consumer
// ROLES: tile.diagonal_dot
// ROLES: tile.diagonal_dot columns
// ROLES: tile.diagonal_sum
func.func @relative(%query: !q, %key: !kv, %value: !kv, %rel: !rel, %out: !q) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 2 : i32} {
  %c = arith.constant 0.18 : f32   %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %c63 = arith.constant 63 : i32   %c64 = arith.constant 64 : i32
  %ninf = tile.splat 0xFF800000 : !R   %zr = tile.splat 0.0 : !R   %zo = tile.splat 0.0 : !S   %n = tile.size %key, 1 : !kv   %u = arith.ceildivsi %n, %c64 : i32   %blocks = arith.maxsi %u, %c1 : i32
  tile.foreach_work %c1, %c1, %c1 { ^work(%b: i32, %h: i32, %t: i32):
    %q0 = arith.muli %t, %c64 : i32   %q = tile.load %query[%b, %q0, %h] along 1 : !q -> !H
    %r:3 = scf.for %i = %c0 to %blocks step %c1 iter_args(%m0 = %ninf, %l0 = %zr, %o0 = %zo) -> (!R, !R, !S) : i32 {
      %k0 = arith.muli %i, %c64 : i32   %k = tile.load %key[%b, %k0, %h] along 1 : !kv -> !H
      %d = tile.load %rel[%h, %c0] along 1 : !rel -> !D rows { ^row(%x: i32):
        %y = arith.subi %x, %c63 : i32   %j = arith.addi %k0, %y : i32   %e = arith.subi %q0, %j : i32   tile.yield %e : i32 }
      %x = tile.diagonal_dot %q, %d : !H, !D -> !S
      %w = tile.tabulate { ^at(%row: i32, %channel: i32):
        %y = arith.addi %k0, %row : i32   %z = arith.addi %y, %channel : i32   %v = arith.sitofp %z : i32 to f32   tile.yield %v : f32 } : !D
      %s = tile.diagonal_dot columns %k, %w plus %x : !H, !D, !S -> !S
      %m1, %l1, %alpha, %p = tile.softmax_step %s, %m0, %l0 scale %c : !S, !R, !R
      %a = tile.scale %o0, %alpha : !S, !R   %pb = tile.convert %p : !S -> !H
      %v = tile.load %value[%b, %k0, %h] along 1 : !kv -> !H   %o1 = tile.dot %pb, %v, %a : !H, !H -> !S
      %o2 = tile.diagonal_sum %pb, %d, %o1 : !H, !D -> !S
      scf.yield %m1, %l1, %o2 : !R, !R, !S }
    %inv, %ls = tile.finish %r#0, %r#1 scale %c : !R, !R -> !R, !R   %on = tile.scale %r#2, %inv : !S, !R   %oh = tile.convert %on : !S -> !H
    tile.store %oh, %out[%b, %q0, %h] along 1 : !H, !q }
  return }
}

// -----
!q = !tile.tensor<[batch, q_len, 8, 64], f16>   !kv = !tile.tensor<[batch, kv_len, 8, 64], f16>   !rel = !tile.tensor<[8, 4096, 64], f16>
!H = !tile.frag<64x64xf16>   !D = !tile.frag<128x64xf16>   !S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>

module attributes {tile.target = #tile.target<"sm_90a">} {
// ROLES-LABEL: func.func @three_tables
// ROLES-NOT: tile.role
// ROLES-NOT: tile.dot_async
// ROLES: return
func.func @three_tables(%query: !q, %key: !kv, %value: !kv, %rel: !rel, %out: !q) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 2 : i32} {
  %c = arith.constant 0.18 : f32   %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %c63 = arith.constant 63 : i32   %c64 = arith.constant 64 : i32
  %ninf = tile.splat 0xFF800000 : !R   %zr = tile.splat 0.0 : !R   %zo = tile.splat 0.0 : !S   %n = tile.size %key, 1 : !kv   %u = arith.ceildivsi %n, %c64 : i32   %blocks = arith.maxsi %u, %c1 : i32
  tile.foreach_work %c1, %c1, %c1 { ^work(%b: i32, %h: i32, %t: i32):
    %q0 = arith.muli %t, %c64 : i32   %q = tile.load %query[%b, %q0, %h] along 1 : !q -> !H
    %r:3 = scf.for %i = %c0 to %blocks step %c1 iter_args(%m0 = %ninf, %l0 = %zr, %o0 = %zo) -> (!R, !R, !S) : i32 {
      %k0 = arith.muli %i, %c64 : i32   %k = tile.load %key[%b, %k0, %h] along 1 : !kv -> !H
      %d = tile.load %rel[%h, %c0] along 1 : !rel -> !D rows { ^row(%x: i32):
        %y = arith.subi %x, %c63 : i32   %j = arith.addi %k0, %y : i32   %e = arith.subi %q0, %j : i32   tile.yield %e : i32 }
      %x = tile.diagonal_dot %q, %d : !H, !D -> !S
      %w = tile.tabulate { ^at(%row: i32, %channel: i32):
        %y = arith.addi %k0, %row : i32   %z = arith.addi %y, %channel : i32   %v = arith.sitofp %z : i32 to f32   tile.yield %v : f32 } : !D
      %s = tile.diagonal_dot columns %k, %w plus %x : !H, !D, !S -> !S
      %m1, %l1, %alpha, %p = tile.softmax_step %s, %m0, %l0 scale %c : !S, !R, !R
      %a = tile.scale %o0, %alpha : !S, !R   %pb = tile.convert %p : !S -> !H
      %v = tile.load %value[%b, %k0, %h] along 1 : !kv -> !H   %o1 = tile.dot %pb, %v, %a : !H, !H -> !S
      %z = tile.tabulate { ^at(%row: i32, %channel: i32): %v2 = arith.sitofp %row : i32 to f32   tile.yield %v2 : f32 } : !D
      %o2 = tile.diagonal_sum %pb, %z, %o1 : !H, !D -> !S
      scf.yield %m1, %l1, %o2 : !R, !R, !S }
    %inv, %ls = tile.finish %r#0, %r#1 scale %c : !R, !R -> !R, !R   %on = tile.scale %r#2, %inv : !S, !R   %oh = tile.convert %on : !S -> !H
    tile.store %oh, %out[%b, %q0, %h] along 1 : !H, !q }
  return }
}
