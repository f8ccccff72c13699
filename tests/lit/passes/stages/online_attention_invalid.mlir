// RUN: attn-opt %s --attn-verify-stage=stage=online-attention --split-input-file --verify-diagnostics
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @attention(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{'attn.attention' op must be gone after stage `attn`}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !st = !attn.state<[batch, 8, q_len], 64>
func.func @unscheduled(%query: !q, %key: !kv, %value: !kv) -> !st attributes {attn.plan} {
  %s0 = attn.identity : !st
  // expected-error @below {{expects region `ranges` and attribute `schedule` after stage `attn`}}
  %s1 = attn.online_attention %s0 : !st query(%query : !q) key(%key : !kv) value(%value : !kv) -> !st
  return %s1 : !st
}
