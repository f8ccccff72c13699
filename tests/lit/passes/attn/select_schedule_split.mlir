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
  // expected-warning @below {{keys are not split among blocks, as was asked for: the specification has a `splits` of its own}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// What shares pass to each other is known without them for a sum of what each key has, not for one of such sums.
// CHECK-LABEL: func.func @sum_over_later_keys
func.func @sum_over_later_keys(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: few_rows
  // expected-remark @below {{schedule: block_m}}
  // expected-remark @below {{schedule: a second kernel for few rows}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   %t = attn.suffix_sum %s : f32   attn.yield %t : f32 }
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// CHECK-LABEL: func.func @sum_of_such_sums
func.func @sum_of_such_sums(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK-NOT: few_rows
  // CHECK: return
  // expected-remark @below {{schedule: block_m}}
  // expected-warning @below {{keys are not split among blocks, as was asked for: a sum over later keys is made of another one}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %t = attn.suffix_sum %s : f32   %d = arith.mulf %t, %s : f32   %u = attn.suffix_sum %d : f32
      attn.yield %u : f32 }
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 128, 576], bf16>
!k = !attn.tensor<[batch, kv_len, 1, 576], bf16>
!v = !attn.tensor<[batch, kv_len, 1, 512], bf16>
!o = !attn.tensor<[batch, q_len, 128, 512], bf16>
// Rows of more than 256 channels: the tiles are those of the kernel for all rows, in which heads stand side by side, too.
// CHECK-LABEL: func.func @wide_rows
// SM90-LABEL: func.func @wide_rows
func.func @wide_rows(%query: !q, %key: !k, %value: !v) -> !o attributes {attn.plan} {
  // CHECK: few_rows = {block_m = 64 : i64, {{.*}}pack = 64 : i64, parts = 2 : i64, {{.*}}warps = 8 : i64}
  // SM90: few_rows = {block_m = 64 : i64, {{.*}}pack = 64 : i64, parts = 2 : i64, {{.*}}warps = 8 : i64}
  // expected-remark @below {{schedule: block_m 64}}
  // expected-remark @below {{schedule: 64 query heads of a key head share tiles}}
  // expected-remark @below {{schedule: a second kernel for few rows: block_m 64 of 64 heads that share them}}
  // expected-remark @below {{cut by column into 2 parts}}
  %out = attn.attention query(%query : !q) key(%key : !k) value(%value : !v) -> !o
  return %out : !o
}
