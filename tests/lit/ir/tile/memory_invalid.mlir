// RUN: attn-opt %s --split-input-file --verify-diagnostics
// Work, roles, global and shared memory: one case a constraint.

// foreach_work (C1): an i32 an extent, then the carried values
func.func @work_arguments(%n: i32) {
  // expected-error @below {{'tile.foreach_work' op expects region arguments ('i32', 'i32'), but got ('i32')}}
  tile.foreach_work %n, %n { ^work(%b: i32): tile.yield }
  return
}

// -----
// foreach_work (C2)
func.func @work_yields(%n: i32) {
  // expected-error @below {{expects its region to yield ('i32'), but got ()}}
  %r = tile.foreach_work %n carry(%n : i32) -> i32 { ^work(%b: i32, %c: i32): tile.yield }
  return
}

// -----
// role (C1)
func.func @no_warp() {
  // expected-error @below {{'tile.role' op expects at least one warp, but got [4 to 4]}}
  tile.role producer warps [4 to 4] { tile.yield }
  return
}

// -----
// role (C1): registers are handed out by warpgroup
func.func @warpgroups() {
  // expected-error @below {{expects whole warpgroups (multiples of 4 warps) where `registers` is given}}
  tile.role producer warps [0 to 2] registers 24 { tile.yield }
  return
}

// -----
// size (C1)
func.func @size(%t: !tile.tensor<[batch, 8], f32>) {
  // expected-error @below {{'tile.size' op expects a dimension below 2, but got 2}}
  %n = tile.size %t, 2 : !tile.tensor<[batch, 8], f32>
  return
}

// -----
// param (C1)
func.func @param_indices(%t: !tile.tensor<[batch, 8], f32>, %i: i32) {
  // expected-error @below {{'tile.param' op expects 2 indices, but got 1}}
  %x = tile.param %t[%i] : !tile.tensor<[batch, 8], f32> -> f32
  return
}

// -----
// param (C2)
func.func @param_type(%t: !tile.tensor<[batch], i32>, %i: i32) {
  // expected-error @below {{cannot read element 'i32' as 'f32'}}
  %x = tile.param %t[%i] : !tile.tensor<[batch], i32> -> f32
  return
}

// -----
// load (C1)
!q = !tile.tensor<[batch, q_len, 8, 64], f16>
func.func @load_indices(%t: !q, %i: i32) {
  // expected-error @below {{'tile.load' op expects 3 indices for a value of rank 2, but got 2}}
  %x = tile.load %t[%i, %i] along 1 : !q -> !tile.frag<64x64xf16>
  return
}

// -----
// load (C2)
!q = !tile.tensor<[batch, q_len, 8, 64], f16>
func.func @load_dimension(%t: !q, %i: i32) {
  // expected-error @below {{expects `along` below 3, but got 3}}
  %x = tile.load %t[%i, %i, %i] along 3 : !q -> !tile.frag<64x64xf16>
  return
}

// -----
// load (C3)
!q = !tile.tensor<[batch, q_len, 8, 64], f16>
func.func @load_element(%t: !q, %i: i32) {
  // expected-error @below {{expects element type 'f16', but got 'f32'}}
  %x = tile.load %t[%i, %i, %i] along 1 : !q -> !tile.frag<64x64xf32>
  return
}

// -----
// store: as load
!q = !tile.tensor<[batch, q_len, 8, 64], f16>
func.func @store_element(%t: !q, %x: !tile.frag<64x64xf32>, %i: i32) {
  // expected-error @below {{'tile.store' op expects element type 'f16', but got 'f32'}}
  tile.store %x, %t[%i, %i, %i] along 1 : !tile.frag<64x64xf32>, !q
  return
}

// -----
// fill: as load
!q = !tile.tensor<[batch, q_len, 8, 64], f16>   !ring = !tile.ring<1, 64x64xf16, #tile.smem<128>>
func.func @fill_indices(%t: !q, %i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{'tile.fill' op expects 3 indices for a value of rank 2, but got 1}}
  tile.fill %r[%i] from %t[%i] along 0 : !ring, !q
  return
}

// -----
// fill (C4)
!q = !tile.tensor<[batch, q_len, 8, 64], f16>   !ring = !tile.ring<1, 64x64xf16, #tile.smem<128>>
func.func @fill_via(%t: !q, %i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{expects `via` to be tma, cp_async or plain, but got dma}}
  tile.fill %r[%i] from %t[%i, %i, %i] along 1 {via = "dma"} : !ring, !q
  return
}

// -----
// build (C1)
!ring = !tile.ring<1, 64xf32, #tile.smem<0>>
func.func @build_arguments(%i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{'tile.build' op expects region arguments ('i32'), but got ('i32', 'i32')}}
  tile.build %r[%i] : !ring { ^at(%a: i32, %b: i32): %x = arith.sitofp %a : i32 to f32   tile.yield %x : f32 }
  return
}

// -----
// build (C2): a small float is yielded as f32
!ring = !tile.ring<1, 64xf16, #tile.smem<0>>
func.func @build_yield(%i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{expects its region to yield ('f32'), but got ('i32')}}
  tile.build %r[%i] : !ring { ^at(%a: i32): tile.yield %a : i32 }
  return
}

// -----
// await: a ring gives its own buffers
!ring = !tile.ring<1, 64x64xf16, #tile.smem<128>>
func.func @await_type(%i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{'tile.await' op expects result '!tile.buffer<64x64xf16, #tile.smem<128>>', but got '!tile.buffer<64x64xf16, #tile.smem<0>>'}}
  %b = tile.await %r[%i] : !ring -> !tile.buffer<64x64xf16, #tile.smem<0>>
  return
}

// -----
// keep_finite (C1)
func.func @keep_finite(%b: !tile.buffer<64x32xi32, #tile.smem<0>>, %p: i1) {
  // expected-error @below {{'tile.keep_finite' op expects a float, but got 'i32'}}
  %found = tile.keep_finite %b if %p : !tile.buffer<64x32xi32, #tile.smem<0>>
  return
}

// -----
// keep_finite (C2)
func.func @keep_finite_without_result(%f: !tile.frag<64x32xf16>, %p: i1) {
  // expected-error @below {{'tile.keep_finite' op expects a result of a fragment's type for it, and none for a buffer}}
  %found = tile.keep_finite %f if %p : !tile.frag<64x32xf16>
  return
}

// -----
// read (C1)
!B = !tile.buffer<64x32xf16, #tile.smem<0>>
func.func @read(%b: !B) {
  // expected-error @below {{'tile.read' op expects fragment and buffer to agree}}
  %x = tile.read %b : !B -> !tile.frag<32x64xf16>
  return
}

// -----
// write (C1), with trans
!B = !tile.buffer<64x32xf16, #tile.smem<0>>
func.func @write(%b: !B, %x: !tile.frag<64x32xf16>) {
  // expected-error @below {{'tile.write' op expects fragment and buffer to agree}}
  tile.write trans %x, %b : !tile.frag<64x32xf16>, !B
  return
}
