// RUN: attn-opt %s --attn-select-schedule="schedule=block_m=128,block_n=64,warps=4,stages=1" --split-input-file --verify-diagnostics | FileCheck %s
// Kernels list the blocks that tiles visit where ranges of keys leave blocks in which all is hidden, and not where each block
// has a visible key anyway.

!t = !attn.tensor<[batch, q_len, 4, 64], f16>
// CHECK-LABEL: func.func @long_period
func.func @long_period(%query: !t, %key: !t, %value: !t) -> !t attributes {attn.plan} {
  %period = arith.constant 128 : i32   %some = arith.constant 8 : i32
  // CHECK: schedule = {{.*}}listed = 1
  // expected-remark @below {{schedule: block_m 128}}
  // expected-remark @below {{mask: two kernels in front look at each point that is not decided by the ranges and list the blocks that a tile visits: keys show in periods that may be longer than 64, the keys of a block}}
  %out = attn.attention query(%query : !t) key(%key : !t) value(%value : !t) -> !t
    mask { %j = attn.index kv_idx   %r = arith.remsi %j, %period : i32   %v = arith.cmpi slt, %r, %some : i32   attn.yield %v : i1 }
  return %out : !t
}

// -----

!t = !attn.tensor<[batch, q_len, 4, 64], f16>
// CHECK-LABEL: func.func @short_period
func.func @short_period(%query: !t, %key: !t, %value: !t) -> !t attributes {attn.plan} {
  %period = arith.constant 64 : i32   %some = arith.constant 8 : i32
  // CHECK-NOT: listed
  // expected-remark @below {{schedule: block_m 128}}
  %out = attn.attention query(%query : !t) key(%key : !t) value(%value : !t) -> !t
    mask { %j = attn.index kv_idx   %r = arith.remsi %j, %period : i32   %v = arith.cmpi slt, %r, %some : i32   attn.yield %v : i1 }
  return %out : !t
}

// -----
// Rows of a tile that go through all remainders leave no block out.

!t = !attn.tensor<[batch, q_len, 4, 64], f16>
// CHECK-LABEL: func.func @period_of_rows
func.func @period_of_rows(%query: !t, %key: !t, %value: !t) -> !t attributes {attn.plan} {
  %period = arith.constant 128 : i32
  // CHECK-NOT: listed
  // expected-remark @below {{schedule: block_m 128}}
  %out = attn.attention query(%query : !t) key(%key : !t) value(%value : !t) -> !t
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %r = arith.remsi %j, %period : i32   %s = arith.remsi %i, %period : i32
      %v = arith.cmpi eq, %r, %s : i32   attn.yield %v : i1 }
  return %out : !t
}

// -----

!t = !attn.tensor<[batch, q_len, 4, 64], f16>   !bits = !attn.tensor<[batch, q_len, kv_len], i1>
// CHECK-LABEL: func.func @bits
func.func @bits(%query: !t, %key: !t, %value: !t, %visible: !bits) -> !t attributes {attn.plan} {
  // CHECK: listed = 1
  // expected-remark @below {{schedule: block_m 128}}
  // expected-remark @below {{mask: two kernels in front look at each point that is not decided by the ranges and list the blocks that a tile visits: what keys show depends on data}}
  %out = attn.attention query(%query : !t) key(%key : !t) value(%value : !t) -> !t
    mask { %b = attn.index b   %i = attn.index q_idx   %j = attn.index kv_idx   %v = attn.load %visible[%b, %i, %j] : !bits -> i1   attn.yield %v : i1 }
  return %out : !t
}

// -----
// What new tokens see of each other is of a few keys.

!t = !attn.tensor<[batch, q_len, 4, 64], f16>   !bits = !attn.tensor<[batch, q_len, q_len], i1>
// CHECK-LABEL: func.func @tree
func.func @tree(%query: !t, %key: !t, %value: !t, %visible: !bits) -> !t attributes {attn.plan} {
  // CHECK-NOT: listed
  // expected-remark @below {{schedule: block_m 128}}
  %out = attn.attention query(%query : !t) key(%key : !t) value(%value : !t) -> !t
    mask { %b = attn.index b   %i = attn.index q_idx   %j = attn.index kv_idx   %n = attn.size kv_len   %m = attn.size q_len
      %d = arith.subi %n, %m : i32   %k = arith.subi %j, %d : i32   %v = attn.load %visible[%b, %i, %k] : !bits -> i1   attn.yield %v : i1 }
  return %out : !t
}

// -----

!t = !attn.tensor<[batch, q_len, 4, 64], f16>
// CHECK-LABEL: func.func @causal
func.func @causal(%query: !t, %key: !t, %value: !t) -> !t attributes {attn.plan} {
  // CHECK-NOT: listed
  // expected-remark @below {{schedule: block_m 128}}
  %out = attn.attention query(%query : !t) key(%key : !t) value(%value : !t) -> !t
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %v = arith.cmpi sle, %j, %i : i32   attn.yield %v : i1 }
  return %out : !t
}
