// RUN: attn-opt %s --attn-pipeline 2>/dev/null | FileCheck %s
// CHECK-DAG: ![[ST:state[0-9_]*]] = !attn.state<[batch, 8, q_len], 64>
// CHECK-DAG: ![[Q:tensor[0-9_]*]] = !attn.tensor<[batch, q_len, 8, 64], f16>
// CHECK-DAG: ![[L:tensor[0-9_]*]] = !attn.tensor<[batch, 8, q_len], f32>
// The whole way from the specification's form to the online form: causal, 8 query heads on 2, head_dim 64.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
!lse = !attn.tensor<[batch, 8, q_len], f32>

// CHECK-LABEL: func.func @causal
func.func @causal(%query: !q, %key: !kv, %value: !kv) -> (!q, !lse) attributes {attn.plan} {
  %scale = arith.constant 0.125 : f32
  // CHECK-DAG: %[[C:.*]] = arith.constant 0.180336878 : f32
  // CHECK-DAG: %[[ZERO:.*]] = arith.constant 0 : i32
  // CHECK-DAG: %[[ONE:.*]] = arith.constant 1 : i32
  // CHECK: %[[S0:.*]] = attn.identity : ![[ST]]
  // CHECK-NEXT: %[[S1:.*]] = attn.online_attention %[[S0]] : {{.*}}schedule = {block_m = {{[0-9]+}} : i64, block_n = {{[0-9]+}} : i64, stages = {{[0-9]+}} : i64, warps = {{[0-9]+}} : i64}{{.*}} -> ![[ST]]
  %out, %lse = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q, !lse
    // CHECK: arith.mulf %{{.*}}, %[[C]] : f32
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %s = attn.dot %q, %k : vector<64xf32>   %t = arith.mulf %s, %scale : f32   attn.yield %t : f32 }
    // CHECK: mask {
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %n = attn.size kv_len   %m = attn.size q_len   %d = arith.subi %n, %m : i32
      %pos = arith.addi %i, %d : i32   %v = arith.cmpi sle, %j, %pos : i32   attn.yield %v : i1 }
    // CHECK: ranges {
    // CHECK-NEXT: ^tile(%[[FIRST:.*]]: i32, %[[LAST:.*]]: i32):
    // CHECK-DAG: %[[N:.*]] = attn.size kv_len
    // CHECK-DAG: %[[M:.*]] = attn.size q_len
    // A tile's last row may lie beyond the tensor's; its first never does, so neither end needs a bound by kv_len.
    // CHECK: %[[ROW:.*]] = arith.minsi %[[LAST]], %{{.*}}
    // CHECK: arith.addi %[[N]], %[[ROW]]
    // CHECK: %[[END:.*]] = arith.addi %{{.*}}, %[[ONE]]
    // CHECK: arith.addi %[[N]], %[[FIRST]]
    // CHECK: %[[FULL:.*]] = arith.addi %{{.*}}, %[[ONE]]
    // CHECK-NEXT: attn.yield_ranges visit [%[[ZERO]], %[[END]]] full [%[[ZERO]], %[[FULL]]]
  // CHECK: %[[OUT:.*]], %[[LSE:.*]] = attn.finalize %[[S1]] : ![[ST]] -> ![[Q]], ![[L]]
  // CHECK-NEXT: return %[[OUT]], %[[LSE]]
  return %out, %lse : !q, !lse
}
