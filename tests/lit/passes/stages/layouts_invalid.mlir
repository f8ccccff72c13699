// RUN: attn-opt %s --attn-verify-stage=stage=layouts --split-input-file --verify-diagnostics
func.func @result(%s: !tile.frag<64x64xf32, #tile.acc<4>>) {
  // expected-error @below {{'tile.splat' op has a fragment without a layout after AssignLayouts: '!tile.frag<64xf32>'}}
  %zero = tile.splat 0.0 : !tile.frag<64xf32>
  return
}

// -----
// expected-error @below {{'func.func' op has a fragment without a layout after AssignLayouts: '!tile.frag<64x64xf32>'}}
func.func @argument(%s: !tile.frag<64x64xf32>) {
  return
}

// -----
!A = !tile.frag<64x64xf16, #tile.lhs<4>>   !S = !tile.frag<64x64xf32, #tile.acc<4>>
func.func @operand(%a: !A, %s: !S) {
  // expected-error @below {{expects operand b in a buffer after AssignLayouts, but it is '!tile.frag<64x64xf16, #tile.lhs<4>>'}}
  %d = tile.dot %a, %a, %s : !A, !A -> !S
  return
}
