// The stages of the pipeline that VerifyStage closes: each says what may no longer stand in the IR (Passes.td).
#pragma once

namespace attn {

enum class CompilationStage { OnlineAttention, Layouts, Rings, Kernels, Instructions };

} // namespace attn
