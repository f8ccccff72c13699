// RUN: attn-opt %s --split-input-file --verify-diagnostics | attn-opt --split-input-file | FileCheck %s
// Running sums along the columns of a row: text, and one case a constraint.

!S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>
// CHECK-LABEL: func.func @sums
func.func @sums(%x: !S, %carry: !R) -> (!S, !R) {
  // CHECK: tile.suffix_sum %{{.*}}, %{{.*}} : !frag_64x64xf32, !frag_64xf32
  %sums, %total = tile.suffix_sum %x, %carry : !S, !R
  return %sums, %total : !S, !R
}

// -----
// (C1)
!S = !tile.frag<64x64xf32>   !R = !tile.frag<32xf32>
func.func @carry_of_other_rows(%x: !S, %carry: !R) {
  // expected-error @below {{expects 2-D numbers and a carry a row of theirs, but got '!tile.frag<64x64xf32>' and '!tile.frag<32xf32>'}}
  %sums, %total = tile.suffix_sum %x, %carry : !S, !R
  return
}

// -----
!S = !tile.frag<64x64xf16>   !R = !tile.frag<64xf32>
func.func @halves(%x: !S, %carry: !R) {
  // expected-error @below {{expects f32 elements, or f64, but got '!tile.frag<64x64xf16>' and '!tile.frag<64xf32>'}}
  %sums, %total = tile.suffix_sum %x, %carry : !S, !R
  return
}
