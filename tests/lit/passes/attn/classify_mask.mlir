// RUN: attn-opt %s --attn-classify-mask --canonicalize --cse 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t
// The mask solved for the key: a case for each rule by which a comparison is inverted, then sets, then what stays open.
// %end is min(last, q_len - 1) + 1 here and below: the last row of a tile may lie beyond the tensor's.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>

// kv_idx ≤ q_idx: some row sees up to the last one, every row up to the first.
// CHECK-LABEL: func.func @key_at_most
// CHECK: %[[ROW:.*]] = arith.minsi %last, %{{.*}}
// CHECK: %[[NEXT:.*]] = arith.addi %[[ROW]], %c1_i32
// CHECK: %[[END:.*]] = arith.minsi %kv_len, %[[NEXT]]
// CHECK: %[[FIRST:.*]] = arith.addi %first, %c1_i32
// CHECK: %[[FULL:.*]] = arith.minsi %kv_len, %[[FIRST]]
// CHECK: attn.yield_ranges visit [%c0_i32, %[[END]]] full [%c0_i32, %[[FULL]]]
// REMARK: mask: tiles visit 1 range of keys, the mask is not evaluated on 1 range of them
func.func @key_at_most(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %v = arith.cmpi sle, %j, %i : i32   attn.yield %v : i1 }
  return %out : !q
}

// not (kv_idx > q_idx) is the same.
// CHECK-LABEL: func.func @negation
// CHECK: %[[ROW:.*]] = arith.minsi %last, %{{.*}}
// CHECK: %[[NEXT:.*]] = arith.addi %[[ROW]], %c1_i32
// CHECK: %[[END:.*]] = arith.minsi %kv_len, %[[NEXT]]
// CHECK: attn.yield_ranges visit [%c0_i32, %[[END]]] full [%c0_i32, %
func.func @negation(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %yes = arith.constant true
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %u = arith.cmpi sgt, %j, %i : i32
      %v = arith.xori %u, %yes : i1   attn.yield %v : i1 }
  return %out : !q
}

// |q_idx - kv_idx| ≤ 9: x ≤ B and -x ≤ B. Some row sees from first - 9, every row from last - 9.
// CHECK-LABEL: func.func @absolute
// CHECK: %[[LOW:.*]] = arith.addi %first, %c-9_i32
// CHECK: %[[FROM:.*]] = arith.maxsi %[[LOW]], %c0_i32
// CHECK: %[[ROW:.*]] = arith.minsi %last, %{{.*}}
// CHECK: %[[HIGH:.*]] = arith.addi %[[ROW]], %c10_i32
// CHECK: %[[TO:.*]] = arith.minsi %kv_len, %[[HIGH]]
// CHECK: attn.yield_ranges visit [%[[FROM]], %[[TO]]] full [%{{.*}}, %{{.*}}]
func.func @absolute(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %nine = arith.constant 9 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %d = arith.subi %i, %j : i32   %a = math.absi %d : i32
      %v = arith.cmpi sle, %a, %nine : i32   attn.yield %v : i1 }
  return %out : !q
}

// 3·kv_idx ≤ q_idx: kv_idx ≤ ⌊q_idx / 3⌋
// CHECK-LABEL: func.func @multiple
// CHECK: %[[ROW:.*]] = arith.minsi %last, %{{.*}}
// CHECK: %[[THIRD:.*]] = arith.divsi %[[ROW]], %c3_i32
// CHECK: arith.addi %[[THIRD]], %c1_i32
// CHECK: attn.yield_ranges visit [%c0_i32, %
func.func @multiple(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %three = arith.constant 3 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %x = arith.muli %j, %three : i32
      %v = arith.cmpi sle, %x, %i : i32   attn.yield %v : i1 }
  return %out : !q
}

// kv_idx // 32 == q_idx // 32: both inversions of the floor.
// CHECK-LABEL: func.func @floor
// CHECK: %[[CHUNK:.*]] = arith.divsi %first, %c32_i32
// CHECK: %[[FROM:.*]] = arith.muli %[[CHUNK]], %c32_i32
// CHECK: %[[ROW:.*]] = arith.minsi %last, %{{.*}}
// CHECK: %[[LAST:.*]] = arith.divsi %[[ROW]], %c32_i32
// CHECK: %[[BEGIN:.*]] = arith.muli %[[LAST]], %c32_i32
// CHECK: %[[AFTER:.*]] = arith.addi %[[BEGIN]], %c32_i32
// CHECK: %[[TO:.*]] = arith.minsi %kv_len, %[[AFTER]]
// CHECK: attn.yield_ranges visit [%[[FROM]], %[[TO]]] full [%[[BEGIN]], %
func.func @floor(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %c = arith.constant 32 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %x = arith.floordivsi %i, %c : i32   %y = arith.floordivsi %j, %c : i32
      %v = arith.cmpi eq, %x, %y : i32   attn.yield %v : i1 }
  return %out : !q
}

// kv_idx < min(%w, q_idx): and; the row's bounds are taken after the minimum.
// CHECK-LABEL: func.func @minimum
// CHECK: %[[ROW:.*]] = arith.minsi %last, %{{.*}}
// CHECK: %[[END:.*]] = arith.minsi %{{.*}}, %[[ROW]]
// CHECK: %[[FULL:.*]] = arith.minsi %{{.*}}, %first
// CHECK: attn.yield_ranges visit [%c0_i32, %[[END]]] full [%c0_i32, %[[FULL]]]
func.func @minimum(%query: !q, %key: !kv, %value: !kv, %w: i32) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %x = arith.minsi %w, %i : i32
      %v = arith.cmpi slt, %j, %x : i32   attn.yield %v : i1 }
  return %out : !q
}

// Documents: an ascending table is searched for its values at the first and the last row.
// CHECK-LABEL: func.func @documents
// CHECK: %[[FIRST:.*]] = attn.load %{{.*}}[%b, %{{.*}}]
// CHECK: %[[FROM:.*]] = attn.lower_bound %[[KV:[a-z0-9]+]][%b], %[[FIRST]]
// CHECK: %[[LAST:.*]] = attn.load
// CHECK: %[[NEXT:.*]] = arith.addi %[[LAST]], %c1_i32
// CHECK: %[[AFTER:.*]] = attn.lower_bound %[[KV]][%b], %[[NEXT]]
// CHECK: %[[TO:.*]] = arith.minsi %kv_len, %[[AFTER]]
// CHECK: attn.yield_ranges visit [%[[FROM]], %[[TO]]] full [%{{.*}}, %{{.*}}]
!qd = !attn.tensor<[batch, q_len], i32, ascending>
!kd = !attn.tensor<[batch, kv_len], i32, ascending>
func.func @documents(%query: !q, %key: !kv, %value: !kv, %qd: !qd {attn.in = ["0", "1000"]}, %kd: !kd {attn.in = ["0", "1000"]}) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %b = attn.index b   %i = attn.index q_idx   %j = attn.index kv_idx   %x = attn.load %qd[%b, %i] : !qd -> i32
      %y = attn.load %kd[%b, %j] : !kd -> i32   %v = arith.cmpi eq, %x, %y : i32   attn.yield %v : i1 }
  return %out : !q
}

// 0 ≤ q_idx - kv_idx ≤ 150, a multiple of 60: the farthest one is 120 away, and no key is seen by every row.
// CHECK-LABEL: func.func @remainder
// CHECK: %[[LOW:.*]] = arith.addi %first, %c-120_i32
// CHECK: %[[FROM:.*]] = arith.maxsi %[[LOW]], %c0_i32
// CHECK: attn.yield_ranges visit [%[[FROM]], %{{.*}}] full []
// REMARK: mask: tiles visit 1 range of keys, each needs the mask
func.func @remainder(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %reach = arith.constant 150 : i32   %step = arith.constant 60 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %d = arith.subi %i, %j : i32
      %near = arith.cmpi sle, %d, %reach : i32   %past = arith.cmpi sge, %d, %zero : i32   %both = arith.andi %near, %past : i1
      %q = arith.floordivsi %d, %step : i32   %m = arith.muli %q, %step : i32   %r = arith.subi %d, %m : i32
      %on = arith.cmpi eq, %r, %zero : i32   %v = arith.andi %both, %on : i1   attn.yield %v : i1 }
  return %out : !q
}

// Sinks or a window: a union of two ranges.
// CHECK-LABEL: func.func @union
// CHECK: attn.yield_ranges visit [%c0_i32, %{{.*}}, %{{.*}}, %{{.*}}] full [%c0_i32, %{{.*}}, %{{.*}}, %{{.*}}]
// REMARK: mask: tiles visit 2 ranges of keys, the mask is not evaluated on 2 ranges of them
func.func @union(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %four = arith.constant 4 : i32   %reach = arith.constant 99 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %d = arith.subi %i, %j : i32   %a = math.absi %d : i32
      %sink = arith.cmpi slt, %j, %four : i32   %near = arith.cmpi sle, %a, %reach : i32   %v = arith.ori %sink, %near : i1   attn.yield %v : i1 }
  return %out : !q
}

// A condition without the key: all keys or none.
// CHECK-LABEL: func.func @key_free
// CHECK: arith.cmpi
// CHECK: %[[END:.*]] = arith.select %{{.*}}, %kv_len, %c0_i32
// CHECK: attn.yield_ranges visit [%c0_i32, %[[END]]] full [%c0_i32, %
func.func @key_free(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %seven = arith.constant 7 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %v = arith.cmpi sge, %i, %seven : i32   attn.yield %v : i1 }
  return %out : !q
}

// if q_idx ≥ w then q_idx + 1 else w is the greater of both.
// CHECK-LABEL: func.func @choice
// CHECK: ranges {
// CHECK: arith.maxsi
// CHECK-NOT: arith.select
// CHECK: attn.yield_ranges
func.func @choice(%query: !q, %key: !kv, %value: !kv, %w: i32) -> !q attributes {attn.plan} {
  %one = arith.constant 1 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %c = arith.cmpi sge, %i, %w : i32   %n = arith.addi %i, %one : i32
      %x = arith.select %c, %n, %w : i32   %v = arith.cmpi slt, %j, %x : i32   attn.yield %v : i1 }
  return %out : !q
}

// Bits are data: all keys up to the diagonal are looked at.
// CHECK-LABEL: func.func @open
// CHECK: attn.yield_ranges visit [%c0_i32, %{{.*}}] full []
// REMARK: mask: tiles visit 1 range of keys, each needs the mask
// REMARK: mask: `seen` (line [[# @LINE + 7]], column {{[0-9]+}}) is looked at for each row and key, not for a tile
!bits = !attn.tensor<[batch, q_len, kv_len], i1>
func.func @open(%query: !q, %key: !kv, %value: !kv, %bits: !bits {attn.name = "seen"}) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask {
      %b = attn.index b   %i = attn.index q_idx   %j = attn.index kv_idx
      %past = arith.cmpi sle, %j, %i : i32
      %bit = attn.load %bits[%b, %i, %j] : !bits -> i1
      %v = arith.andi %past, %bit : i1   attn.yield %v : i1 }
  return %out : !q
}

// Without a mask nothing is masked.
// CHECK-LABEL: func.func @none
// CHECK: attn.yield_ranges visit [%c0_i32, %kv_len] full [%c0_i32, %kv_len]
// REMARK: mask: every key is visited, none needs the mask
func.func @none(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// Ranges that are there already stay as they are.
// CHECK-LABEL: func.func @given
// CHECK: ^tile(%first: i32, %last: i32):
// CHECK-NEXT: attn.yield_ranges visit [%first, %last] full []
func.func @given(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    ranges { ^tile(%first: i32, %last: i32): attn.yield_ranges visit [%first, %last] full [] }
  return %out : !q
}
