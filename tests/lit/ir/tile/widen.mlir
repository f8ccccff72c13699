// RUN: attn-opt %s --split-input-file --verify-diagnostics | attn-opt --split-input-file | FileCheck %s
// Rows of 8-bit floats as products take them: text, and constraints.

!kv = !tile.tensor<[batch, kv_len, 2, 64], f8E4M3FN>   !ring = !tile.ring<2, 64x64xbf16, #tile.smem<128>>
!raw = !tile.ring<1, 64x64xf8E4M3FN, #tile.smem<64>>   !B = !tile.buffer<64x64xf8E4M3FN, #tile.smem<64>>
// CHECK-LABEL: func.func @rows
func.func @rows(%key: !kv, %i: i32) {
  %r = tile.ring : !ring
  %raw = tile.ring : !raw
  %bytes = tile.await %raw[%i] : !raw -> !B
  // CHECK: tile.widen %{{.*}}[%arg1] from %{{.*}} : !ring2_64x64xbf16, !
  tile.widen %r[%i] from %bytes : !ring, !B
  // CHECK: tile.fill %{{.*}} {via = "plain"} : !ring2_64x64xbf16
  tile.fill %r[%i] from %key[%i, %i, %i] along 1 {via = "plain"} : !ring, !kv
  // CHECK: tile.load %arg0{{.*}} -> !frag_64x64xbf16
  %f = tile.load %key[%i, %i, %i] along 1 : !kv -> !tile.frag<64x64xbf16>
  return
}

// -----
// widen (C1)
!ring = !tile.ring<2, 64x64xbf16, #tile.smem<128>>   !B = !tile.buffer<32x64xf8E4M3FN, #tile.smem<64>>
func.func @shapes(%b: !B, %i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{expects a buffer and entries of one shape with two dimensions}}
  tile.widen %r[%i] from %b : !ring, !B
  return
}

// -----
// widen (C2)
!ring = !tile.ring<2, 64x64xf32, #tile.smem<128>>   !B = !tile.buffer<64x64xf8E5M2, #tile.smem<64>>
func.func @elements(%b: !B, %i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{expects 8-bit floats for f16 or bf16}}
  tile.widen %r[%i] from %b : !ring, !B
  return
}

// -----
// Columns as rows.
!ring = !tile.ring<2, 64x128xf8E4M3FN, #tile.smem<128>>   !B = !tile.buffer<128x64xf8E4M3FN, #tile.smem<64>>
// CHECK-LABEL: func.func @turned
func.func @turned(%b: !B, %i: i32) {
  %r = tile.ring : !ring
  // CHECK: tile.widen %{{.*}}[%arg1] from %arg0 : !ring2_64x128xf8E4M3FN, !
  tile.widen %r[%i] from %b : !ring, !B
  return
}

// -----
// widen (C3)
!ring = !tile.ring<2, 64x64xf8E4M3FN, #tile.smem<64>>   !B = !tile.buffer<128x64xf8E4M3FN, #tile.smem<64>>
func.func @turned_shapes(%b: !B, %i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{expects entries whose rows are columns of the buffer, 16 of them at least and of a multiple of 32, but got}}
  tile.widen %r[%i] from %b : !ring, !B
  return
}

// -----
// load (C3): numbers of a row as they are
!kv = !tile.tensor<[batch, kv_len, 2, 64], f8E5M2>
func.func @load_to_f32(%t: !kv, %i: i32) {
  // expected-error @below {{expects element type 'f8E5M2', but got 'f32'}}
  %x = tile.load %t[%i, %i, %i] along 1 : !kv -> !tile.frag<64x64xf32>
  return
}

// -----
// fill (C4)
!kv = !tile.tensor<[batch, kv_len, 2, 64], f8E4M3FN>   !ring = !tile.ring<1, 64x64xf16, #tile.smem<128>>
func.func @fill_via(%t: !kv, %i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{expects `via` to be plain where element types differ, but got tma}}
  tile.fill %r[%i] from %t[%i, %i, %i] along 1 {via = "tma"} : !ring, !kv
  return
}

// -----
// dot (C3)
!A = !tile.frag<64x48xf8E4M3FN>   !S = !tile.frag<64x64xf32>
func.func @depth_of_bytes(%a: !A, %b: !tile.frag<64x48xf8E5M2>, %c: !S) {
  // expected-error @below {{expects K a multiple of 32 and N of 8, but got 48 and 64}}
  %x = tile.dot %a, trans %b, %c : !A, !tile.frag<64x48xf8E5M2> -> !S
  return
}
