// RUN: attn-opt %s --attn-to-tile --split-input-file --verify-diagnostics
// Block sizes come from the schedule: without a fitting one there is nothing to write.
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !st = !attn.state<[batch, 8, q_len], 64>
func.func @unscheduled(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %s0 = attn.identity : !st
  // expected-error @below {{'attn.online_attention' op expects attribute `schedule`}}
  %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !st
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !st = !attn.state<[batch, 8, q_len], 64>
func.func @incomplete(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %s0 = attn.identity : !st
  // expected-error @below {{expects a positive integer `stages` in `schedule`}}
  %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv) {log2, schedule = {block_m = 64, block_n = 64, warps = 4}} -> !st
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !st = !attn.state<[batch, 8, q_len], 64>
func.func @rows(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %s0 = attn.identity : !st
  // expected-error @below {{schedule: `block_m` is 128, but must be a multiple of 48, 16 rows a warp}}
  %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv) {log2, schedule = {block_m = 128, block_n = 64, stages = 1, warps = 3}} -> !st
  %out = attn.finalize %s1 : !st -> !q   return %out : !q }
