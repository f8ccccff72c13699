// See DiagonalOps.h. Constraints of the operations, by the labels of their descriptions.
#include "ir/tile/DiagonalOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace attn::tile;

#define GET_OP_CLASSES
#include "ir/tile/DiagonalOps.cpp.inc"

static ArrayRef<int64_t> shapeOf(Type type) {
  if (auto buffer = dyn_cast<BufferType>(type))
    return buffer.getShape();
  return cast<FragType>(type).getShape();
}

static Type elementOf(Type type) {
  if (auto buffer = dyn_cast<BufferType>(type))
    return buffer.getElementType();
  return cast<FragType>(type).getElementType();
}

static bool isSumOf(Type sum, Type element) { return element.isF64() ? sum.isF64() : sum.isF32(); }

using Effects = SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;

static void readsBuffers(ArrayRef<OpOperand *> operands, Effects &effects) {
  for (OpOperand *operand : operands)
    if (isa<BufferType>(operand->get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), operand);
}

LogicalResult TabulateOp::verify() {
  Type i32 = IntegerType::get(getContext(), 32);
  SmallVector<Type> positions{i32, i32};
  if (shapeOf(getType()).size() != 2 || getBody().front().getArgumentTypes() != TypeRange(positions)) // (C1)
    return emitOpError("expects two dimensions and region arguments (i32, i32), but got ") << getType();
  Type element = elementOf(getType());
  bool isNarrow = isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
  Type expected = isNarrow ? Type(Float32Type::get(getContext())) : element;
  auto yield = dyn_cast<YieldOp>(getBody().front().getTerminator());
  if (!yield || yield.getValues().getTypes() != TypeRange(expected)) // (C2)
    return emitOpError("expects its region to yield ") << expected;
  return success();
}

void DiagonalDotOp::getEffects(Effects &effects) {
  SmallVector<OpOperand *> read{&getOperandMutable(), &getDiagonalsMutable()};
  for (OpOperand &row : getRowMutable())
    read.push_back(&row);
  readsBuffers(read, effects);
}

LogicalResult DiagonalDotOp::verify() {
  ArrayRef<int64_t> operand = shapeOf(getOperand().getType()), diagonals = shapeOf(getDiagonals().getType());
  FragType result = getType();
  if (operand.size() != 2 || diagonals.size() != 2 || result.getRank() != 2)
    return emitOpError("expects operands and a result of two dimensions");
  int64_t rows = result.getRows(), columns = result.getColumns();
  if (operand[0] != (getColumns() ? columns : rows) || diagonals[0] != rows + columns || operand[1] != diagonals[1]) // (C1)
    return emitOpError("expects ") << (getColumns() ? "C" : "R") << " x K, (R + C) x K and R x C, but got "
                                   << getOperand().getType() << ", " << getDiagonals().getType() << " and " << result;
  if (elementOf(getOperand().getType()) != elementOf(getDiagonals().getType()) || !isSumOf(result.getElementType(), elementOf(getOperand().getType()))) // (C2)
    return emitOpError("expects operands of one element type and an f32 result (f64 of f64 operands), but got ")
           << getOperand().getType() << ", " << getDiagonals().getType() << " and " << result;
  if (rows % 16 != 0 || columns % 16 != 0 || operand[1] % 16 != 0) // (C3)
    return emitOpError("expects R, C and K multiples of 16, but got ") << rows << ", " << columns << " and " << operand[1];
  if (getAcc() && getAcc().getType() != result) // (C4)
    return emitOpError("expects ") << result << " to add to, but got " << getAcc().getType();
  if (static_cast<bool>(getRow()) != static_cast<bool>(getAlike())) // (C5)
    return emitOpError("expects `row` where it has `alike`");
  if (getRow() && (shapeOf(getRow().getType()) != ArrayRef<int64_t>({16, operand[1]}) || elementOf(getRow().getType()) != elementOf(getDiagonals().getType()))) // (C1), (C2)
    return emitOpError("expects 16 x ") << operand[1] << " rows that are alike, of the diagonals' type, but got " << getRow().getType();
  return success();
}

void DiagonalSumOp::getEffects(Effects &effects) {
  SmallVector<OpOperand *> read{&getDiagonalsMutable()};
  for (OpOperand &row : getRowMutable())
    read.push_back(&row);
  readsBuffers(read, effects);
}

LogicalResult DiagonalSumOp::verify() {
  FragType weights = getWeights().getType(), acc = getAcc().getType();
  ArrayRef<int64_t> diagonals = shapeOf(getDiagonals().getType());
  if (weights.getRank() != 2 || diagonals.size() != 2 || acc.getRank() != 2)
    return emitOpError("expects operands of two dimensions");
  int64_t rows = weights.getRows(), columns = weights.getColumns();
  if (diagonals[0] != rows + columns || diagonals[1] < acc.getColumns() || acc.getRows() != rows) // (C1)
    return emitOpError("expects R x C, (R + C) x N and R x N, but got ")
           << weights << ", " << getDiagonals().getType() << " and " << acc;
  if (weights.getElementType() != elementOf(getDiagonals().getType()) || !isSumOf(acc.getElementType(), weights.getElementType())) // (C2)
    return emitOpError("expects weights and diagonals of one element type and an f32 accumulator (f64 of f64 operands), but got ")
           << weights << ", " << getDiagonals().getType() << " and " << acc;
  if (static_cast<bool>(getRow()) != static_cast<bool>(getAlike())) // (C4)
    return emitOpError("expects `row` where it has `alike`");
  if (getRow() && (shapeOf(getRow().getType()) != ArrayRef<int64_t>({16, diagonals[1]}) || elementOf(getRow().getType()) != elementOf(getDiagonals().getType()))) // (C1), (C2)
    return emitOpError("expects 16 x ") << diagonals[1] << " rows that are alike, of the diagonals' type, but got " << getRow().getType();
  if (rows % 16 != 0 || columns % 16 != 0 || acc.getColumns() % 8 != 0) // (C3)
    return emitOpError("expects R and C multiples of 16 and N of 8, but got ")
           << rows << ", " << columns << " and " << acc.getColumns();
  return success();
}
