// RUN: attn-opt %s --attn-select-schedule="schedule=split=1" --split-input-file | FileCheck %s
// Where keys may be split, the schedules say how many keys the mask lets a tile see at most, by what is known at launch.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// 128 rows for all, 16 queries of 4 heads for few: so many rows, and so many keys before the first.
// CHECK-LABEL: func.func @window_given_at_launch
func.func @window_given_at_launch(%query: !q, %key: !kv, %value: !kv, %width: i32 {attn.name = "width"}) -> !q attributes {attn.plan} {
  // CHECK: few_rows = {{{.*}}pack = 4 : i64, {{.*}}visible = "min(kv_len, width + 15)"{{.*}}}, {{.*}}visible = "min(kv_len, width + 127)"
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { ^point:
      %i = attn.index q_idx   %j = attn.index kv_idx   %m = attn.size kv_len   %n = attn.size q_len
      %behind = arith.subi %m, %n : i32   %p = arith.addi %i, %behind : i32
      %causal = arith.cmpi sle, %j, %p : i32
      %d = arith.subi %p, %j : i32   %near = arith.cmpi slt, %d, %width : i32
      %v = arith.andi %causal, %near : i1   attn.yield %v : i1 }
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 2, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// The row cancels in the quotients: 512 keys, up to 511 before the first row, and a key for each row behind it.
// CHECK-LABEL: func.func @chunks
func.func @chunks(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: few_rows = {{{.*}}visible = "min(kv_len, 1086)"
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { ^point:
      %i = attn.index q_idx   %j = attn.index kv_idx   %c = arith.constant 512 : i32
      %a = arith.floordivsi %i, %c : i32   %b = arith.floordivsi %j, %c : i32
      %v = arith.cmpi eq, %a, %b : i32   attn.yield %v : i1 }
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 2, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// Positions from the start: no row sees more keys than there are rows, and as many as its tile has behind it.
// CHECK-LABEL: func.func @causal_from_the_start
func.func @causal_from_the_start(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: few_rows = {{{.*}}visible = "min(kv_len, q_len + 63)"
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { ^point: %i = attn.index q_idx   %j = attn.index kv_idx   %v = arith.cmpi sle, %j, %i : i32   attn.yield %v : i1 }
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 2, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// The last tile sees every key.
// CHECK-LABEL: func.func @causal
func.func @causal(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK: few_rows
  // CHECK-NOT: visible =
  // CHECK: return
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { ^point:
      %i = attn.index q_idx   %j = attn.index kv_idx   %m = attn.size kv_len   %n = attn.size q_len
      %behind = arith.subi %m, %n : i32   %p = arith.addi %i, %behind : i32
      %v = arith.cmpi sle, %j, %p : i32   attn.yield %v : i1 }
  return %out : !q
}

// -----

!q = !attn.tensor<[batch, q_len, 2, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
!d = !attn.tensor<[batch, kv_len], i32, ascending>
// A document may be all there is.
// CHECK-LABEL: func.func @documents
func.func @documents(%query: !q, %key: !kv, %value: !kv, %docs: !d) -> !q attributes {attn.plan} {
  // CHECK: few_rows
  // CHECK-NOT: visible =
  // CHECK: return
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { ^point:
      %b = attn.index b   %i = attn.index q_idx   %j = attn.index kv_idx
      %mine = attn.load %docs[%b, %i] : !d -> i32   %its = attn.load %docs[%b, %j] : !d -> i32
      %v = arith.cmpi eq, %mine, %its : i32   attn.yield %v : i1 }
  return %out : !q
}
