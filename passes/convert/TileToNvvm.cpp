// From `tile` to `llvm` + `nvvm`: every kernel function becomes an `llvm.func`.
//
//   func.func @causal(%query: !tile.tensor<…>, …)       llvm.func @causal(%query: !llvm.ptr<1>, %stride: i64, …)
//     tile.foreach_work … { … tile.dot … }          →       nvvm.ldmatrix, nvvm.mma.sync, … a value a register
//
// Requires the IR of InsertBarriers: layouts, shared offsets, `pending` counts. The work is done by the patterns of
// codegen/nvvm; which of them depends on the target.
#include "passes/Passes.h"

#include "codegen/arch/ArchLowering.h"
#include "codegen/nvvm/Entry.h"
#include "ir/tile/TileDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"

namespace attn {

#define GEN_PASS_DEF_TILETONVVM
#include "passes/Passes.h.inc"

namespace {
struct TileToNvvm final : impl::TileToNvvmBase<TileToNvvm> {
  using TileToNvvmBase::TileToNvvmBase;

  void runOnOperation() override {
    mlir::ModuleOp module = getOperation();
    auto target = module->getAttrOfType<tile::TargetAttr>(tile::kTargetAttr);
    llvm::StringRef name = target ? target.getName() : llvm::StringRef("sm_80");
    const codegen::ArchLowering *arch = codegen::ArchLowering::find(name);
    if (!arch) {
      module.emitError("code generation for `") << name << "` does not exist";
      return signalPassFailure();
    }
    for (auto kernel : llvm::make_early_inc_range(module.getOps<mlir::func::FuncOp>()))
      if (kernel->hasAttr(tile::kKernelAttr) && mlir::failed(codegen::lowerKernel(kernel, *arch)))
        return signalPassFailure();
    module->removeAttr(tile::kTargetAttr);
  }
};
} // namespace

} // namespace attn
