// RUN: attn-opt %s --attn-select-schedule --split-input-file --verify-diagnostics | FileCheck %s
// By the table, by the larger of both head dimensions; a schedule that is there stays if it fits.

!q = !attn.tensor<[batch, q_len, 8, 128], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 128], f16>
// CHECK-LABEL: func.func @by_table
func.func @by_table(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: schedule = {block_m = 128 : i64, block_n = 64 : i64, stages = 1 : i64, warps = 4 : i64}
  // expected-remark @below {{schedule: block_m 128, block_n 64, stages 1, warps 4: 224 of 225 registers}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 64], bf16>
!k = !attn.tensor<[batch, kv_len, 8, 64], bf16>
!v = !attn.tensor<[batch, kv_len, 8, 256], bf16>
!o = !attn.tensor<[batch, q_len, 8, 256], bf16>
// CHECK-LABEL: func.func @long_value
func.func @long_value(%query: !q, %key: !k, %value: !v) -> !o attributes {attn.plan} {
  // CHECK: warps = 8
  // expected-remark @below {{schedule: block_m 128, block_n 64, stages 1, warps 8}}
  %out = attn.attention query(%query : !q) key(%key : !k) value(%value : !v) -> !o
  return %out : !o
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// CHECK-LABEL: func.func @given
func.func @given(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: schedule = {block_m = 64 : i64, block_n = 32 : i64, stages = 2 : i64, warps = 4 : i64}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {schedule = {block_m = 64, block_n = 32, stages = 2, warps = 4}} -> !q
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @rows_of_a_warp(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{schedule: `block_m` is 96, but must be a multiple of 64, 16 rows a warp}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {schedule = {block_m = 96, block_n = 64, stages = 1, warps = 4}} -> !q
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 256], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 256], f16>
func.func @shared_memory(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{schedule: query, key and value tiles take 196608 bytes of shared memory, but sm_80 has 166912}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {schedule = {block_m = 128, block_n = 64, stages = 2, warps = 8}} -> !q
  return %out : !q
}
