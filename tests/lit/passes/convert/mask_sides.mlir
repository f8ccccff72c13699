// RUN: attn-opt %s --attn-to-tile --canonicalize --cse | FileCheck %s
// A block at one edge of a window is compared with that edge alone.
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 8, 64], f16>   !st = !attn.state<[batch, 8, q_len], 64>

// CHECK-LABEL: func.func @window
// CHECK: scf.for
// CHECK: %[[S:.*]] = tile.dot {{.*}}trans
// CHECK: %[[ABOVE:.*]] = arith.cmpi slt, %{{.*}}
// CHECK: %[[BELOW:.*]] = arith.cmpi sge, %{{.*}}
// CHECK: scf.if
// CHECK-NEXT: scf.yield %[[S]]
// CHECK-NEXT: } else {
// No row's window begins behind the block's first key: its end is what is compared.
// CHECK-NEXT: scf.if %[[BELOW]]
// CHECK: tile.map
// CHECK: arith.cmpi sle
// CHECK-NOT: arith.cmpi sle
// CHECK: } else {
// CHECK-NEXT: scf.if %[[ABOVE]]
// CHECK: tile.map
// CHECK: arith.cmpi sle
// CHECK-NOT: arith.cmpi sle
// CHECK: } else {
// CHECK: tile.map
// CHECK-COUNT-2: arith.cmpi sle
// CHECK: tile.softmax_step
func.func @window(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32   %width = arith.constant 99 : i32   %scale = arith.constant 0.125 : f32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 64, stages = 1, warps = 4}} -> !st
    score { ^point(%a: vector<64xf32>, %b: vector<64xf32>): %s = attn.dot %a, %b : vector<64xf32>
      %t = arith.mulf %s, %scale : f32   attn.yield %t : f32 }
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %u = arith.cmpi sle, %j, %i {attn.fact = 1 : i32} : i32
      %d = arith.subi %i, %j : i32   %v = arith.cmpi sle, %d, %width {attn.fact = 0 : i32} : i32   %m = arith.andi %u, %v : i1   attn.yield %m : i1 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   %end = arith.addi %last, %one : i32
      %low = arith.subi %last, %width : i32   %from = arith.maxsi %low, %zero : i32   %to = arith.addi %first, %one : i32
      %begin = arith.subi %first, %width : i32   %least = arith.maxsi %begin, %zero : i32
      attn.yield_ranges visit [%least, %end] full [%from, %to] facts [%from, %n, %zero, %to] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }

// Facts of another form are not used.
// CHECK-LABEL: func.func @other_facts
// CHECK: scf.for
// CHECK: scf.if
// CHECK-NOT: scf.if
// CHECK: tile.softmax_step
func.func @other_facts(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32   %width = arith.constant 99 : i32   %scale = arith.constant 0.125 : f32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 64, stages = 1, warps = 4}} -> !st
    score { ^point(%a: vector<64xf32>, %b: vector<64xf32>): %s = attn.dot %a, %b : vector<64xf32>
      %t = arith.mulf %s, %scale : f32   attn.yield %t : f32 }
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %u = arith.cmpi sle, %j, %i {attn.fact = 1 : i32} : i32
      %d = arith.subi %i, %j : i32   %v = arith.cmpi sle, %d, %width {attn.fact = 0 : i32} : i32   %m = arith.andi %u, %v : i1   attn.yield %m : i1 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   %end = arith.addi %last, %one : i32
      %to = arith.addi %first, %one : i32
      attn.yield_ranges visit [%zero, %end] full [%zero, %to] facts [%zero, %to, %zero, %to] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }

// Bounded scores: a step without a maximum, above a constant, and sums that are never scaled.
// CHECK-LABEL: func.func @bounded
// CHECK-DAG: %[[ABOVE:.*]] = tile.splat 3.500000e+00
// CHECK: scf.for {{.*}} iter_args(%[[L:[a-z0-9_]+]] = %{{[a-z0-9_]+}}, %[[ACC:[a-z0-9_]+]] = %{{[a-z0-9_]+}})
// CHECK-NOT: tile.softmax_step
// CHECK: %[[L1:.*]], %[[P:.*]] = tile.bounded_softmax_step %{{.*}}, %[[L]] scale %{{.*}} offset %cst{{.*}}
// CHECK-NOT: tile.scale
// CHECK: tile.dot %{{.*}}, %{{.*}}, %[[ACC]]
// CHECK: tile.finish %[[ABOVE]], %
func.func @bounded(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %scale = arith.constant 5.0 : f32
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 64, stages = 1, warps = 4}, attn.weights_above = 3.5 : f64} -> !st
    score { ^point(%a: vector<64xf32>, %b: vector<64xf32>): %s = attn.dot %a, %b : vector<64xf32>   %u = math.tanh %s : f32
      %t = arith.mulf %u, %scale : f32   attn.yield %t : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }
