// RUN: attn-opt %s --attn-fuse-producers 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t
// RUN: attn-opt %s --attn-fuse-producers 2>/dev/null | attn-opt --attn-fuse-producers 2>/dev/null | FileCheck %s
// Row regions of operands: cheap ones move into the attention that alone reads them, costly ones of keys and values
// become kernels of their own. Run again it changes nothing.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>

// Two in a row, in front of a region that is there already.
// CHECK-LABEL: func.func @chain
// CHECK-NOT: attn.transform
// CHECK: attn.attention query(%{{.*}}) key(%arg1 :
// CHECK: key {
// CHECK-NEXT: ^column(%[[K:.*]]: vector<64xf32>):
// CHECK-NEXT: %[[A:.*]] = arith.mulf %[[K]], %{{.*}}
// CHECK-NEXT: %[[B:.*]] = arith.addf %[[A]], %{{.*}}
// CHECK-NEXT: %[[C:.*]] = arith.mulf %[[B]], %[[B]]
// CHECK-NEXT: attn.yield %[[C]]
// REMARK: fusion: the transform of `key` moves into the kernel
// REMARK: fusion: the transform of `key` moves into the kernel
// REMARK: fusion: rows of `key` are transformed in the kernel, each time a tile is visited
func.func @chain(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %half = arith.constant dense<0.5> : vector<64xf32>
  %two = arith.constant dense<2.0> : vector<64xf32>
  %a = attn.transform %key over key : !kv -> !kv row { ^bb0(%k: vector<64xf32>): %x = arith.mulf %k, %half : vector<64xf32>   attn.yield %x : vector<64xf32> }
  %b = attn.transform %a over key : !kv -> !kv row { ^bb0(%k: vector<64xf32>): %x = arith.addf %k, %two : vector<64xf32>   attn.yield %x : vector<64xf32> }
  %out = attn.attention query(%query : !q) key(%b : !kv) value(%value : !kv) -> !q
    key { ^bb0(%k: vector<64xf32>): %x = arith.mulf %k, %k : vector<64xf32>   attn.yield %x : vector<64xf32> }
  return %out : !q
}

// A function of each channel costs more than a few products: keys and values go out, queries stay.
// CHECK-LABEL: func.func @costly
// CHECK: %[[KEYS:.*]] = attn.transform %arg1 over key
// CHECK: math.tanh
// CHECK: %[[VALUES:.*]] = attn.transform %arg2 over key
// CHECK: math.exp
// CHECK: attn.attention query(%arg0 : {{.*}}) key(%[[KEYS]] : {{.*}}) value(%[[VALUES]] :
// CHECK: query {
// CHECK: math.tanh
// CHECK-NOT: {{^ *}}key {
// CHECK: return
// REMARK: fusion: rows of `key` are transformed once for all tiles, by a kernel before this one
// REMARK: fusion: rows of `value` are transformed once for all tiles, by a kernel before this one
// REMARK: fusion: rows of `query` are transformed in the kernel, once a tile
func.func @costly(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    query { ^bb0(%x: vector<64xf32>): %y = math.tanh %x : vector<64xf32>   attn.yield %y : vector<64xf32> }
    key { ^bb0(%x: vector<64xf32>): %y = math.tanh %x : vector<64xf32>   attn.yield %y : vector<64xf32> }
    value { ^bb0(%x: vector<64xf32>): %y = math.exp %x : vector<64xf32>   attn.yield %y : vector<64xf32> }
  return %out : !q
}

// What depends on the query head differs between heads that share a row, so it stays.
// CHECK-LABEL: func.func @by_query_head
// CHECK-NOT: attn.transform
// CHECK: key {
// REMARK: fusion: `key` has no kernel of its own: it depends on the query head
func.func @by_query_head(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    key { ^bb0(%x: vector<64xf32>):
      %h = attn.index h   %f = arith.sitofp %h : i32 to f32   %r = vector.broadcast %f : f32 to vector<64xf32>
      %s = arith.mulf %x, %r : vector<64xf32>   %y = math.tanh %s : vector<64xf32>   attn.yield %y : vector<64xf32> }
  return %out : !q
}

// A result that leaves the plan is stored anyway.
// CHECK-LABEL: func.func @other_user
// CHECK: %[[T:.*]] = attn.transform
// CHECK: attn.attention query(%{{.*}}) key(%[[T]] :
// REMARK: fusion: `key` is read from memory, for its transform has other users
func.func @other_user(%query: !q, %key: !kv, %value: !kv) -> (!q, !kv) attributes {attn.plan} {
  %half = arith.constant dense<0.5> : vector<64xf32>
  %a = attn.transform %key over key : !kv -> !kv row { ^bb0(%k: vector<64xf32>): %x = arith.mulf %k, %half : vector<64xf32>   attn.yield %x : vector<64xf32> }
  %out = attn.attention query(%query : !q) key(%a : !kv) value(%value : !kv) -> !q
  return %out, %a : !q, !kv
}

// 8-bit rows are widened on their way into a product.
// CHECK-LABEL: func.func @widened
// REMARK: fusion: rows of `key` lie as e4m3 and are multiplied as f16
// REMARK: fusion: rows of `value` lie as e5m2 and are multiplied as f16
func.func @widened(%query: !q, %key: !attn.tensor<[batch, kv_len, 2, 64], f8E4M3FN>, %value: !attn.tensor<[batch, kv_len, 2, 64], f8E5M2>) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !attn.tensor<[batch, kv_len, 2, 64], f8E4M3FN>)
    value(%value : !attn.tensor<[batch, kv_len, 2, 64], f8E5M2>) {probs_type = f16} -> !q
  return %out : !q
}

// A product of two vectors of the key is a number a key, made by a kernel in front; that of the query stays.
// CHECK-LABEL: func.func @lengths
// CHECK: %[[NUMBERS:.*]] = attn.transform %arg1 over key
// CHECK: %[[SUM:.*]] = vector.reduction <add>
// CHECK: vector.broadcast %[[SUM]] : f32 to vector<8xf32>
// CHECK: attn.attention
// CHECK: score {
// CHECK: attn.dot %[[Q:[a-z0-9]+]], %[[Q]]
// CHECK: attn.load %[[NUMBERS]][%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}]
func.func @lengths(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^bb0(%q: vector<64xf32>, %k: vector<64xf32>):
      %a = attn.dot %q, %k : vector<64xf32>   %b = attn.dot %q, %q : vector<64xf32>   %c = attn.dot %k, %k : vector<64xf32>
      %d = arith.addf %b, %c : f32   %e = arith.subf %a, %d : f32   attn.yield %e : f32 }
  return %out : !q
}
