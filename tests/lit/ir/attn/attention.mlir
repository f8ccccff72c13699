// RUN: attn-opt %s | attn-opt | FileCheck %s
// Rotary positions, a causal mask, grouped queries: every kind of row and point region but `weight`.
// Types of tensors are printed by names at the top.
// CHECK-DAG: ![[Q:tensor[0-9_]*]] = !attn.tensor<[batch, q_len, 32, 128], bf16>
// CHECK-DAG: ![[KV:tensor[0-9_]*]] = !attn.tensor<[batch, kv_len, 8, 128], bf16>
// CHECK-DAG: ![[LSE:tensor[0-9_]*]] = !attn.tensor<[batch, 32, q_len], f32>
// CHECK-DAG: ![[REL:tensor[0-9_]*]] = !attn.tensor<[33, 64], f16>
// CHECK-DAG: ![[BIAS:tensor[0-9_]*]] = !attn.tensor<["2 * q_len - 1"], f32>
// CHECK-DAG: ![[DOC:tensor[0-9_]*]] = !attn.tensor<[batch, kv_len], i32, ascending>
// CHECK-DAG: ![[BO:tensor[0-9_]*]] = !attn.tensor<[batch, q_len, 4, 48], f16>

!q = !attn.tensor<[batch, q_len, 32, 128], bf16>
!kv = !attn.tensor<[batch, kv_len, 8, 128], bf16>
!lse = !attn.tensor<[batch, 32, q_len], f32>

// CHECK-LABEL: func.func @llama3
// CHECK-SAME: attributes {attn.plan}
func.func @llama3(%query: !q, %key: !kv, %value: !kv) -> (!q, !lse) attributes {attn.plan} {
  %scale = arith.constant 0.0883883461 : f32   %step = arith.constant dense<-0.295806> : vector<64xf32>
  // CHECK: %[[O:.*]], %[[L:.*]] = attn.attention query(%{{.*}} : ![[Q]]) key(%{{.*}} : ![[KV]]) value(%{{.*}} : ![[KV]]) -> ![[Q]], ![[LSE]]
  %out, %lse = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q, !lse
    // CHECK-NEXT: query {
    // CHECK-NEXT: ^row(%[[Q:.*]]: vector<128xf32>):
    query { ^row(%q: vector<128xf32>):
      // CHECK: %q_idx = attn.index q_idx
      // CHECK: %kv_len = attn.size kv_len
      %i = attn.index q_idx   %n = attn.size kv_len   %m = attn.size q_len   %d = arith.subi %n, %m : i32   %pos = arith.addi %i, %d : i32   %x = arith.sitofp %pos : i32 to f32
      // CHECK: attn.channel : vector<64xf32>
      %b = vector.broadcast %x : f32 to vector<64xf32>   %p = attn.channel : vector<64xf32>   %e = arith.mulf %p, %step : vector<64xf32>   %f = math.exp2 %e : vector<64xf32>
      // CHECK: attn.rotate %[[Q]] by %{{.*}} : vector<128xf32>, vector<64xf32>
      // CHECK: attn.yield %{{.*}} : vector<128xf32>
      %angle = arith.mulf %b, %f : vector<64xf32>   %r = attn.rotate %q by %angle : vector<128xf32>, vector<64xf32>   attn.yield %r : vector<128xf32> }
    // CHECK: key {
    // CHECK-NEXT: ^column(
    key { ^column(%k: vector<128xf32>):
      %j = attn.index kv_idx   %x = arith.sitofp %j : i32 to f32   %b = vector.broadcast %x : f32 to vector<64xf32>   %p = attn.channel : vector<64xf32>   %e = arith.mulf %p, %step : vector<64xf32>   %f = math.exp2 %e : vector<64xf32>
      %angle = arith.mulf %b, %f : vector<64xf32>   %r = attn.rotate %k by %angle : vector<128xf32>, vector<64xf32>   attn.yield %r : vector<128xf32> }
    // CHECK: score {
    // CHECK-NEXT: ^point(
    score { ^point(%q: vector<128xf32>, %k: vector<128xf32>):
      // CHECK: attn.dot %{{.*}}, %{{.*}} : vector<128xf32>
      %s = attn.dot %q, %k : vector<128xf32>   %t = arith.mulf %s, %scale : f32   attn.yield %t : f32 }
    // CHECK: mask {
    // CHECK-NEXT: attn.index q_idx
    mask { %i = attn.index q_idx   %j = attn.index kv_idx   %n = attn.size kv_len   %m = attn.size q_len   %d = arith.subi %n, %m : i32
      %pos = arith.addi %i, %d : i32   %v = arith.cmpi sle, %j, %pos : i32   attn.yield %v : i1 }
  // CHECK: return %[[O]], %[[L]]
  return %out, %lse : !q, !lse
}


!sq = !attn.tensor<[batch, q_len, heads, 64], f16>
!skv = !attn.tensor<[batch, kv_len, heads, 64], f16>
!rel = !attn.tensor<[33, 64], f16>
!slse = !attn.tensor<[batch, heads, q_len], f32>

// CHECK-LABEL: func.func @shaw
func.func @shaw(%query: !sq, %key: !skv, %value: !skv, %rel_k: !rel, %rel_v: !rel) -> (!sq, !slse) attributes {attn.plan} {
  %scale = arith.constant 0.125 : f32   %lo = arith.constant -16 : i32   %hi = arith.constant 16 : i32
  %out, %lse = attn.attention query(%query : !sq) key(%key : !skv) value(%value : !skv) -> !sq, !slse
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %i = attn.index q_idx   %j = attn.index kv_idx   %n = attn.size kv_len   %m = attn.size q_len   %d = arith.subi %n, %m : i32   %qp = arith.addi %i, %d : i32
      %x = arith.subi %j, %qp : i32   %c = arith.maxsi %x, %lo : i32   %u = arith.minsi %c, %hi : i32   %r = arith.addi %u, %hi : i32
      // CHECK: attn.load %{{.*}}[%{{.*}}] : ![[REL]] -> vector<64xf32>
      %row = attn.load %rel_k[%r] : !rel -> vector<64xf32>   %a = attn.dot %q, %k : vector<64xf32>   %e = attn.dot %q, %row : vector<64xf32>
      %s = arith.addf %a, %e : f32   %t = arith.mulf %s, %scale : f32   attn.yield %t : f32 }
    // CHECK: weight {
    // CHECK-NEXT: ^point(%[[P:.*]]: f32, %{{.*}}: vector<64xf32>):
    weight { ^point(%p: f32, %v: vector<64xf32>):
      %i = attn.index q_idx   %j = attn.index kv_idx   %n = attn.size kv_len   %m = attn.size q_len   %d = arith.subi %n, %m : i32   %qp = arith.addi %i, %d : i32
      %x = arith.subi %j, %qp : i32   %c = arith.maxsi %x, %lo : i32   %u = arith.minsi %c, %hi : i32   %r = arith.addi %u, %hi : i32
      %row = attn.load %rel_v[%r] : !rel -> vector<64xf32>   %w = arith.addf %v, %row : vector<64xf32>
      // CHECK: attn.yield %[[P]], %{{.*}} : f32, vector<64xf32>
      attn.yield %p, %w : f32, vector<64xf32> }
  return %out, %lse : !sq, !slse
}


!bq = !attn.tensor<[batch, q_len, 4, 64], f16>
!bkv = !attn.tensor<[batch, kv_len, 4, 48], f16>
!bo = !attn.tensor<[batch, q_len, 4, 48], f16>
!bk = !attn.tensor<[batch, kv_len, 4, 64], f16>

// Attributes of a plan and its arguments; a sink, an `out` region, chosen outputs, sizes that are expressions.
// CHECK-LABEL: func.func @attributes
// CHECK-SAME: %{{.*}}: ![[BIAS]] {attn.in = ["0", "2 * q_len"], attn.name = "bias"}
// CHECK-SAME: %{{.*}}: ![[DOC]] {attn.ascending, attn.name = "doc"}
// CHECK-SAME: %{{.*}}: i32 {attn.default = 4 : i32, attn.in = ["1", "65536"], attn.name = "window"}
// CHECK-SAME: -> (![[BO]] {attn.name = "out"})
// CHECK-SAME: attributes {attn.layout = "bhsd", attn.plan}
func.func @attributes(%query: !bq, %key: !bk, %value: !bkv,
                      %bias: !attn.tensor<["2 * q_len - 1"], f32> {attn.name = "bias", attn.in = ["0", "2 * q_len"]},
                      %doc: !attn.tensor<[batch, kv_len], i32, ascending> {attn.name = "doc", attn.ascending},
                      %window: i32 {attn.name = "window", attn.default = 4 : i32, attn.in = ["1", "65536"]},
                      %flags: !attn.tensor<[q_len], i8> {attn.name = "flags", attn.bool})
    -> (!bo {attn.name = "out"}) attributes {attn.plan, attn.layout = "bhsd"} {
  %half = arith.constant 0.5 : f32
  // CHECK: {outputs = ["out"], probs_type = bf16} ->
  %out = attn.attention query(%query : !bq) key(%key : !bk) value(%value : !bkv) {outputs = ["out"], probs_type = bf16} -> !bo
    mask { %i = attn.index q_idx   %v = attn.load %flags[%i] : !attn.tensor<[q_len], i8> -> i1   attn.yield %v : i1 }
    // CHECK: init {
    init { %i = attn.index q_idx   %x = attn.load %bias[%i] : !attn.tensor<["2 * q_len - 1"], f32> -> f32   attn.yield %x : f32 }
    // CHECK: out {
    // CHECK-NEXT: ^row(%{{.*}}: vector<48xf32>):
    out { ^row(%x: vector<48xf32>): %h = vector.broadcast %half : f32 to vector<48xf32>   %y = arith.mulf %x, %h : vector<48xf32>   attn.yield %y : vector<48xf32> }
  return %out : !bo
}
