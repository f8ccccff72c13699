// RUN: attn-opt %s --attn-check-support=target=sm_81 --verify-diagnostics
// A target is a row of support/GpuTargets.def.
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// expected-error @below {{unknown target `sm_81`}}
func.func @plan(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {log2} -> !q
  return %out : !q
}
