// RUN: attn-opt %s --attn-verify-stage=stage=rings --split-input-file --verify-diagnostics
!kv = !tile.tensor<[batch, kv_len, 2, 64], f16>   !B = !tile.buffer<64x64xf16, #tile.smem<128>>
func.func @buffer(%key: !kv, %i: i32) {
  // expected-error @below {{'tile.load' op must not give a buffer after PipelineLoads}}
  %k = tile.load %key[%i, %i, %i] along 1 : !kv -> !B
  return
}

// -----
!kv = !tile.tensor<[batch, kv_len, 2, 64], f16>   !B = !tile.buffer<64x64xf16, #tile.smem<128>>
!H = !tile.frag<64x64xf16, #tile.acc<4>>   !A = !tile.frag<64x64xf16, #tile.lhs<4>>   !S = !tile.frag<64x64xf32, #tile.acc<4>>
func.func @feeding(%query: !kv, %b: !B, %s: !S, %i: i32) {
  %q = tile.load %query[%i, %i, %i] along 1 : !kv -> !H
  %a = tile.convert %q : !H -> !A
  // expected-error @below {{'tile.dot' op must not read what was loaded without a ring after PipelineLoads}}
  %d = tile.dot %a, trans %b, %s : !A, !B -> !S
  return
}

// -----
!B = !tile.buffer<64x64xf16, #tile.smem<128>>   !ring = !tile.ring<1, 64x64xf16, #tile.smem<128>>
func.func @never_released(%i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{'tile.await' op expects the entry to be released once, but it is released 0 times}}
  %b = tile.await %r[%i] : !ring -> !B
  return
}

// -----
!B = !tile.buffer<64x64xf16, #tile.smem<128>>   !ring = !tile.ring<1, 64x64xf16, #tile.smem<128>>
func.func @released_before(%i: i32) {
  %r = tile.ring : !ring
  tile.release %r[%i] : !ring
  // expected-error @below {{expects the entry to be released once, but it is released 0 times}}
  %b = tile.await %r[%i] : !ring -> !B
  return
}

// -----
!B = !tile.buffer<64x64xf16, #tile.smem<128>>   !ring = !tile.ring<1, 64x64xf16, #tile.smem<128>>
func.func @released_twice(%i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{expects the entry to be released once, but it is released 2 times}}
  %b = tile.await %r[%i] : !ring -> !B
  tile.release %r[%i] : !ring
  tile.release %r[%i] : !ring
  return
}
