// RUN: attn-opt %s --attn-to-tile --canonicalize --cse --split-input-file --verify-diagnostics | FileCheck %s
// Rows of more than 256 channels that a kernel in front changes: slice by slice, cut where parts begin and where rotations do.
!q = !attn.tensor<[batch, q_len, 2, 320], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 320], f16>   !st = !attn.state<[batch, 2, q_len], 320>

// The last 64 channels turn as one slice; the others are copied.
// CHECK-LABEL: func.func @last_channels_key_rows_0
// CHECK: %[[A:.*]] = tile.map
// CHECK-NOT: tile.rotate
// CHECK: tile.store_columns %{{.*}} columns 0 count 128, {{.*}} from 0 :
// CHECK-NOT: tile.rotate
// CHECK: tile.store_columns %{{.*}} columns 0 count 128, {{.*}} from 128 :
// CHECK: %[[X:.*]] = tile.map
// CHECK: tile.rotate %[[X]] start 0 width 64
// CHECK: tile.store_columns %{{.*}} columns 0 count 64, {{.*}} from 256 :
func.func @last_channels(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32   %zeros = arith.constant dense<0.0> : vector<320xf32>
  %k1 = attn.transform %key over key : !kv -> !kv row { ^row(%k: vector<320xf32>):
    %a = vector.extract_strided_slice %k {offsets = [0], sizes = [256], strides = [1]} : vector<320xf32> to vector<256xf32>
    %b = vector.extract_strided_slice %k {offsets = [256], sizes = [64], strides = [1]} : vector<320xf32> to vector<64xf32>
    %angle = attn.channel : vector<32xf32>   %r = attn.rotate %b by %angle : vector<64xf32>, vector<32xf32>
    %c = vector.insert_strided_slice %a, %zeros {offsets = [0], strides = [1]} : vector<256xf32> into vector<320xf32>
    %d = vector.insert_strided_slice %r, %c {offsets = [256], strides = [1]} : vector<64xf32> into vector<320xf32>
    attn.yield %d : vector<320xf32> }
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%k1 : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 32, stages = 1, warps = 8, parts = 2}, log2} -> !st
    score { ^point(%q: vector<320xf32>, %k: vector<320xf32>): %s = attn.dot %q, %k : vector<320xf32>   attn.yield %s : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }

// -----
// A sum over the row is one of slices' sums, and all pairs turn: a slice has channels of both halves of the row.
!q = !attn.tensor<[batch, q_len, 2, 320], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 320], f16>   !st = !attn.state<[batch, 2, q_len], 320>
// CHECK-LABEL: func.func @all_channels_key_rows_0
// CHECK-COUNT-3: tile.reduce add
// CHECK: %[[A:.*]] = tile.rotate %{{.*}} start 0 width 128
// CHECK: %[[R:.*]] = tile.convert %[[A]]
// CHECK: tile.store_columns %[[R]] columns 0 count 64, {{.*}} from 0 :
// CHECK: tile.store_columns %[[R]] columns 64 count 64, {{.*}} from 160 :
// CHECK: tile.rotate %{{.*}} start 0 width 128
// CHECK: tile.store_columns %{{.*}} columns 0 count 64, {{.*}} from 64 :
// CHECK: tile.store_columns %{{.*}} columns 64 count 64, {{.*}} from 224 :
// CHECK: tile.rotate %{{.*}} start 0 width 64
// CHECK: tile.store_columns %{{.*}} columns 0 count 32, {{.*}} from 128 :
// CHECK: tile.store_columns %{{.*}} columns 32 count 32, {{.*}} from 288 :
func.func @all_channels(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32
  %k1 = attn.transform %key over key : !kv -> !kv row { ^row(%k: vector<320xf32>):
    %square = arith.mulf %k, %k : vector<320xf32>   %sum = vector.reduction <add>, %square : vector<320xf32> into f32
    %by = vector.broadcast %sum : f32 to vector<320xf32>   %n = arith.mulf %k, %by : vector<320xf32>
    %angle = attn.channel : vector<160xf32>   %r = attn.rotate %n by %angle : vector<320xf32>, vector<160xf32>
    attn.yield %r : vector<320xf32> }
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%k1 : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 32, stages = 1, warps = 8, parts = 2}, log2} -> !st
    score { ^point(%q: vector<320xf32>, %k: vector<320xf32>): %s = attn.dot %q, %k : vector<320xf32>   attn.yield %s : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }

// -----
// Halves of 132 channels begin between two stores.
!q = !attn.tensor<[batch, q_len, 2, 264], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 264], f16>   !st = !attn.state<[batch, 2, q_len], 264>
func.func @odd_halves(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %zero = arith.constant 0 : i32
  %k1 = attn.transform %key over key : !kv -> !kv row { ^row(%k: vector<264xf32>):
    %angle = attn.channel : vector<132xf32>   %r = attn.rotate %k by %angle : vector<264xf32>, vector<132xf32>
    // expected-error @below {{a row of 264 channels is computed in slices, whose parts must begin and end at multiples of 8}}
    attn.yield %r : vector<264xf32> }
  %s0 = attn.identity : !st   %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%k1 : !kv) value(%value : !kv)
      {schedule = {block_m = 64, block_n = 32, stages = 1, warps = 8, parts = 2}, log2} -> !st
    score { ^point(%q: vector<264xf32>, %k: vector<264xf32>): %s = attn.dot %q, %k : vector<264xf32>   attn.yield %s : f32 }
    ranges { ^tile(%first: i32, %last: i32): %n = attn.size kv_len   attn.yield_ranges visit [%zero, %n] full [%zero, %n] }
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }
