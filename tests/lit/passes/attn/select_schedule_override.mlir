// RUN: attn-opt %s --attn-select-schedule=schedule=block_n=32,stages=2 2>/dev/null | FileCheck %s
// RUN: not attn-opt %s --attn-select-schedule=schedule=block_k=32 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not attn-opt %s --attn-select-schedule=schedule=block_n=many 2>&1 | FileCheck %s --check-prefix=NUMBER
// RUN: not attn-opt %s --attn-select-schedule=schedule=warps=3 2>&1 | FileCheck %s --check-prefix=WARPS
// RUN: not attn-opt %s --attn-select-schedule=target=sm_10 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: not attn-opt %s --attn-select-schedule=schedule=pack=3 2>&1 | FileCheck %s --check-prefix=PACK
// RUN: attn-opt %s --attn-select-schedule=schedule=pack=4 2>&1 | FileCheck %s --check-prefix=PACKED
// What the caller asks for goes over the table and is checked; what is not named stays.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>
!kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// CHECK: schedule = {block_m = 128 : i64, block_n = 32 : i64, stages = 2 : i64, warps = 4 : i64}
// NAME: error: schedule: `block_k` is none of `block_m`, `block_n`, `stages`, `warps`, `pack`
// PACK: error: schedule: `pack` is 3, but must divide 4, the query heads of a key head, and `block_m`, 128
// PACKED: remark: schedule: the 4 query heads of a key head share tiles, 32 queries each
// PACKED: schedule = {block_m = 128 : i64, block_n = 64 : i64, pack = 4 : i64, stages = 1 : i64, warps = 4 : i64}
// NUMBER: error: schedule: `block_n` is `many`, but must be a number from 1 to 1024
// WARPS: error: schedule: `warps` is 3, but must be 1, 2, 4, 8 or 16
// TARGET: error: unknown target `sm_10`
func.func @given(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}
