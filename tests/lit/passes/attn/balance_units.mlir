// RUN: attn-opt %s --attn-fold-scale --canonicalize --attn-select-schedule=target=sm_90a | FileCheck %s --check-prefixes=CHECK,HOPPER
// RUN: attn-opt %s --attn-fold-scale --canonicalize --attn-select-schedule=target=sm_80 | FileCheck %s --check-prefixes=CHECK,AMPERE
// A softcap's special functions: reciprocals are shared, and exponentials computed by fma, where tensor cores would wait for them.

!q = !attn.tensor<[batch, q_len, 8, 128], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 128], f16>
!wide_q = !attn.tensor<[batch, q_len, 8, 256], f16>
!wide_kv = !attn.tensor<[batch, kv_len, 2, 256], f16>

// 256 multiply-adds a point: two special functions beside them on an H200, four on an A100.
// CHECK-LABEL: func.func @three_functions
func.func @three_functions(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // HOPPER: emulate = {{[0-9]+}} : i64
  // HOPPER: arith.divf {{.*}} fastmath<reassoc,arcp>
  // AMPERE-NOT: emulate
  // AMPERE: arith.divf {{.*}} fastmath<arcp>
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%a: vector<128xf32>, %b: vector<128xf32>):
      %s = attn.dot %a, %b : vector<128xf32>   %t = math.tanh %s : f32   attn.yield %t : f32 }
  return %out : !q
}

// CHECK-LABEL: func.func @wide_products
func.func @wide_products(%query: !wide_q, %key: !wide_kv, %value: !wide_kv) -> !wide_q attributes {attn.plan} {
  // CHECK-NOT: emulate
  // CHECK: arith.divf {{.*}} fastmath<arcp>
  %out = attn.attention query(%query : !wide_q) key(%key : !wide_kv) value(%value : !wide_kv) -> !wide_q
    score { ^point(%a: vector<256xf32>, %b: vector<256xf32>):
      %s = attn.dot %a, %b : vector<256xf32>   %t = math.tanh %s : f32   attn.yield %t : f32 }
  return %out : !wide_q
}

// One function a point, and no reciprocal: nothing to move.
// CHECK-LABEL: func.func @plain
func.func @plain(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // CHECK-NOT: emulate
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}
