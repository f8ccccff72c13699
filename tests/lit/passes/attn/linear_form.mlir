// RUN: attn-opt %s --attn-select-schedule --split-input-file --verify-diagnostics | FileCheck %s
// RUN: attn-opt %s --attn-select-schedule=schedule=chunked=0 --split-input-file 2>&1 | FileCheck %s --check-prefix=POINTS
// Which products of features come in chunks.
// POINTS-NOT: chunked
// POINTS: linear attention is computed in its quadratic form: as asked for
// POINTS-NOT: chunked

!q = !attn.tensor<[batch, q_len, 4, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// CHECK-LABEL: func.func @causal
// CHECK: chunked = 1
func.func @causal(%query: !q, %key: !kv, %value: !kv, %gain: f32) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32
  // expected-remark @below {{schedule: block_m}}
  // expected-remark @below {{schedule: linear attention in chunks of 64 keys}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {weights = #attn<weights direct>, normalize} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   %t = arith.mulf %s, %gain : f32   attn.yield %t : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   %f = arith.addi %first, %one : i32   %e = arith.addi %last, %one : i32
      attn.yield_ranges visit [%zero, %e] full [%zero, %f] }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 4, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// CHECK-LABEL: func.func @window
// CHECK-NOT: chunked
func.func @window(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %one = arith.constant 1 : i32
  // expected-remark @below {{schedule: block_m}}
  // expected-remark @below {{linear attention is computed in its quadratic form: the mask does not show the first keys, whole, to the rows of a tile}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {weights = #attn<weights direct>} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    ranges { ^tile(%first: i32, %last: i32): %e = arith.addi %last, %one : i32   attn.yield_ranges visit [%first, %e] full [] }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 4, 192], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 192], f16>
// CHECK-LABEL: func.func @long_rows
// CHECK-NOT: chunked
func.func @long_rows(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32
  // expected-remark @below {{schedule: block_m}}
  // expected-remark @below {{linear attention is computed in its quadratic form: a state of 192 by 192 numbers has no room in registers}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {weights = #attn<weights direct>} -> !q
    score { ^point(%q: vector<192xf32>, %k: vector<192xf32>): %s = attn.dot %q, %k : vector<192xf32>   attn.yield %s : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  return %out : !q
}

// -----
// A score that is more than a product is no linear attention.
!q = !attn.tensor<[batch, q_len, 4, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// CHECK-LABEL: func.func @curved
// CHECK-NOT: chunked
func.func @curved(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32
  // expected-remark @below {{schedule: block_m}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {weights = #attn<weights direct>} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   %t = arith.mulf %s, %s : f32   attn.yield %t : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  return %out : !q
}
