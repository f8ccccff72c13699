// RUN: attn-opt %s --attn-check-support --split-input-file --verify-diagnostics
// What the back end cannot compile is refused before anything is lowered, at the operation that asks for it.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @supported(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %v = arith.cmpi sle, %j, %i : i32   attn.yield %v : i1 }
  return %out : !q
}

// -----
!q = !attn.tensor<[rows, 8, 64], f16>   !kv = !attn.tensor<[keys, 2, 64], f16>   !cu = !attn.tensor<["batch + 1"], i32>
func.func @ragged(%query: !q, %key: !kv, %value: !kv, %cu: !cu) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) ragged(%cu, %cu : !cu, !cu) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[rows, 8, 64], f16>   !kv = !attn.tensor<[pages, 48, 2, 64], f16>   !cu = !attn.tensor<["batch + 1"], i32>
!pages = !attn.tensor<[batch, columns], i32>   !lens = !attn.tensor<[batch], i32>
func.func @pages(%query: !q, %key: !kv, %value: !kv, %cu: !cu, %pages: !pages, %lens: !lens) -> !q attributes {attn.plan} {
  // expected-error @below {{pages of 48 rows are not supported on sm_80 yet: a power of two is}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) paged(%cu, %pages, %lens : !cu, !pages, !lens)
    {log2, page_size = 48} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f32>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f32>
func.func @single(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f64>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f64>
func.func @double(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf64>, %k: vector<64xf64>): %s = attn.dot %q, %k : vector<64xf64>   attn.yield %s : f64 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 640], f64>   !kv = !attn.tensor<[batch, kv_len, 2, 640], f64>
func.func @long_double_rows(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{`head_dim` is 640, but sm_80 takes multiples of 8 up to 576}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<640xf64>, %k: vector<640xf64>): %s = attn.dot %q, %k : vector<640xf64>   attn.yield %s : f64 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f64>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f64>   !v = !attn.tensor<[batch, kv_len, 2, 64], f32>
!out = !attn.tensor<[batch, q_len, 8, 64], f32>
func.func @single_values_beside_double(%query: !q, %key: !kv, %value: !v) -> !out attributes {attn.plan} {
  // expected-error @below {{`value` of `f32` beside query of `f64` is not supported on sm_80 yet}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !v) {log2} -> !out
    score { ^point(%q: vector<64xf64>, %k: vector<64xf64>): %s = attn.dot %q, %k : vector<64xf64>   attn.yield %s : f64 }
  return %out : !out
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !out = !attn.tensor<[batch, q_len, 8, 64], f64>
func.func @double_result_of_short(%query: !q, %key: !kv, %value: !kv) -> !out attributes {attn.plan} {
  // expected-error @below {{`out` of `f64` beside query of `f16` is not supported on sm_80 yet}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !out
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
  return %out : !out
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f64>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f64>   !rel = !attn.tensor<[800, 64], f64>
func.func @double_rows_of_the_distance(%query: !q, %key: !kv, %value: !kv, %rel: !rel) -> !q attributes {attn.plan} {
  %middle = arith.constant 400 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf64>, %k: vector<64xf64>):
      %i = attn.index q_idx   %j = attn.index kv_idx   %d = arith.subi %j, %i : i32   %r = arith.addi %d, %middle : i32
      %row = attn.load %rel[%r] : !rel -> vector<64xf64>
      %s = attn.dot %q, %row : vector<64xf64>   attn.yield %s : f64 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !lse = !attn.tensor<[batch, 8, q_len], f32>
func.func @direct(%query: !q, %key: !kv, %value: !kv) -> (!q, !lse) attributes {attn.plan} {
  // expected-error @below {{`lse` is of a softmax, but the weights are none}}
  %out, %lse = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {weights = #attn<weights direct>} -> !q, !lse
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
  return %out, %lse : !q, !lse
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @random_mask(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %seed = arith.constant 7 : i32   %half = arith.constant 0.5 : f32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    // expected-error @below {{`dropout` in `mask` is not supported on sm_80 yet}}
    mask { %u = attn.random %seed, %seed   %v = arith.cmpf oge, %u, %half : f32   attn.yield %v : i1 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @suffix_sum(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>
      %t = attn.suffix_sum %s : f32   attn.yield %t : f32 }
  return %out : !q
}

// -----
// Products with 128 rows are kept for a tile of queries; more are not, where scores choose among them.
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !t = !attn.tensor<[129, 64], f16>
func.func @many_rows(%query: !q, %key: !kv, %value: !kv, %table: !t) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>
      %i = arith.fptosi %s : f32 to i32   %row = attn.load %table[%i] : !t -> vector<64xf32>
      // expected-error @below {{`dot` with a row that scores choose from more than 128 rows, or from a number not known when compiling, is not supported on sm_80 yet}}
      %t = attn.dot %q, %row : vector<64xf32>   attn.yield %t : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !t = !attn.tensor<[16, 64], f16>
func.func @row_of_key(%query: !q, %key: !kv, %value: !kv, %table: !t) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>
      %i = arith.fptosi %s : f32 to i32   %row = attn.load %table[%i] : !t -> vector<64xf32>
      // expected-error @below {{`dot` of a key with a row of a table that scores choose is not supported on sm_80 yet}}
      %t = attn.dot %k, %row : vector<64xf32>   attn.yield %t : f32 }
  return %out : !q
}
