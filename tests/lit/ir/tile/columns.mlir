// RUN: attn-opt %s --split-input-file --verify-diagnostics | attn-opt --split-input-file | FileCheck %s
// Some of a row's columns: text, and one case a constraint.

!kv = !tile.tensor<[batch, kv_len, 2, 576], f16>   !x = !tile.frag<64x64xf16>
// CHECK-LABEL: func.func @last_channels
func.func @last_channels(%x: !x, %rows: !kv, %b: i32, %n: i32) {
  // CHECK: tile.store_columns %{{.*}} columns 0 count 64, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] along 1 from 512 : !frag_64x64xf16, !tensor
  tile.store_columns %x columns 0 count 64, %rows[%b, %n, %b] along 1 from 512 : !x, !kv
  // CHECK: columns 32 count 32, {{.*}} along 1 from 0 limit %{{.*}} : !frag_64x64xf16, !tensor
  tile.store_columns %x columns 32 count 32, %rows[%b, %n, %b] along 1 from 0 limit %n : !x, !kv
  return
}

// -----
// (C1)
!kv = !tile.tensor<[batch, kv_len, 2, 576], f16>   !x = !tile.frag<64x64xf32>
func.func @other_element(%x: !x, %rows: !kv, %b: i32) {
  // expected-error @below {{expects a 2-D fragment and 3 indices of a tensor of its element type}}
  tile.store_columns %x columns 0 count 64, %rows[%b, %b, %b] along 1 from 0 : !x, !kv
  return
}

// -----
!kv = !tile.tensor<[batch, kv_len, 2, 576], f16>   !x = !tile.frag<64x64xf16>
func.func @index_of_a_column(%x: !x, %rows: !kv, %b: i32) {
  // expected-error @below {{expects a 2-D fragment and 3 indices of a tensor of its element type}}
  tile.store_columns %x columns 0 count 64, %rows[%b, %b, %b, %b] along 1 from 0 : !x, !kv
  return
}

// -----
// (C2)
!kv = !tile.tensor<[batch, kv_len, 2, 576], f16>   !x = !tile.frag<64x64xf16>
func.func @along_channels(%x: !x, %rows: !kv, %b: i32) {
  // expected-error @below {{expects `along` below 3, but got 3}}
  tile.store_columns %x columns 0 count 64, %rows[%b, %b, %b] along 3 from 0 : !x, !kv
  return
}

// -----
// (C3)
!kv = !tile.tensor<[batch, kv_len, 2, 576], f16>   !x = !tile.frag<64x64xf16>
func.func @past_the_row(%x: !x, %rows: !kv, %b: i32) {
  // expected-error @below {{expects multiples of 8 columns within the fragment and rows of known length, but got 64 from 0 on}}
  tile.store_columns %x columns 0 count 64, %rows[%b, %b, %b] along 1 from 520 : !x, !kv
  return
}

// -----
!kv = !tile.tensor<[batch, kv_len, 2, 576], f16>   !x = !tile.frag<64x64xf16>
func.func @between_chunks(%x: !x, %rows: !kv, %b: i32) {
  // expected-error @below {{expects multiples of 8 columns within the fragment and rows of known length, but got 64 from 0 on}}
  tile.store_columns %x columns 0 count 64, %rows[%b, %b, %b] along 1 from 4 : !x, !kv
  return
}

// -----
!kv = !tile.tensor<[batch, kv_len, 2, 576], f16>   !x = !tile.frag<64x64xf16>
func.func @past_the_fragment(%x: !x, %rows: !kv, %b: i32) {
  // expected-error @below {{expects multiples of 8 columns within the fragment and rows of known length, but got 64 from 32 on}}
  tile.store_columns %x columns 32 count 64, %rows[%b, %b, %b] along 1 from 0 : !x, !kv
  return
}

// -----
!kv = !tile.tensor<[batch, kv_len, 2, 576], f16>   !some = !tile.tensor<[batch, kv_len, 2, 64], f16>
// CHECK-LABEL: func.func @as_a_tensor
func.func @as_a_tensor(%rows: !kv) {
  // CHECK: tile.columns %{{.*}} from 512 : !tensor -> !tensor{{.*}}
  %last = tile.columns %rows from 512 : !kv -> !some
  return
}

// -----
// columns (C1)
!kv = !tile.tensor<[batch, kv_len, 2, 576], f16>   !some = !tile.tensor<[batch, kv_len, 4, 64], f16>
func.func @other_heads(%rows: !kv) {
  // expected-error @below {{expects tensors whose last sizes alone differ, as numbers}}
  %last = tile.columns %rows from 0 : !kv -> !some
  return
}

// -----
// columns (C2)
!kv = !tile.tensor<[batch, kv_len, 2, 576], f16>   !some = !tile.tensor<[batch, kv_len, 2, 64], f16>
func.func @past_the_row_of_a_tensor(%rows: !kv) {
  // expected-error @below {{expects multiples of 8 columns within the row, but got 64 from 520 on}}
  %last = tile.columns %rows from 520 : !kv -> !some
  return
}
