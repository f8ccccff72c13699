// The pass that closes a stage of the pipeline: it says what may no longer stand in the IR. A failure here is a
// mistake of a pass before it, not of the user.
#pragma once

#include <memory>

namespace mlir {
class Pass;
} // namespace mlir

namespace attn {

enum class CompilationStage {
  OnlineAttention,   ///< no `attn.attention`; every `attn.online_attention` has ranges and a schedule
};

std::unique_ptr<mlir::Pass> createVerifyStage(CompilationStage stage);

} // namespace attn
