// RUN: attn-opt %s --attn-select-schedule="schedule=split=1" --split-input-file --verify-diagnostics | FileCheck %s
// RUN: attn-opt %s --attn-select-schedule="schedule=split=1 target=sm_90a" --split-input-file | FileCheck %s --check-prefix=SM90
// With `split` the schedule has another for few rows: 64 rows, of as many heads that share keys as divide them.

!q = !attn.tensor<[batch, q_len, 8, 128], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 128], f16>
// CHECK-LABEL: func.func @heads_share_tiles
// SM90-LABEL: func.func @heads_share_tiles
func.func @heads_share_tiles(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: schedule = {block_m = 128 : i64, block_n = 64 : i64, few_rows = {block_m = 64 : i64, block_n = 64 : i64, pack = 4 : i64, stages = 1 : i64, warps = 4 : i64}, stages = 1 : i64, warps = 4 : i64}
  // SM90: few_rows = {block_m = 64 : i64, block_n = 160 : i64, pack = 4 : i64, stages = 2 : i64, warps = 4 : i64}
  // expected-remark @below {{schedule: block_m 128, block_n 64, stages 1, warps 4: 224 of 225 registers}}
  // expected-remark @below {{schedule: a second kernel for few rows: block_m 64 of 4 heads that share them, block_n 64, stages 1, warps 4; its keys may be split among blocks, whose sums a third kernel merges}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 12, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// CHECK-LABEL: func.func @six_heads
func.func @six_heads(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: few_rows = {block_m = 64 : i64, block_n = {{[0-9]+}} : i64, pack = 2 : i64
  // expected-remark @below {{schedule: block_m}}
  // expected-remark @below {{schedule: a second kernel for few rows: block_m 64 of 2 heads that share them}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// CHECK-LABEL: func.func @mask_of_the_head
func.func @mask_of_the_head(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: few_rows = {block_m = 64 : i64, block_n = {{[0-9]+}} : i64, stages
  // expected-remark @below {{schedule: block_m}}
  // expected-remark @below {{schedule: a second kernel for few rows: block_m 64, block_n}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { ^point: %h = attn.index h   %j = attn.index kv_idx   %m = arith.cmpi sgt, %j, %h : i32   attn.yield %m : i1 }
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, splits, 8, 64], f16>
// CHECK-LABEL: func.func @name_is_taken
func.func @name_is_taken(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK-NOT: few_rows
  // CHECK: return
  // expected-remark @below {{schedule: block_m}}
  // expected-remark @below {{schedule: keys are not split among blocks: the specification has a `splits` of its own}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}
