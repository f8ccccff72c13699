// RUN: attn-opt %s --split-input-file --verify-diagnostics
// Operations with a row a diagonal: one case a constraint.

// load (C6)
!rel = !tile.tensor<[4096, 64], f16>
func.func @chosen_rows(%rel: !rel, %i: i32) {
  // expected-error @below {{expects region arguments ('i32'), but got ('i32', 'i32')}}
  %d = tile.load %rel[%i] along 0 : !rel -> !tile.frag<192x64xf16> rows { ^row(%x: i32, %c: i32): tile.yield %x : i32 }
  return
}

// -----
// fill (C6)
!rel = !tile.tensor<[4096, 64], f16>   !ring = !tile.ring<1, 192x64xf16, #tile.smem<128>>
func.func @chosen_rows_with_limit(%rel: !rel, %i: i32) {
  %r = tile.ring : !ring
  // expected-error @below {{expects a 2-D value without `limit` and `pack` beside region `rows`}}
  tile.fill %r[%i] from %rel[%i] along 0 limit %i : !ring, !rel rows { ^row(%x: i32): tile.yield %x : i32 }
  return
}

// -----
// tabulate (C1)
func.func @table_of_one_dimension() {
  // expected-error @below {{expects two dimensions and region arguments (i32, i32), but got '!tile.frag<64xf16>'}}
  %t = tile.tabulate { ^at(%r: i32, %c: i32): %v = arith.sitofp %r : i32 to f32   tile.yield %v : f32 } : !tile.frag<64xf16>
  return
}

// -----
// tabulate (C2)
func.func @table_of_integers() {
  // expected-error @below {{expects its region to yield 'f32'}}
  %t = tile.tabulate { ^at(%r: i32, %c: i32): tile.yield %r : i32 } : !tile.frag<64x64xf16>
  return
}

// -----
// diagonal_dot (C1)
func.func @too_few_diagonals(%q: !tile.frag<128x64xf16>, %d: !tile.frag<128x64xf16>) {
  // expected-error @below {{expects R x K, (R + C) x K and R x C, but got '!tile.frag<128x64xf16>', '!tile.frag<128x64xf16>' and '!tile.frag<128x64xf32>'}}
  %x = tile.diagonal_dot %q, %d : !tile.frag<128x64xf16>, !tile.frag<128x64xf16> -> !tile.frag<128x64xf32>
  return
}

// -----
// diagonal_dot (C2)
func.func @two_types(%q: !tile.frag<128x64xf16>, %d: !tile.frag<192x64xbf16>) {
  // expected-error @below {{expects operands of one element type and an f32 result (f64 of f64 operands)}}
  %x = tile.diagonal_dot %q, %d : !tile.frag<128x64xf16>, !tile.frag<192x64xbf16> -> !tile.frag<128x64xf32>
  return
}

// -----
// diagonal_dot (C3)
func.func @half_steps(%q: !tile.frag<128x24xf16>, %d: !tile.frag<192x24xf16>) {
  // expected-error @below {{expects R, C and K multiples of 16, but got 128, 64 and 24}}
  %x = tile.diagonal_dot %q, %d : !tile.frag<128x24xf16>, !tile.frag<192x24xf16> -> !tile.frag<128x64xf32>
  return
}

// -----
// diagonal_dot (C4)
func.func @sum_of_another_tile(%q: !tile.frag<128x64xf16>, %d: !tile.frag<192x64xf16>, %s: !tile.frag<128x32xf32>) {
  // expected-error @below {{expects '!tile.frag<128x64xf32>' to add to, but got '!tile.frag<128x32xf32>'}}
  %x = tile.diagonal_dot %q, %d plus %s : !tile.frag<128x64xf16>, !tile.frag<192x64xf16>, !tile.frag<128x32xf32> -> !tile.frag<128x64xf32>
  return
}

// -----
// diagonal_dot (C1)
func.func @row_of_another_length(%q: !tile.frag<128x64xf16>, %d: !tile.frag<192x64xf16>, %far: !tile.frag<16x32xf16>, %clipped: i1) {
  // expected-error @below {{expects 16 x 64 rows that are alike, of the diagonals' type, but got '!tile.frag<16x32xf16>'}}
  %x = tile.diagonal_dot %q, %d or %far if %clipped : !tile.frag<128x64xf16>, !tile.frag<192x64xf16> or !tile.frag<16x32xf16> -> !tile.frag<128x64xf32>
  return
}

// -----
// diagonal_dot (C5)
func.func @row_without_condition(%q: !tile.frag<128x64xf16>, %d: !tile.frag<192x64xf16>, %far: !tile.frag<16x64xf16>) {
  // expected-error @below {{expects `row` where it has `alike`}}
  %x = "tile.diagonal_dot"(%q, %d, %far) {operandSegmentSizes = array<i32: 1, 1, 0, 1, 0>} : (!tile.frag<128x64xf16>, !tile.frag<192x64xf16>, !tile.frag<16x64xf16>) -> !tile.frag<128x64xf32>
  return
}

// -----
// diagonal_sum (C1)
func.func @too_few_columns(%p: !tile.frag<128x64xf16>, %d: !tile.frag<192x32xf16>, %o: !tile.frag<128x64xf32>) {
  // expected-error @below {{expects R x C, (R + C) x N and R x N}}
  %x = tile.diagonal_sum %p, %d, %o : !tile.frag<128x64xf16>, !tile.frag<192x32xf16> -> !tile.frag<128x64xf32>
  return
}

// -----
// diagonal_sum (C2)
func.func @weights_of_another_type(%p: !tile.frag<128x64xbf16>, %d: !tile.frag<192x64xf16>, %o: !tile.frag<128x64xf32>) {
  // expected-error @below {{expects weights and diagonals of one element type and an f32 accumulator}}
  %x = tile.diagonal_sum %p, %d, %o : !tile.frag<128x64xbf16>, !tile.frag<192x64xf16> -> !tile.frag<128x64xf32>
  return
}

// -----
// diagonal_sum (C3)
func.func @columns_by_eight(%p: !tile.frag<128x8xf16>, %d: !tile.frag<136x64xf16>, %o: !tile.frag<128x64xf32>) {
  // expected-error @below {{expects R and C multiples of 16 and N of 8, but got 128, 8 and 64}}
  %x = tile.diagonal_sum %p, %d, %o : !tile.frag<128x8xf16>, !tile.frag<136x64xf16> -> !tile.frag<128x64xf32>
  return
}

// -----
// diagonal_sum (C1)
func.func @row_of_one(%p: !tile.frag<128x64xf16>, %d: !tile.frag<192x64xf16>, %far: !tile.frag<1x64xf16>, %o: !tile.frag<128x64xf32>, %clipped: i1) {
  // expected-error @below {{expects 16 x 64 rows that are alike, of the diagonals' type, but got '!tile.frag<1x64xf16>'}}
  %x = tile.diagonal_sum %p, %d or %far if %clipped, %o : !tile.frag<128x64xf16>, !tile.frag<192x64xf16> or !tile.frag<1x64xf16> -> !tile.frag<128x64xf32>
  return
}

// -----
// diagonal_sum (C4)
func.func @condition_without_row(%p: !tile.frag<128x64xf16>, %d: !tile.frag<192x64xf16>, %o: !tile.frag<128x64xf32>, %clipped: i1) {
  // expected-error @below {{expects `row` where it has `alike`}}
  %x = "tile.diagonal_sum"(%p, %d, %o, %clipped) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 1>} : (!tile.frag<128x64xf16>, !tile.frag<192x64xf16>, !tile.frag<128x64xf32>, i1) -> !tile.frag<128x64xf32>
  return
}
