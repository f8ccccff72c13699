// How memory, warp and matrix instructions are spelled in the `llvm` and `nvvm` dialects.
#include "codegen/nvvm/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace attn::codegen {

namespace LLVM = mlir::LLVM;
namespace NVVM = mlir::NVVM;
using mlir::Value;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value Emitter::offset(Value pointer, Value bytes) {
  if (auto constant = constantOf(bytes))
    return offset(pointer, *constant);
  return LLVM::GEPOp::create(builder, location, pointer.getType(), builder.getI8Type(), pointer, LLVM::GEPArg(bytes));
}

Value Emitter::offset(Value pointer, std::int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return LLVM::GEPOp::create(builder, location, pointer.getType(), builder.getI8Type(), pointer,
                             LLVM::GEPArg(static_cast<std::int32_t>(bytes)));
}

Value Emitter::addressOf(Value pointer) { return LLVM::PtrToIntOp::create(builder, location, i32Type(), pointer); }

Value Emitter::load(mlir::Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(builder, location, type, pointer, alignment);
}

Value Emitter::loadInvariant(mlir::Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(builder, location, type, pointer, alignment, /*isVolatile=*/false, /*isNonTemporal=*/false,
                              /*isInvariant=*/true);
}

void Emitter::store(Value value, Value pointer, unsigned alignment) {
  LLVM::StoreOp::create(builder, location, value, pointer, alignment);
}

/// One predicated instruction: a branch a load would cost more, and a clamped address would still touch memory.
Value Emitter::loadIf(Value predicate, mlir::Type type, Value pointer) {
  unsigned bits = type.getIntOrFloatBitWidth();
  llvm::StringRef suffix = bits == 64 ? "b64" : bits == 32 ? "b32" : bits == 16 ? "s16" : "s8";
  llvm::StringRef move = bits == 64 ? "b64" : "b32";
  mlir::Type result = bits == 64 ? i64Type() : i32Type();
  std::string text = ("{ .reg .pred p; setp.ne.b32 p, $2, 0; mov." + move + " $0, 0; @p ld.global.nc." + suffix + " $0, [$1]; }").str();
  llvm::StringRef constraints = bits == 64 ? "=l,l,r" : "=r,l,r";
  auto loaded = LLVM::InlineAsmOp::create(
      builder, location, result, mlir::ValueRange{pointer, zeroExtend(predicate, i32Type())}, text, constraints,
      /*has_side_effects=*/false, /*is_align_stack=*/false, LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(builder.getContext(), LLVM::AsmDialect::AD_ATT), mlir::ArrayAttr());
  Value value = loaded.getRes();
  if (bits >= 32)
    return bitcast(value, type);
  return type.isInteger() ? value : bitcast(truncateInt(value, i16Type()), type);
}

llvm::SmallVector<Value> Emitter::loadWords(Value pointer, int count) {
  if (count == 1)
    return {load(i32Type(), pointer, 4)};
  mlir::Type vector = mlir::VectorType::get({count}, i32Type());
  Value loaded = load(vector, pointer, 4 * count);
  llvm::SmallVector<Value> words;
  for (int i = 0; i < count; ++i)
    words.push_back(LLVM::ExtractElementOp::create(builder, location, loaded, i32(i)));
  return words;
}

void Emitter::storeWords(llvm::ArrayRef<Value> words, Value pointer) {
  if (words.size() == 1)
    return store(words[0], pointer, 4);
  mlir::Type vector = mlir::VectorType::get({static_cast<std::int64_t>(words.size())}, i32Type());
  Value value = LLVM::PoisonOp::create(builder, location, vector);
  for (std::size_t i = 0; i < words.size(); ++i)
    value = LLVM::InsertElementOp::create(builder, location, vector, value, words[i], i32(i));
  store(value, pointer, 4 * words.size());
}

//===----------------------------------------------------------------------===//
// Warp and block
//===----------------------------------------------------------------------===//

Value Emitter::threadIndex() { return NVVM::ThreadIdXOp::create(builder, location, i32Type()); }

Value Emitter::blockIndex(int dimension) {
  switch (dimension) {
  case 0:
    return NVVM::BlockIdXOp::create(builder, location, i32Type());
  case 1:
    return NVVM::BlockIdYOp::create(builder, location, i32Type());
  default:
    return NVVM::BlockIdZOp::create(builder, location, i32Type());
  }
}

Value Emitter::gridSize(int dimension) {
  switch (dimension) {
  case 0:
    return NVVM::GridDimXOp::create(builder, location, i32Type());
  case 1:
    return NVVM::GridDimYOp::create(builder, location, i32Type());
  default:
    return NVVM::GridDimZOp::create(builder, location, i32Type());
  }
}

/// The instruction moves 32 bits; 64 go in halves.
Value Emitter::shuffle(Value a, Value lane, bool isXor) {
  auto kind = isXor ? NVVM::ShflKind::bfly : NVVM::ShflKind::idx;
  if (a.getType().getIntOrFloatBitWidth() == 64) {
    mlir::Type halves = mlir::VectorType::get({2}, i32Type());
    Value words = bitcast(a, halves), moved = LLVM::PoisonOp::create(builder, location, halves);
    for (int i : {0, 1}) {
      Value word = shuffle(LLVM::ExtractElementOp::create(builder, location, words, i32(i)), lane, isXor);
      moved = LLVM::InsertElementOp::create(builder, location, halves, moved, word, i32(i));
    }
    return bitcast(moved, a.getType());
  }
  return NVVM::ShflOp::create(builder, location, a.getType(), i32(-1), a, lane, i32(31), kind, mlir::UnitAttr());
}

Value Emitter::shuffleXor(Value a, int distance) { return shuffle(a, i32(distance), /*isXor=*/true); }

Value Emitter::shuffleFrom(Value a, Value lane) { return shuffle(a, lane, /*isXor=*/false); }

void Emitter::barrier() { NVVM::BarrierOp::create(builder, location); }

void Emitter::syncWarp() { NVVM::SyncWarpOp::create(builder, location, i32(-1)); }

/// A predicated instruction: a branch would split the block.
void Emitter::trapUnless(Value condition) {
  LLVM::InlineAsmOp::create(builder, location, mlir::TypeRange(), mlir::ValueRange{zeroExtend(condition, i32Type())},
                            "{ .reg .pred p; setp.eq.b32 p, $0, 0; @p trap; }", "r", /*has_side_effects=*/true,
                            /*is_align_stack=*/false, LLVM::TailCallKind::None,
                            LLVM::AsmDialectAttr::get(builder.getContext(), LLVM::AsmDialect::AD_ATT), mlir::ArrayAttr());
}

void Emitter::trap() { LLVM::Trap::create(builder, location); }

//===----------------------------------------------------------------------===//
// Tensor cores and asynchronous copies
//===----------------------------------------------------------------------===//

llvm::SmallVector<Value> Emitter::ldmatrix(Value pointer, int count, bool transposed) {
  llvm::SmallVector<mlir::Type> words(count, i32Type());
  mlir::Type result = count == 1 ? i32Type() : LLVM::LLVMStructType::getLiteral(builder.getContext(), words);
  auto layout = transposed ? NVVM::MMALayout::col : NVVM::MMALayout::row;
  auto shape = NVVM::LdStMatrixShapeAttr::get(builder.getContext(), 8, 8);
  Value loaded = NVVM::LdMatrixOp::create(builder, location, result, pointer, count, layout, shape, NVVM::LdStMatrixEltType::B16);
  if (count == 1)
    return {loaded};
  llvm::SmallVector<Value> registers;
  for (int i = 0; i < count; ++i)
    registers.push_back(LLVM::ExtractValueOp::create(builder, location, loaded, i));
  return registers;
}

Value Emitter::anyInWarp(Value condition) {
  return NVVM::VoteSyncOp::create(builder, location, i1Type(), i32(-1), condition,
                                  NVVM::VoteSyncKindAttr::get(builder.getContext(), NVVM::VoteSyncKind::any));
}

Value Emitter::ballot(Value condition) {
  return NVVM::VoteSyncOp::create(builder, location, i32Type(), i32(-1), condition,
                                  NVVM::VoteSyncKindAttr::get(builder.getContext(), NVVM::VoteSyncKind::ballot));
}

void Emitter::stmatrix(Value pointer, llvm::ArrayRef<Value> matrices) {
  auto shape = NVVM::LdStMatrixShapeAttr::get(builder.getContext(), 8, 8);
  NVVM::StMatrixOp::create(builder, location, pointer, matrices, NVVM::MMALayout::row, shape, NVVM::LdStMatrixEltType::B16);
}

llvm::SmallVector<Value> Emitter::mma(mlir::Type element, llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b,
                                      llvm::ArrayRef<Value> c) {
  bool isBrain = element.isBF16();
  mlir::Type operand = isBrain ? i32Type() : mlir::VectorType::get({2}, element);
  llvm::SmallVector<Value, 4> left, right;
  for (Value value : a)
    left.push_back(bitcast(value, operand));
  for (Value value : b)
    right.push_back(bitcast(value, operand));
  mlir::Type result = LLVM::LLVMStructType::getLiteral(builder.getContext(), llvm::SmallVector<mlir::Type>(4, f32Type()));
  auto type = isBrain ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  static constexpr std::int64_t shape[] = {16, 8, 16};
  Value product = NVVM::MmaOp::create(builder, location, result, left, right, c, shape, std::nullopt, std::nullopt,
                                      std::array{type, type}, std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  llvm::SmallVector<Value> registers;
  for (int i = 0; i < 4; ++i)
    registers.push_back(LLVM::ExtractValueOp::create(builder, location, product, i));
  return registers;
}

llvm::SmallVector<Value> Emitter::mmaTf32(llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b, llvm::ArrayRef<Value> c) {
  mlir::Type result = LLVM::LLVMStructType::getLiteral(builder.getContext(), llvm::SmallVector<mlir::Type>(4, f32Type()));
  static constexpr std::int64_t shape[] = {16, 8, 8};
  auto type = NVVM::MMATypes::tf32;
  Value product = NVVM::MmaOp::create(builder, location, result, a, b, c, shape, std::nullopt, std::nullopt, std::array{type, type},
                                      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  llvm::SmallVector<Value> registers;
  for (int i = 0; i < 4; ++i)
    registers.push_back(LLVM::ExtractValueOp::create(builder, location, product, i));
  return registers;
}

Value Emitter::roundToTf32(Value a) {
  return NVVM::ConvertFloatToTF32Op::create(builder, location, i32Type(), asFloat(a), NVVM::FPRoundingMode::RNA);
}

void Emitter::copyAsync(Value shared, Value global, Value bytes) {
  NVVM::CpAsyncOp::create(builder, location, shared, global, 16, NVVM::LoadCacheModifierKind::CG, bytes);
}
void Emitter::commitCopies() { NVVM::CpAsyncCommitGroupOp::create(builder, location); }
void Emitter::waitCopies(int pending) { NVVM::CpAsyncWaitGroupOp::create(builder, location, pending); }

} // namespace attn::codegen
