// Whether a mask hides the places behind the last key by itself, or has to be told.
#pragma once

#include "mlir/IR/Value.h"

namespace attn {

/// Whether `visible`, the value of a mask, implies kv_idx < kv_len for every q_idx < q_len. Found for masks of which
/// some conjunct bounds kv_idx by a linear form, such as kv_idx <= q_idx + (kv_len - q_len).
bool impliesKeyExists(mlir::Value visible);

} // namespace attn
