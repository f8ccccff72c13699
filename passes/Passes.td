// All passes: names, options and dependent dialects. What a pass does in detail is said at the head of its file.
#ifndef ATTN_PASSES_PASSES
#define ATTN_PASSES_PASSES

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// attn → attn
//===----------------------------------------------------------------------===//

def FoldScale : Pass<"attn-fold-scale", "::mlir::func::FuncOp"> {
  let summary = "Brings the scores of softmax into log2 units";
  let description = [{
    Constant factors at the root of `score` and `init` merge with log2(e) in double; an absent `score` is written out.
  }];
  let dependentDialects = ["::attn::ir::AttnDialect", "::mlir::arith::ArithDialect"];
}

def FuseProducers : Pass<"attn-fuse-producers", "::mlir::func::FuncOp"> {
  let summary = "Decides which row regions run in the attention's kernel and which in one before it";
  let description = [{
    Transforms that only one attention reads move into it; costly ones of keys and values go out again, to be done once
    for all tiles. Remarks say which.
  }];
  let dependentDialects = ["::attn::ir::AttnDialect"];
}

def FuseEpilogue : Pass<"attn-fuse-epilogue", "::mlir::func::FuncOp"> {
  let summary = "Takes a transform of the result into the attention";
  let description = [{Becomes region `out`; a result with another user is stored as it is.}];
  let dependentDialects = ["::attn::ir::AttnDialect"];
}

def ClassifyMask : Pass<"attn-classify-mask", "::mlir::func::FuncOp"> {
  let summary = "Finds the key ranges that a tile of rows visits, and those without a mask";
  let description = [{
    Solves the mask for the key and writes the result as region `ranges`; remarks say what came out.
  }];
  let dependentDialects = ["::attn::ir::AttnDialect", "::mlir::arith::ArithDialect"];
}

def CheckSupport : Pass<"attn-check-support", "::mlir::func::FuncOp"> {
  let summary = "Refuses, with place and reason, what the back end cannot compile";
  let options = [Option<"target", "target", "std::string", "\"sm_80\"", "a row of support/GpuTargets.def">];
  let dependentDialects = ["::attn::ir::AttnDialect"];
}

def SelectSchedule : Pass<"attn-select-schedule", "::mlir::func::FuncOp"> {
  let summary = "Chooses block sizes, pipeline depth and warps";
  let description = [{
    By ScheduleTable.def, or as option `schedule` says; the choice is checked against the limits of the target.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"sm_80\"", "a row of support/GpuTargets.def">,
    Option<"schedule", "schedule", "std::string", "\"\"", "block_m=64,warps=4: entries that differ from the table">];
  let dependentDialects = ["::attn::ir::AttnDialect"];
}

def ToOnlineAttention : Pass<"attn-to-online-attention", "::mlir::func::FuncOp"> {
  let summary = "Writes each attention as identity, online step and finalize";
  let description = [{
    `attn.attention` becomes `attn.identity`, `attn.online_attention`, `attn.finalize`. Regions move, none changes;
    region `out` goes to `finalize`. Expects `FoldScale`, `ClassifyMask` and `SelectSchedule` to have run: scores in
    log2 units, region `ranges` and attribute `schedule` present.
  }];
  let dependentDialects = ["::attn::ir::AttnDialect"];
}

//===----------------------------------------------------------------------===//
// attn → tile
//===----------------------------------------------------------------------===//

def AttnToTile : Pass<"attn-to-tile", "::mlir::ModuleOp"> {
  let summary = "Writes plans as block programs over tiles";
  let description = [{
    A plan becomes a kernel: loop over blocks of keys by region `ranges`, score and mask in one map behind a uniform
    guard, online softmax. Block sizes come from `schedule`; the module is marked with the target. With `checked`, a
    read that counts and whose index may be out of range comes with a `cf.assert`. With `tf32`, kernels that multiply
    f32 are marked `tile.tf32`.
  }];
  let options = [Option<"target", "target", "std::string", "\"sm_80\"", "a row of support/GpuTargets.def">,
                 Option<"checked", "checked", "bool", "false", "trap on indices out of range">,
                 Option<"tf32", "tf32", "bool", "false", "round f32 operands of matrix products to tf32">];
  let dependentDialects = ["::attn::tile::TileDialect", "::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect",
                           "::mlir::math::MathDialect", "::mlir::cf::ControlFlowDialect"];
}

//===----------------------------------------------------------------------===//
// tile → tile
//===----------------------------------------------------------------------===//

def HoistInvariants : Pass<"tile-hoist-invariants", "::mlir::func::FuncOp"> {
  let summary = "Takes what is expensive and the same for all blocks of keys out of the loop";
  let description = [{Loads, divisions and transcendental functions of the row in a map become a 1-D map before the loop.}];
  let dependentDialects = ["::attn::tile::TileDialect"];
}

def BuildStrips : Pass<"tile-build-strips", "::mlir::func::FuncOp"> {
  let summary = "Computes what depends on the distance of key and query alone once a diagonal of a block";
  let dependentDialects = ["::attn::tile::TileDialect"];
}

def AssignLayouts : Pass<"tile-assign-layouts", "::mlir::func::FuncOp"> {
  let summary = "Gives fragments their layouts and puts operands of matrix products into buffers";
  let dependentDialects = ["::attn::tile::TileDialect"];
}

def PipelineLoads : Pass<"tile-pipeline-loads", "::mlir::func::FuncOp"> {
  let summary = "Writes loads into buffers as entries of rings, not yet ahead of their use";
  let dependentDialects = ["::attn::tile::TileDialect"];
}

def PrefetchLoads : Pass<"tile-prefetch-loads", "::mlir::func::FuncOp"> {
  let summary = "Moves fills ahead of their use, as far as the rings have stages";
  let dependentDialects = ["::attn::tile::TileDialect", "::mlir::arith::ArithDialect"];
}

def OverlapDots : Pass<"tile-overlap-dots", "::mlir::func::FuncOp"> {
  let summary = "Keeps the product with the values of one block in flight under the softmax of the next";
  let description = [{
    For targets with asynchronous products. The loop over blocks is skewed by one: QK(i) and PV(i - 1) are issued
    together, the softmax of block i runs while PV(i - 1) is in flight.
  }];
  let dependentDialects = ["::attn::tile::TileDialect", "::mlir::arith::ArithDialect"];
}

def SpecializeWarps : Pass<"tile-specialize-warps", "::mlir::func::FuncOp"> {
  let summary = "Splits a kernel into a role that fills rings and one that computes";
  let description = [{For targets with a tensor memory accelerator. Ring entries count on from work tile to work tile.}];
  let dependentDialects = ["::attn::tile::TileDialect", "::mlir::arith::ArithDialect"];
}

def PlaceTurns : Pass<"tile-place-turns", "::mlir::func::FuncOp"> {
  let summary = "Lets warpgroups issue their products in turns, so that one computes softmax while another multiplies";
  let dependentDialects = ["::attn::tile::TileDialect"];
}

def CheckBudget : Pass<"tile-check-budget", "::mlir::func::FuncOp"> {
  let summary = "Refuses kernels whose fragments do not fit the registers";
  let dependentDialects = ["::attn::tile::TileDialect"];
}

def AllocateShared : Pass<"tile-allocate-shared", "::mlir::func::FuncOp"> {
  let summary = "Places rings and buffers in shared memory by their lifetimes";
  let dependentDialects = ["::attn::tile::TileDialect"];
}

def InsertBarriers : Pass<"tile-insert-barriers", "::mlir::func::FuncOp"> {
  let summary = "Counts pending copies and places barriers by simulating the program";
  let dependentDialects = ["::attn::tile::TileDialect"];
}

//===----------------------------------------------------------------------===//
// tile → llvm + nvvm
//===----------------------------------------------------------------------===//

def TileToNvvm : Pass<"attn-tile-to-nvvm", "::mlir::ModuleOp"> {
  let summary = "Lowers kernels to the llvm and nvvm dialects";
  let description = [{
    Each function marked `tile.kernel` becomes an `llvm.func`, one LLVM value a register, for the module's
    `tile.target`. Expects layouts, shared offsets and `pending` counts: InsertBarriers has run.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect", "::mlir::cf::ControlFlowDialect",
                           "::mlir::scf::SCFDialect"];
}

//===----------------------------------------------------------------------===//
// Checks between stages
//===----------------------------------------------------------------------===//

def VerifyStage : Pass<"attn-verify-stage", "::mlir::ModuleOp"> {
  let summary = "Checks what a stage of the pipeline promises";
  let description = [{
    Says what may no longer stand in the IR. A failure is a mistake of a pass before it, never of the user.

    | stage | promise |
    |---|---|
    | `online-attention` | no `attn.attention`; every `attn.online_attention` has `ranges` and `schedule` |
    | `layouts` | every fragment has a layout; operands b of matrix products are buffers |
    | `rings` | no `tile.load` gives a buffer or feeds a matrix product; every awaited entry is released once |
    | `kernels` | no `attn` ops; storage has offsets, every await its `pending` count where no roles are |
    | `instructions` | no `attn`, `tile` or `scf` ops |
  }];
  let options = [Option<"stage", "stage", "::attn::CompilationStage", "::attn::CompilationStage::OnlineAttention",
                        "the stage that has just ended",
                        [{::llvm::cl::values(
                            clEnumValN(::attn::CompilationStage::OnlineAttention, "online-attention", "after stage attn"),
                            clEnumValN(::attn::CompilationStage::Layouts, "layouts", "after AssignLayouts"),
                            clEnumValN(::attn::CompilationStage::Rings, "rings", "after PipelineLoads"),
                            clEnumValN(::attn::CompilationStage::Kernels, "kernels", "after stage tile"),
                            clEnumValN(::attn::CompilationStage::Instructions, "instructions", "after stage nvvm"))}]>];
  let dependentDialects = ["::attn::ir::AttnDialect", "::attn::tile::TileDialect"];
}

#endif // ATTN_PASSES_PASSES
