// Dispatch over the kinds of expressions, and the leaves.
#include "dsl/AstToAttnExpr.h"

#include "ir/attn/AttnDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/TypeUtilities.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace attn::dsl {

Location locationOf(MLIRContext *context, const TypedSpec &spec, SourcePosition position) {
  if (position.line == 0)
    position = spec.position;
  return FileLineColLoc::get(context, spec.fileName(position), position.line, position.column);
}

Value ExprEmitter::refuse(const TypedExpr *expr, const Twine &why) {
  emitError(locationOf(expr)) << why;
  return {};
}

mlir::Type ExprEmitter::realType() { return isWide ? mlir::Type(builder.getF64Type()) : arguments.real; }

Value ExprEmitter::emit(const TypedExpr *expr) {
  if (isWide && arguments.real.isF32() && expr->type.kind == Type::Kind::F32)
    return emitWide(expr);
  llvm::SaveAndRestore narrow(isWide, false);
  auto &memo = expr->domain.bound ? emittedInBody : emitted;
  if (auto found = memo.find(expr); found != memo.end())
    return found->second;
  Value value = emitNew(expr);
  if (value)
    (expr->domain.bound ? emittedInBody : emitted)[expr] = value;
  return value;
}

/// Kinds that compute with numbers, and so can do it in f64 as well.
static bool isArithmetic(const TypedExpr &expr) {
  return expr.type.kind == Type::Kind::F32 &&
         (expr.kind == ExprKind::Number || expr.kind == ExprKind::ToF32 || expr.kind == ExprKind::Unary ||
          expr.kind == ExprKind::Binary || expr.kind == ExprKind::If);
}

bool ExprEmitter::needsWide(const TypedExpr *expr) {
  if (laneCount || !isArithmetic(*expr) || expr->kind == ExprKind::ToF32)
    return false;
  if (expr->kind == ExprKind::Number)
    return static_cast<double>(static_cast<float>(expr->number)) != expr->number;
  if (auto found = wideNeeds.find(expr); found != wideNeeds.end())
    return found->second;
  bool needs = llvm::any_of(expr->operands, [&](const TypedExpr *operand) { return needsWide(operand); });
  return wideNeeds[expr] = needs;
}

Value ExprEmitter::emitExact(const TypedExpr *expr, bool wide) {
  llvm::SaveAndRestore mode(isWide, wide);
  return emit(expr);
}

Value ExprEmitter::widen(Location location, Value narrow) {
  mlir::Type wide = builder.getF64Type();
  if (auto lanes = dyn_cast<VectorType>(narrow.getType()))
    wide = lanes.clone(wide);
  return narrow.getType() == wide ? narrow : arith::ExtFOp::create(builder, location, wide, narrow).getResult();
}

Value ExprEmitter::emitWide(const TypedExpr *expr) {
  if (Value known = emittedWide.lookup(expr); known && !expr->domain.bound)
    return known;
  Value value;
  if (isArithmetic(*expr)) {
    value = emitNew(expr);
  } else {
    value = emitExact(expr, false);
    value = value ? widen(locationOf(expr), value) : value;
  }
  return emittedWide[expr] = value;
}

Value ExprEmitter::emitNew(const TypedExpr *expr) {
  Location location = locationOf(expr);
  switch (expr->kind) {
  case ExprKind::Number:
    return emitNumber(expr);
  case ExprKind::Boolean:
    return arith::ConstantOp::create(builder, location, builder.getBoolAttr(expr->boolean));
  case ExprKind::Index:
    return ir::IndexOp::create(builder, location, static_cast<ir::IndexKind>(expr->index));
  case ExprKind::Size:
    return ir::SizeOp::create(builder, location, expr->name);
  case ExprKind::SoftmaxScale:
    return arguments.softmaxScale;
  case ExprKind::Scalar:
    return arguments.scalars[expr->parameter];
  case ExprKind::Input:
    if (Value row = inputs[static_cast<unsigned>(expr->input)])
      return row;
    return refuse(expr, "`" + StringRef(spelling(expr->input)) +
                            "` is used here other than in a product of a query's and a key's vector; this is not compiled yet");
  case ExprKind::Read:
    return emitRead(expr);
  case ExprKind::Variable:
    return emitVariable(expr);
  case ExprKind::ToF32: {
    Value operand = emit(expr->operands[0]);
    if (!operand)
      return {};
    if (isa<VectorType, FloatType>(operand.getType())) // lanes are numbers as it is
      return isWide ? widen(location, operand) : operand;
    return arith::SIToFPOp::create(builder, location, realType(), operand);
  }
  case ExprKind::Unary:
    return emitUnary(expr);
  case ExprKind::Binary:
    return emitBinary(expr);
  case ExprKind::Compare:
    return emitCompare(expr);
  case ExprKind::Not:
  case ExprKind::And:
  case ExprKind::Or:
    return emitLogic(expr);
  case ExprKind::If:
    return emitIf(expr);
  case ExprKind::WeightedSum:
  case ExprKind::Softmax:
  case ExprKind::Normalize:
    return refuse(expr, "the weights are used here in a way that is not compiled yet");
  case ExprKind::Dropout:
    return emitDropout(expr);
  case ExprKind::SuffixSum: {
    Value operand = emit(expr->operands[0]);
    return operand ? ir::SuffixSumOp::create(builder, location, operand) : Value();
  }
  default:
    return emitVector(expr);
  }
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

Value ExprEmitter::constant(Location location, double value, mlir::Type like) {
  mlir::Type element = getElementTypeOrSelf(like);
  Attribute attribute = element.isF64()   ? Attribute(builder.getF64FloatAttr(value))
                        : element.isF32() ? Attribute(builder.getF32FloatAttr(static_cast<float>(value)))
                                          : Attribute(builder.getI32IntegerAttr(static_cast<std::int32_t>(value)));
  if (auto vector = dyn_cast<VectorType>(like))
    attribute = DenseElementsAttr::get(vector, attribute);
  return arith::ConstantOp::create(builder, location, cast<TypedAttr>(attribute));
}

Value ExprEmitter::emitNumber(const TypedExpr *expr) {
  bool isInteger = expr->type.kind == Type::Kind::I32;
  return constant(locationOf(expr), expr->number, isInteger ? mlir::Type(builder.getI32Type()) : realType());
}

Value ExprEmitter::emitVariable(const TypedExpr *expr) {
  Value value = variables.lookup(expr);
  assert(value && "a variable stands in the body that binds it");
  return value;
}

Value ExprEmitter::loadRow(const TypedExpr *read, ArrayRef<const TypedExpr *> indices) {
  const TensorParameter &tensor = spec.tensors[read->parameter];
  auto type = cast<ir::AttnTensorType>(arguments.tensors[read->parameter].getType());
  std::optional<int64_t> length = type.getConstantSize(type.getRank() - 1);
  if (!length || !isFloat(tensor.element))
    return refuse(read, "rows of `" + tensor.name + "` are read as vectors, which takes floating elements and a constant length");
  SmallVector<Value> values;
  for (const TypedExpr *index : indices)
    if (!values.emplace_back(emit(index)))
      return {};
  auto rowType = VectorType::get({*length}, arguments.real);
  return ir::LoadOp::create(builder, locationOf(read), rowType, arguments.tensors[read->parameter], values);
}

/// The constant c where `index` is `variable` + c.
static std::optional<int64_t> offsetFrom(const TypedExpr *index, const TypedExpr *variable) {
  if (index == variable)
    return 0;
  if (index->kind != ExprKind::Binary || (index->binary != BinaryOp::Add && index->binary != BinaryOp::Sub))
    return std::nullopt;
  const TypedExpr *lhs = index->operands[0], *rhs = index->operands[1];
  if (lhs == variable && rhs->kind == ExprKind::Number)
    return index->binary == BinaryOp::Add ? rhs->integer() : -rhs->integer();
  if (rhs == variable && lhs->kind == ExprKind::Number && index->binary == BinaryOp::Add)
    return lhs->integer();
  return std::nullopt;
}

static const TypedExpr *findVariable(const TypedExpr *expr) {
  if (expr->kind == ExprKind::Variable)
    return expr;
  for (const TypedExpr *operand : expr->operands)
    if (operand->domain.bound)
      if (const TypedExpr *found = findVariable(operand))
        return found;
  return nullptr;
}

Value ExprEmitter::emitRead(const TypedExpr *expr) {
  ArrayRef<const TypedExpr *> indices = expr->operands;
  if (expr->type.isVector())
    return loadRow(expr, indices);
  if (expr->domain.bound && laneCount) {
    // Lanes read neighbours: the row, or a part of it.
    bool isRow = llvm::none_of(indices.drop_back(), [](const TypedExpr *index) { return index->domain.bound; });
    const TypedExpr *variable = findVariable(indices.back());
    std::optional<int64_t> offset = isRow && variable ? offsetFrom(indices.back(), variable) : std::nullopt;
    if (!offset)
      return refuse(expr, "channels read `" + spec.tensors[expr->parameter].name +
                              "` other than one after another; this is not compiled yet");
    Value row = loadRow(expr, indices.drop_back());
    if (!row)
      return {};
    int64_t length = cast<VectorType>(row.getType()).getNumElements();
    if (*offset < 0 || *offset + laneCount > length)
      return refuse(expr, "channels read `" + spec.tensors[expr->parameter].name + "` past its end");
    if (*offset == 0 && laneCount == length)
      return row;
    return vector::ExtractStridedSliceOp::create(builder, locationOf(expr), row, ArrayRef<int64_t>{*offset},
                                                 ArrayRef<int64_t>{laneCount}, ArrayRef<int64_t>{1});
  }
  SmallVector<Value> values;
  for (const TypedExpr *index : indices)
    if (!values.emplace_back(emit(index)))
      return {};
  mlir::Type type = expr->type.kind == Type::Kind::Bool  ? mlir::Type(builder.getI1Type())
                    : expr->type.kind == Type::Kind::I32 ? mlir::Type(builder.getI32Type())
                                                         : arguments.real;
  return ir::LoadOp::create(builder, locationOf(expr), type, arguments.tensors[expr->parameter], values);
}

} // namespace attn::dsl
