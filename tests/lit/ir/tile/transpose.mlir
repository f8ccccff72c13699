// RUN: attn-opt %s --split-input-file --verify-diagnostics | attn-opt --split-input-file | FileCheck %s
// Fragments turned over: text, and its constraint.

// CHECK-LABEL: func.func @turned
func.func @turned(%k: !tile.frag<64x128xf16>) -> !tile.frag<128x64xf16> {
  // CHECK: tile.transpose %{{.*}} : !frag_64x128xf16 -> !frag_128x64xf16
  %kt = tile.transpose %k : !tile.frag<64x128xf16> -> !tile.frag<128x64xf16>
  return %kt : !tile.frag<128x64xf16>
}

// -----
// (C1)
func.func @same_shape(%k: !tile.frag<64x128xf16>) {
  // expected-error @below {{expects a 2-D fragment and its columns as rows, but got '!tile.frag<64x128xf16>' and '!tile.frag<64x128xf16>'}}
  %kt = tile.transpose %k : !tile.frag<64x128xf16> -> !tile.frag<64x128xf16>
  return
}

// -----
func.func @other_element(%k: !tile.frag<64x64xf16>) {
  // expected-error @below {{expects a 2-D fragment and its columns as rows, but got '!tile.frag<64x64xf16>' and '!tile.frag<64x64xf32>'}}
  %kt = tile.transpose %k : !tile.frag<64x64xf16> -> !tile.frag<64x64xf32>
  return
}
