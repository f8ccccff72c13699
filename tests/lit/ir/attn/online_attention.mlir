// RUN: attn-opt %s | attn-opt | FileCheck %s
// The online form: a state, the step with its ranges and schedule, the outputs.
// CHECK-DAG: ![[ST:state[0-9_]*]] = !attn.state<[batch, 8, q_len], 64>
// CHECK-DAG: ![[PARTS:state[0-9_]*]] = !attn.state<[4, batch, 8, q_len], 64>
// CHECK-DAG: ![[BINS:state[0-9_]*]] = !attn.state<[batch, 8, q_len], 64, bins [33, 7]>
// CHECK-DAG: ![[Q:tensor[0-9_]*]] = !attn.tensor<[batch, q_len, 8, 64], f16>
// CHECK-DAG: ![[LSE:tensor[0-9_]*]] = !attn.tensor<[batch, 8, q_len], f32>

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
!lse = !attn.tensor<[batch, 8, q_len], f32>
!st = !attn.state<[batch, 8, q_len], 64>

// CHECK-LABEL: func.func @causal
func.func @causal(%query: !q, %key: !kv, %value: !kv) -> (!q, !lse) attributes {attn.plan} {
  %c = arith.constant 0.180336878 : f32   %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32
  // CHECK: %[[S0:.*]] = attn.identity : ![[ST]]
  // CHECK: %[[S1:.*]] = attn.online_attention %[[S0]] : ![[ST]] query(
  // CHECK-SAME: {schedule = {block_m = 128 : i64, block_n = 128 : i64, overlap = "pv", stages = 2 : i64, turns = 1 : i64, warps = 8 : i64}} -> ![[ST]]
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 128, block_n = 128, stages = 2, warps = 8, overlap = "pv", turns = 1}} -> !st
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %t = arith.mulf %s, %c : f32   attn.yield %t : f32 }
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %n = attn.size kv_len   %m = attn.size q_len   %d = arith.subi %n, %m : i32
      %pos = arith.addi %i, %d : i32   %v = arith.cmpi sle, %j, %pos : i32   attn.yield %v : i1 }
    // CHECK: ranges {
    // CHECK-NEXT: ^tile(%first: i32, %last: i32):
    // CHECK: attn.yield_ranges visit [%{{.*}}, %{{.*}}] full [%{{.*}}, %{{.*}}]
    ranges { ^tile(%first: i32, %last: i32):
      %n = attn.size kv_len   %m = attn.size q_len   %d = arith.subi %n, %m : i32   %a = arith.addi %last, %d : i32    %b = arith.addi %a, %one : i32   %end = arith.minsi %b, %n : i32
      %e = arith.addi %first, %d : i32   %f = arith.addi %e, %one : i32   %full = arith.minsi %f, %n : i32   attn.yield_ranges visit [%zero, %end] full [%zero, %full] }
  // CHECK: %{{.*}}, %{{.*}} = attn.finalize %[[S1]] : ![[ST]] -> ![[Q]], ![[LSE]]
  %out, %lse = attn.finalize %s1 : !st -> !q, !lse   return %out, %lse : !q, !lse }

// A split, its merge, and a state with bins.
// CHECK-LABEL: func.func @split
func.func @split(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %s0 = attn.identity : !st
  // CHECK: {split = 4 : i64} -> ![[PARTS]]
  %parts = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv) {split = 4 : i64} -> !attn.state<[4, batch, 8, q_len], 64>
  // CHECK: attn.merge %{{.*}} : ![[PARTS]] -> ![[ST]]
  %whole = attn.merge %parts : !attn.state<[4, batch, 8, q_len], 64> -> !st
  // CHECK: attn.finalize %{{.*}} {undivided} : ![[ST]] -> ![[Q]]
  // CHECK-NEXT: out {
  %out = attn.finalize %whole {undivided} : !st -> !q
    out { ^row(%x: vector<64xf32>): attn.yield %x : vector<64xf32> }
  return %out : !q
}

// CHECK-LABEL: func.func private @bins(
// CHECK-SAME: ![[BINS]])
func.func private @bins(!attn.state<[batch, 8, q_len], 64, bins [33, 7]>)
