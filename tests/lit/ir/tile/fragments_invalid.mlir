// RUN: attn-opt %s --split-input-file --verify-diagnostics
// Fragments and matrix products: one case a constraint.

// map (C1)
!S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>
func.func @map_arguments(%s: !S, %r: !R) {
  // expected-error @below {{'tile.map' op expects region arguments ('f32', 'f32'), but got ('f32')}}
  %x = tile.map %s, %r : (!S, !R) -> !S { ^element(%a: f32): tile.yield %a : f32 }
  return
}

// -----
// map (C2)
!S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>
func.func @map_shapes(%s: !S) {
  // expected-error @below {{expects inputs of the result's rows and columns, but got '!tile.frag<64x64xf32>' for '!tile.frag<64x32xf32>'}}
  %x = tile.map %s : (!S) -> !tile.frag<64x32xf32> { ^element(%a: f32): tile.yield %a : f32 }
  return
}

// -----
// map (C3)
!S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>
func.func @map_yield(%s: !S) {
  // expected-error @below {{expects its region to yield ('f16'), but got ('f32')}}
  %x = tile.map %s : (!S) -> !tile.frag<64x64xf16> { ^element(%a: f32): tile.yield %a : f32 }
  return
}

// -----
// rotate (C1)
func.func @rotate(%x: !tile.frag<64x64xf32>) {
  // expected-error @below {{'tile.rotate' op expects an even range of columns below 64, but got start 0 width 128}}
  %r = tile.rotate %x start 0 width 128 : !tile.frag<64x64xf32> { ^pair(%row: i32, %p: i32): %a = arith.sitofp %p : i32 to f32   tile.yield %a : f32 }
  return
}

// -----
// rotate (C2)
func.func @rotate(%x: !tile.frag<64x64xf32>) {
  // expected-error @below {{expects region arguments ('i32', 'i32'), but got ('i32')}}
  %r = tile.rotate %x start 0 width 64 : !tile.frag<64x64xf32> { ^pair(%p: i32): %a = arith.sitofp %p : i32 to f32   tile.yield %a : f32 }
  return
}

// -----
// rotate (C3): halves are even
func.func @rotate(%x: !tile.frag<64x64xf32>) {
  // expected-error @below {{expects a width that 4 divides unless interleaved, but got 6}}
  %r = tile.rotate %x start 0 width 6 : !tile.frag<64x64xf32> { ^pair(%row: i32, %p: i32): %a = arith.sitofp %p : i32 to f32   tile.yield %a : f32 }
  return
}

// -----
// rotate (C4)
func.func @rotate(%x: !tile.frag<64x64xf16>) {
  // expected-error @below {{expects a 2-D fragment of f32 or f64, but got '!tile.frag<64x64xf16>'}}
  %r = tile.rotate %x start 0 width 64 : !tile.frag<64x64xf16> { ^pair(%row: i32, %p: i32): %a = arith.sitofp %p : i32 to f32   tile.yield %a : f32 }
  return
}

// -----
// row (C1)
func.func @row() {
  // expected-error @below {{'tile.row' op expects to be in the region of `tile.map`}}
  %r = tile.row
  return
}

// -----
// col (C1): a value a row has no columns
!S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>
func.func @col(%r: !R) {
  %x = tile.map %r : (!R) -> !R { ^element(%a: f32):
    // expected-error @below {{'tile.col' op expects to be in the region of a `tile.map` with a 2-D result}}
    %c = tile.col   tile.yield %a : f32 }
  return
}

// -----
// at (C1)
func.func @at_indices(%b: !tile.buffer<64xf32, #tile.smem<0>>, %i: i32) {
  // expected-error @below {{'tile.at' op expects 1 indices, but got 2}}
  %x = tile.at %b[%i, %i] : !tile.buffer<64xf32, #tile.smem<0>> -> f32
  return
}

// -----
// at (C2)
func.func @at_type(%b: !tile.buffer<64xi32, #tile.smem<0>>, %i: i32) {
  // expected-error @below {{cannot read element 'i32' as 'f32'}}
  %x = tile.at %b[%i] : !tile.buffer<64xi32, #tile.smem<0>> -> f32
  return
}

// -----
// lookup (C1)
func.func @lookup(%p: i32) {
  // expected-error @below {{'tile.lookup' op expects a 1-D table of 'f32', but got 'vector<2xi32>'}}
  %f = tile.lookup dense<[1, 2]> : vector<2xi32>[%p] -> f32
  return
}

// -----
// convert (C1)
!S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>
func.func @convert(%s: !S) {
  // expected-error @below {{'tile.convert' op expects equal shapes, but got '!tile.frag<64x64xf32>' and '!tile.frag<64x32xf32>'}}
  %x = tile.convert %s : !S -> !tile.frag<64x32xf32>
  return
}

// -----
// reduce (C1)
!S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>
func.func @reduce(%s: !S, %r: !tile.frag<32xf32>) {
  // expected-error @below {{'tile.reduce' op expects a 2-D fragment and a start value a row}}
  %x = tile.reduce max %s, %r : !S, !tile.frag<32xf32>
  return
}

// -----
// softmax_step (C1)
!S = !tile.frag<64x64xf64>   !R = !tile.frag<64xf32>
func.func @softmax(%s: !S, %r: !R, %c: f64) {
  // expected-error @below {{'tile.softmax_step' op expects scores of f32 or f64 and a value a row of the same type}}
  %m, %l, %a, %p = tile.softmax_step %s, %r, %r scale %c : !S, !R, !R
  return
}

// -----
// scale (C1)
!S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>
func.func @scale(%s: !S, %r: !tile.frag<32xf32>) {
  // expected-error @below {{'tile.scale' op expects a 2-D fragment and a factor a row}}
  %x = tile.scale %s, %r : !S, !tile.frag<32xf32>
  return
}

// -----
// finish (C1)
!S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>
func.func @finish(%m: !R, %l: !tile.frag<32xf32>, %c: f32) {
  // expected-error @below {{'tile.finish' op expects 1-D fragments of one length}}
  %i, %ls = tile.finish %m, %l scale %c : !R, !tile.frag<32xf32> -> !R, !R
  return
}

// -----
// dot (C1)
!H = !tile.frag<64x64xf16>   !S = !tile.frag<64x64xf32>
func.func @dot_shapes(%a: !H, %b: !tile.frag<32x64xf16>, %c: !S) {
  // expected-error @below {{'tile.dot' op expects M x K, K x N and M x N}}
  %x = tile.dot %a, %b, %c : !H, !tile.frag<32x64xf16> -> !S
  return
}

// -----
// dot (C2)
!H = !tile.frag<64x64xf16>   !S = !tile.frag<64x64xf32>
func.func @dot_elements(%a: !H, %b: !tile.frag<64x64xbf16>, %c: !S) {
  // expected-error @below {{expects operands of one element type and an f32 accumulator (f64 of f64 operands), but got 'f16', 'bf16' and 'f32'}}
  %x = tile.dot %a, %b, %c : !H, !tile.frag<64x64xbf16> -> !S
  return
}

// -----
// dot (C3)
!A = !tile.frag<64x24xf16>   !S = !tile.frag<64x64xf32>
func.func @dot_depth(%a: !A, %b: !A, %c: !S) {
  // expected-error @below {{expects K a multiple of 16 and N of 8, but got 24 and 64}}
  %x = tile.dot %a, trans %b, %c : !A, !A -> !S
  return
}

// -----
// dot_async (C4)
!H = !tile.frag<64x64xf16>   !S = !tile.frag<64x64xf32>
func.func @dot_async(%a: !H, %b: !H, %c: !S) {
  // expected-error @below {{'tile.dot_async' op expects a result in flight of type '!tile.frag<64x64xf32>', but got '!tile.inflight<64x32xf32>'}}
  %x = tile.dot_async %a, %b, %c : !H, !H, !S -> !tile.inflight<64x32xf32>
  return
}

// -----
// wait (C1)
func.func @wait(%x: !tile.inflight<64x64xf32>) {
  // expected-error @below {{'tile.wait' op expects result '!tile.frag<64x64xf32>', but got '!tile.frag<64x32xf32>'}}
  %y = tile.wait %x : !tile.inflight<64x64xf32> -> !tile.frag<64x32xf32>
  return
}

// -----
// softmax_step (C2)
!S = !tile.frag<64x64xf32, #tile.acc<8, parts = 2>>   !R = !tile.frag<64xf32, #tile.row<8, parts = 2>>
func.func @softmax_step_in_parts(%x: !S, %m: !R, %l: !R, %c: f32) {
  // expected-error @below {{'tile.softmax_step' op expects `block_max` beside scores in parts}}
  %m1, %l1, %a, %p = tile.softmax_step %x, %m, %l scale %c : !S, !R, !R
  return
}

// -----
// softmax_step (C2)
!S = !tile.frag<64x64xf32>   !R = !tile.frag<64xf32>
func.func @softmax_step_block_max(%x: !S, %m: !R, %l: !R, %b: !tile.frag<32xf32>, %c: f32) {
  // expected-error @below {{expects `block_max` of type '!tile.frag<64xf32>', but got '!tile.frag<32xf32>'}}
  %m1, %l1, %a, %p = tile.softmax_step %x, %m, %l scale %c block_max %b : !tile.frag<32xf32> : !S, !R, !R
  return
}

// -----
// combine (C1)
!R = !tile.frag<64xf32, #tile.row<8, parts = 2>>
func.func @combine_layouts(%x: !R, %s: !tile.buffer<2x64xf32, #tile.smem<0>>) {
  // expected-error @below {{expects f32 values in layout `row_partial` and a result in `row`, but got}}
  %y = tile.combine add %x, %s : !R, !tile.buffer<2x64xf32, #tile.smem<0>> -> !R
  return
}

// -----
// combine (C2)
!L = !tile.frag<64xf32, #tile.row_partial<8, parts = 2>>   !R = !tile.frag<64xf32, #tile.row<8, parts = 2>>
func.func @combine_scratch(%x: !L, %s: !tile.buffer<64xf32, #tile.smem<0>>) {
  // expected-error @below {{expects a plain scratch of 2x64xf32, but got}}
  %y = tile.combine add %x, %s : !L, !tile.buffer<64xf32, #tile.smem<0>> -> !R
  return
}
