// The order of the passes: one function a stage, nothing else. Used by the driver and by attn-opt.
#pragma once

#include "mlir/Pass/PassManager.h"

#include <string>

namespace attn {

/// What a caller may choose about a compilation.
struct PipelineOptions {
  std::string target = "sm_80";    ///< a row of support/GpuTargets.def
  std::string schedule;            ///< `block_m=128,block_n=64,…`; empty: by the table
  bool checked = false;            ///< trap on indices out of range
  bool tf32 = false;               ///< round f32 operands of matrix products to tf32
};

/// `attn.attention` as AstToAttn leaves it → `attn.online_attention` with ranges and a schedule.
void buildAttnPipeline(mlir::OpPassManager &manager, const PipelineOptions &options);

/// `attn.online_attention` → block programs with layouts, rings, shared memory and barriers, ready to lower.
void buildTilePipeline(mlir::OpPassManager &manager, const PipelineOptions &options);

/// Block programs → `llvm` and `nvvm`.
void buildNvvmPipeline(mlir::OpPassManager &manager, const PipelineOptions &options);

/// Registers the pipelines with attn-opt as `--attn-pipeline=…` and so on.
void registerPipelines();

} // namespace attn
