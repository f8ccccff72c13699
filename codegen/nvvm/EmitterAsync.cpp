// How barriers in shared memory, tensor copies and the instructions of warpgroups are spelled: the `nvvm` dialect where it
// has them, else inline assembly, which translateToLlvm marks convergent.
#include "codegen/nvvm/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <fmt/format.h>

namespace attn::codegen {

namespace LLVM = mlir::LLVM;
namespace NVVM = mlir::NVVM;
using mlir::Value;

llvm::SmallVector<Value> Emitter::assembly(llvm::StringRef text, llvm::StringRef constraints, llvm::ArrayRef<Value> operands,
                                           llvm::ArrayRef<mlir::Type> results) {
  llvm::SmallVector<mlir::Type, 1> type;
  if (results.size() == 1)
    type = {results[0]};
  else if (!results.empty())
    type = {LLVM::LLVMStructType::getLiteral(builder.getContext(), results)};
  auto call = LLVM::InlineAsmOp::create(builder, location, type, operands, text, constraints, /*has_side_effects=*/true,
                                        /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                        LLVM::AsmDialectAttr::get(builder.getContext(), LLVM::AsmDialect::AD_ATT), mlir::ArrayAttr());
  if (results.empty())
    return {};
  if (results.size() == 1)
    return {call.getRes()};
  llvm::SmallVector<Value> values;
  for (std::size_t i = 0; i < results.size(); ++i)
    values.push_back(LLVM::ExtractValueOp::create(builder, location, call.getRes(), static_cast<std::int64_t>(i)));
  return values;
}

//===----------------------------------------------------------------------===//
// Barriers in shared memory
//===----------------------------------------------------------------------===//

void Emitter::initBarrier(Value barrier, unsigned count) {
  NVVM::MBarrierInitOp::create(builder, location, barrier, i32(count), Value());
}
void Emitter::fenceBarrierInit() { NVVM::FenceMbarrierInitOp::create(builder, location); }

void Emitter::arriveExpecting(Value barrier, std::int64_t bytes) {
  assembly("mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "r,r,~{memory}", {barrier, i32(bytes)});
}
void Emitter::arriveAtBarrier(Value barrier) {
  assembly("mbarrier.arrive.shared::cta.b64 _, [$0];", "r,~{memory}", {barrier});
}
void Emitter::arriveAtBarrierIf(Value predicate, Value barrier) {
  assembly("@$0 mbarrier.arrive.shared::cta.b64 _, [$1];", "b,r,~{memory}", {predicate, barrier});
}
void Emitter::arriveWhenCopied(Value barrier) {
  NVVM::CpAsyncMBarrierArriveOp::create(builder, location, barrier, /*noinc=*/true);
}

/// The instruction suspends the thread for a while at most, hence the loop.
void Emitter::waitForBarrier(Value barrier, Value parity) {
  auto loop = mlir::scf::WhileOp::create(
      builder, location, mlir::TypeRange(), mlir::ValueRange(),
      [&](mlir::OpBuilder &inner, mlir::Location at, mlir::ValueRange) {
        Value done = NVVM::MBarrierTryWaitOp::create(inner, at, inner.getI1Type(), barrier, parity, Value()).getRes();
        Value waits = LLVM::XOrOp::create(inner, at, done, boolean(true));
        mlir::scf::ConditionOp::create(inner, at, waits, mlir::ValueRange());
      },
      [&](mlir::OpBuilder &inner, mlir::Location at, mlir::ValueRange) { mlir::scf::YieldOp::create(inner, at); });
  builder.setInsertionPointAfter(loop);
}

//===----------------------------------------------------------------------===//
// Tensor maps
//===----------------------------------------------------------------------===//

/// A shared address of the block is one of its cluster; an `addrspacecast` would emit conversions.
void Emitter::copyTensor(Value shared, Value tensorMap, llvm::ArrayRef<Value> coordinates, Value barrier) {
  Value target = LLVM::IntToPtrOp::create(builder, location, LLVM::LLVMPointerType::get(builder.getContext(), 7), addressOf(shared));
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
      builder, location, target, tensorMap, coordinates, barrier, /*im2colOffsets=*/mlir::ValueRange(), /*multicastMask=*/Value(),
      /*l2CacheHint=*/Value(), NVVM::TMALoadMode::TILE, /*isCTAOnly=*/false, /*group=*/NVVM::CTAGroupKindAttr(),
      /*predicate=*/Value());
}

void Emitter::storeTensor(Value shared, Value tensorMap, llvm::ArrayRef<Value> coordinates) {
  NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp::create(builder, location, tensorMap, shared, coordinates, /*l2CacheHint=*/Value(),
                                                     NVVM::TMAStoreMode::TILE, /*predicate=*/Value());
}
void Emitter::commitTensorStores() { NVVM::CpAsyncBulkCommitGroupOp::create(builder, location); }
void Emitter::waitTensorStores() {
  NVVM::CpAsyncBulkWaitGroupOp::create(builder, location, builder.getI32IntegerAttr(0), /*read=*/builder.getUnitAttr());
}

void Emitter::prefetchTensorMap(Value tensorMap) { assembly("prefetch.tensormap [$0];", "l", {tensorMap}); }

//===----------------------------------------------------------------------===//
// Warps and warpgroups
//===----------------------------------------------------------------------===//

void Emitter::setRegisters(unsigned count, bool increase) {
  auto action = increase ? NVVM::SetMaxRegisterAction::increase : NVVM::SetMaxRegisterAction::decrease;
  NVVM::SetMaxRegisterOp::create(builder, location, count, action);
}

Value Emitter::electLane() { return NVVM::ElectSyncOp::create(builder, location, i1Type(), Value()); }

void Emitter::syncNamedBarrier(Value number, unsigned threads) {
  assembly(fmt::format("bar.sync $0, {};", threads), "r,~{memory}", {number});
}

Value Emitter::anyAtNamedBarrier(Value number, unsigned threads, Value condition) {
  // The vote changes nothing; by it ptxas knows the result to be uniform, and keeps addresses in uniform registers behind it.
  std::string text = fmt::format("{{ .reg .pred p; bar.red.or.pred p, $1, {}, $2; vote.sync.any.pred $0, p, 0xffffffff; }}", threads);
  auto any = assembly(text, "=b,r,b,~{memory}", {number, condition}, {i1Type()});
  return any.front();
}

void Emitter::arriveAtNamedBarrier(Value number, unsigned threads, Value predicate) {
  if (predicate)
    assembly(fmt::format("@$1 bar.arrive $0, {};", threads), "r,b,~{memory}", {number, predicate});
  else
    assembly(fmt::format("bar.arrive $0, {};", threads), "r,~{memory}", {number});
}

void Emitter::fenceAsyncShared() {
  auto space = NVVM::SharedSpaceAttr::get(builder.getContext(), NVVM::SharedSpace::shared_cta);
  NVVM::FenceProxyOp::create(builder, location, NVVM::ProxyKind::async_shared, space);
}

} // namespace attn::codegen
