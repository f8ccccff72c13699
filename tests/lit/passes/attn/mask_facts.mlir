// RUN: attn-opt %s --attn-classify-mask --canonicalize --cse 2>/dev/null | FileCheck %s
// Comparisons that limit keys from below and from above: which is which, and from where on, or up to where, all rows agree.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
!docs = !attn.tensor<[batch, kv_len], i32>

// kv_idx ≤ q_idx and q_idx - kv_idx ≤ 99.
// CHECK-LABEL: func.func @window
// CHECK-DAG: arith.cmpi sle, %kv_idx, %q_idx {attn.fact = 1 : i32} : i32
// CHECK-DAG: arith.cmpi sle, %{{.*}}, %c99_i32 {attn.fact = 0 : i32} : i32
// CHECK-DAG: %[[LO:.*]] = arith.maxsi %{{.*}}, %c0_i32
// CHECK-DAG: %[[HI:.*]] = arith.minsi %kv_len, %{{.*}}
// CHECK: attn.yield_ranges visit [%{{.*}}, %{{.*}}] full [%[[FULL:.*]], %[[END:.*]]] facts [%[[FULL]], %kv_len, %c0_i32, %[[END]]]
func.func @window(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %width = arith.constant 99 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %u = arith.cmpi sle, %j, %i : i32
      %d = arith.subi %i, %j : i32   %v = arith.cmpi sle, %d, %width : i32   %m = arith.andi %u, %v : i1   attn.yield %m : i1 }
  return %out : !q
}

// Its width may be given at launch.
// CHECK-LABEL: func.func @window_at_launch
// CHECK-DAG: arith.cmpi sle, %kv_idx, %q_idx {attn.fact = 1 : i32} : i32
// CHECK-DAG: arith.cmpi slt, %{{.*}}, %{{.*}} {attn.fact = 0 : i32} : i32
// CHECK: attn.yield_ranges {{.*}} facts [
func.func @window_at_launch(%query: !q, %key: !kv, %value: !kv, %width: i32 {attn.name = "width", attn.in = ["1", "65536"]}) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %u = arith.cmpi sle, %j, %i : i32
      %d = arith.subi %i, %j : i32   %v = arith.cmpi slt, %d, %width : i32   %m = arith.andi %u, %v : i1   attn.yield %m : i1 }
  return %out : !q
}

// One side alone needs no facts: where it holds the block is full.
// CHECK-LABEL: func.func @causal
// CHECK-NOT: attn.fact
// CHECK-NOT: facts
func.func @causal(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %u = arith.cmpi sle, %j, %i : i32   attn.yield %u : i1 }
  return %out : !q
}

// A condition that is looked at for each key is left with the others.
// CHECK-LABEL: func.func @window_of_documents
// CHECK-NOT: attn.fact
// CHECK-NOT: facts
func.func @window_of_documents(%query: !q, %key: !kv, %value: !kv, %doc: !docs {attn.name = "doc"}) -> !q attributes {attn.plan} {
  %width = arith.constant 99 : i32   %zero = arith.constant 0 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %u = arith.cmpi sle, %j, %i : i32
      %d = arith.subi %i, %j : i32   %v = arith.cmpi sle, %d, %width : i32   %m = arith.andi %u, %v : i1
      %b = attn.index b   %x = attn.load %doc[%b, %j] : !docs -> i32   %w = arith.cmpi sgt, %x, %zero : i32
      %n = arith.andi %m, %w : i1   attn.yield %n : i1 }
  return %out : !q
}

// Two ranges of keys: no side.
// CHECK-LABEL: func.func @sinks_or_window
// CHECK-NOT: attn.fact
// CHECK-NOT: facts
func.func @sinks_or_window(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %width = arith.constant 99 : i32   %four = arith.constant 4 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %u = arith.cmpi sle, %j, %i : i32
      %d = arith.subi %i, %j : i32   %v = arith.cmpi sle, %d, %width : i32   %w = arith.cmpi slt, %j, %four : i32
      %o = arith.ori %v, %w : i1   %m = arith.andi %u, %o : i1   attn.yield %m : i1 }
  return %out : !q
}
