// RUN: attn-opt %s --split-input-file --verify-diagnostics | attn-opt --split-input-file | FileCheck %s
// What the parts of a kernel's warps hold: text, and one case a constraint.

!s = !tile.frag<64x64xf32, #tile.acc<8, parts = 2>>   !x = !tile.frag<64x32xf32, #tile.acc<4>>   !scratch = !tile.buffer<2x1024xf32, #tile.smem<0>>
!q = !tile.buffer<64x576xf16, #tile.smem<128>>   !k = !tile.buffer<32x576xf16, #tile.smem<128>>
// A product cut along its depth has the columns of both parts' summands.
// CHECK-LABEL: func.func @sum
func.func @sum(%q: !q, %k: !k, %scratch: !scratch) {
  %zero = tile.splat 0.0 : !s
  // CHECK: %[[S:.*]] = tile.dot %{{.*}}, trans %{{.*}}, %{{.*}} : !buffer_64x576xf16, !buffer_32x576xf16 -> !acc_64x64xf32
  %s = tile.dot %q, trans %k, %zero : !q, !k -> !s
  // CHECK: tile.add_parts %[[S]], %{{.*}} : !acc_64x64xf32, !buffer_2x1024xf32 -> !acc_64x32xf32
  %x = tile.add_parts %s, %scratch : !s, !scratch -> !x
  return
}

// -----
// (C1)
!s = !tile.frag<64x64xf32, #tile.acc<8>>   !x = !tile.frag<64x32xf32, #tile.acc<4>>   !scratch = !tile.buffer<2x1024xf32, #tile.smem<0>>
func.func @whole(%s: !s, %scratch: !scratch) {
  // expected-error @below {{expects f32 in layout `acc` of two parts and a result of half the columns and half the warps}}
  %x = tile.add_parts %s, %scratch : !s, !scratch -> !x
  return
}

// -----
!s = !tile.frag<64x64xf32, #tile.acc<8, parts = 2>>   !x = !tile.frag<64x64xf32, #tile.acc<4>>   !scratch = !tile.buffer<2x2048xf32, #tile.smem<0>>
func.func @as_many_columns(%s: !s, %scratch: !scratch) {
  // expected-error @below {{expects f32 in layout `acc` of two parts and a result of half the columns and half the warps}}
  %x = tile.add_parts %s, %scratch : !s, !scratch -> !x
  return
}

// -----
!s = !tile.frag<64x64xf32, #tile.acc<8, parts = 2>>   !x = !tile.frag<64x32xf32, #tile.acc<8>>   !scratch = !tile.buffer<2x1024xf32, #tile.smem<0>>
func.func @as_many_warps(%s: !s, %scratch: !scratch) {
  // expected-error @below {{expects f32 in layout `acc` of two parts and a result of half the columns and half the warps}}
  %x = tile.add_parts %s, %scratch : !s, !scratch -> !x
  return
}

// -----
// (C2)
!s = !tile.frag<64x64xf32, #tile.acc<8, parts = 2>>   !x = !tile.frag<64x32xf32, #tile.acc<4>>   !scratch = !tile.buffer<2x64xf32, #tile.smem<0>>
func.func @short_scratch(%s: !s, %scratch: !scratch) {
  // expected-error @below {{expects a plain scratch of 2x1024xf32}}
  %x = tile.add_parts %s, %scratch : !s, !scratch -> !x
  return
}

// -----
// A product whose columns are no whole number of summands.
!s = !tile.frag<64x48xf32, #tile.acc<8, parts = 2>>   !q = !tile.buffer<64x576xf16, #tile.smem<128>>   !k = !tile.buffer<32x576xf16, #tile.smem<128>>
func.func @other_columns(%q: !q, %k: !k) {
  %zero = tile.splat 0.0 : !s
  // expected-error @below {{expects M x K, N x K and M x N}}
  %s = tile.dot %q, trans %k, %zero : !q, !k -> !s
  return
}
