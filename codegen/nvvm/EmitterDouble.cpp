// How instructions on pairs and matrices of f64 are spelled in the `llvm` and `nvvm` dialects.
#include "codegen/nvvm/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace attn::codegen {

namespace LLVM = mlir::LLVM;
namespace NVVM = mlir::NVVM;
using mlir::Value;

static constexpr unsigned kPairBytes = 16;

std::array<Value, 2> Emitter::loadDoubles(Value pointer) {
  Value pair = load(mlir::VectorType::get({2}, f64Type()), pointer, kPairBytes);
  return {LLVM::ExtractElementOp::create(builder, location, pair, i32(0)),
          LLVM::ExtractElementOp::create(builder, location, pair, i32(1))};
}

void Emitter::storePair(Value first, Value second, Value pointer) {
  if (first.getType().isF32())
    return storeWords({asInt(first), asInt(second)}, pointer);
  mlir::Type type = mlir::VectorType::get({2}, f64Type());
  Value pair = LLVM::PoisonOp::create(builder, location, type);
  pair = LLVM::InsertElementOp::create(builder, location, type, pair, first, i32(0));
  pair = LLVM::InsertElementOp::create(builder, location, type, pair, second, i32(1));
  store(pair, pointer, kPairBytes);
}

/// c + a·b of m8n8k4: an element a lane of A and B, two of the sum.
static std::array<Value, 2> multiplySmall(Emitter &e, Value a, Value b, std::array<Value, 2> c) {
  mlir::Type result = LLVM::LLVMStructType::getLiteral(e.builder.getContext(), {e.f64Type(), e.f64Type()});
  static constexpr std::int64_t shape[] = {8, 8, 4};
  auto type = NVVM::MMATypes::f64;
  Value product = NVVM::MmaOp::create(e.builder, e.location, result, mlir::ValueRange{a}, mlir::ValueRange{b}, mlir::ValueRange{c[0], c[1]}, shape,
                                      std::nullopt, std::nullopt, std::array{type, type},
                                      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  return {LLVM::ExtractValueOp::create(e.builder, e.location, product, 0), LLVM::ExtractValueOp::create(e.builder, e.location, product, 1)};
}

llvm::SmallVector<Value> Emitter::mmaDouble(llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b, llvm::ArrayRef<Value> c, bool tall) {
  llvm::SmallVector<Value> sums(c);
  if (!tall) { // a0, a2: rows 0 … 7, k 0 … 3 and 4 … 7; a1, a3: the rows below
    for (int half : {0, 1})
      for (int part : {0, 1}) {
        auto sum = multiplySmall(*this, a[half + 2 * part], b[part], {sums[2 * half], sums[2 * half + 1]});
        sums[2 * half] = sum[0];
        sums[2 * half + 1] = sum[1];
      }
    return sums;
  }
  // NVVM has no operation of this shape.
  llvm::SmallVector<mlir::Type> types(4, f64Type());
  mlir::Type result = LLVM::LLVMStructType::getLiteral(builder.getContext(), types);
  llvm::SmallVector<Value> operands(a);
  llvm::append_range(operands, b);
  llvm::append_range(operands, c);
  auto product = LLVM::InlineAsmOp::create(
      builder, location, result, operands,
      "mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};",
      "=d,=d,=d,=d,d,d,d,d,d,d,0,1,2,3", /*has_side_effects=*/false, /*is_align_stack=*/false, LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(builder.getContext(), LLVM::AsmDialect::AD_ATT), mlir::ArrayAttr());
  for (int i = 0; i < 4; ++i)
    sums[i] = LLVM::ExtractValueOp::create(builder, location, product.getRes(), i);
  return sums;
}

} // namespace attn::codegen
