// RUN: attn-opt %s --attn-classify-mask --verify-diagnostics
// A mask that hides every key is a mistake.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @nothing(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %j = attn.index kv_idx   %zero = arith.constant 0 : i32
      // expected-error @below {{the mask hides every key from every row}}
      %v = arith.cmpi slt, %j, %zero : i32   attn.yield %v : i1 }
  return %out : !q
}
