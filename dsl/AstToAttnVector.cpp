// Vectors: products of features, sums, slices, and the three forms that bind a channel or an element to a name.
#include "dsl/AstToAttnExpr.h"

#include "ir/attn/AttnDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace attn::dsl {

/// The most scalar channels that a sum at a point is unrolled into.
static constexpr int64_t kMaxUnrolledChannels = 256;

Value ExprEmitter::emitVector(const TypedExpr *expr) {
  switch (expr->kind) {
  case ExprKind::Dot:
    return emitProduct(expr);
  case ExprKind::Sum:
    return emitSum(expr);
  case ExprKind::Slice:
    return emitSlice(expr);
  case ExprKind::Concat:
    return emitConcat(expr);
  case ExprKind::Map:
    return emitMap(expr);
  case ExprKind::Vec:
    return emitVec(expr);
  case ExprKind::Rotate:
    return emitRotate(expr);
  default:
    llvm_unreachable("all other kinds are handled by emitNew");
  }
}

//===----------------------------------------------------------------------===//
// Products and sums
//===----------------------------------------------------------------------===//

Value ExprEmitter::emitFactors(const VectorTerm &term, Value product, Location location) {
  // Innermost first, as written.
  for (const TermFactor &factor : llvm::reverse(term.factors)) {
    if (factor.kind == TermFactor::Kind::Negated) {
      product = arith::NegFOp::create(builder, location, product);
      continue;
    }
    Value scalar = emit(factor.expr);
    if (!scalar)
      return {};
    if (factor.kind == TermFactor::Kind::OnlyIf || factor.kind == TermFactor::Kind::OnlyUnless) {
      Value zero = constant(location, 0, product.getType());
      bool isIf = factor.kind == TermFactor::Kind::OnlyIf;
      product = arith::SelectOp::create(builder, location, scalar, isIf ? product : zero, isIf ? zero : product);
      continue;
    }
    unify(location, product, scalar);
    if (factor.kind == TermFactor::Kind::Times)
      product = arith::MulFOp::create(builder, location, product, scalar);
    else
      product = arith::DivFOp::create(builder, location, product, scalar);
  }
  return product;
}

/// A product of vectors of the query and the key, from the features that are bound.
Value ExprEmitter::emitFeatureProduct(const TypedExpr *expr) {
  Location location = locationOf(expr);
  DistributedDot distributed = distributeDot(expr);
  assert(!distributed.offender && "features have been collected from this product");
  Value sum;
  for (const DotTerm &term : distributed.terms) {
    Value lhs = emit(term.lhs.vector), rhs = lhs ? emit(term.rhs.vector) : Value();
    if (!rhs)
      return {};
    Value product = ir::DotOp::create(builder, location, lhs, rhs);
    product = emitFactors(term.lhs, product, location);
    product = product ? emitFactors(term.rhs, product, location) : product;
    if (!product)
      return {};
    sum = sum ? arith::AddFOp::create(builder, location, sum, product).getResult() : product;
  }
  return sum;
}

bool ExprEmitter::canUnroll(const TypedExpr *expr, int64_t channels) {
  if (channels <= kMaxUnrolledChannels)
    return true;
  refuse(expr, "a sum over " + Twine(channels) + " channels for each query and key; at most " +
                   Twine(kMaxUnrolledChannels) + " are compiled");
  return false;
}

Value ExprEmitter::emitProduct(const TypedExpr *expr) {
  if (isPoint && expr->domain.inputs)
    return emitFeatureProduct(expr);
  Location location = locationOf(expr);
  const TypedExpr *first = expr->operands[0], *second = expr->operands[1];
  if (isPoint || laneCount) {
    Value sum;
    for (int64_t channel = 0; canUnroll(expr, first->type.length) && channel < first->type.length; ++channel) {
      Value lhs = emitChannel(first, channel), rhs = lhs ? emitChannel(second, channel) : Value();
      if (!rhs)
        return {};
      Value product = arith::MulFOp::create(builder, location, lhs, rhs);
      sum = sum ? arith::AddFOp::create(builder, location, sum, product).getResult() : product;
    }
    return sum;
  }
  Value lhs = emit(first), rhs = lhs ? emit(second) : Value();
  if (!rhs)
    return {};
  return vector::ReductionOp::create(builder, location, vector::CombiningKind::ADD,
                                     arith::MulFOp::create(builder, location, lhs, rhs));
}

Value ExprEmitter::emitSum(const TypedExpr *expr) {
  if (isPoint && expr->domain.inputs && productOperands(expr).first)
    return emitFeatureProduct(expr);
  const TypedExpr *summed = expr->operands[0];
  if (isPoint || laneCount) {
    Value sum;
    for (int64_t channel = 0; canUnroll(expr, summed->type.length) && channel < summed->type.length; ++channel) {
      Value term = emitChannel(summed, channel);
      if (!term)
        return {};
      sum = sum ? arith::AddFOp::create(builder, locationOf(expr), sum, term).getResult() : term;
    }
    return sum;
  }
  Value row = emit(summed);
  return row ? vector::ReductionOp::create(builder, locationOf(expr), vector::CombiningKind::ADD, row) : Value();
}

//===----------------------------------------------------------------------===//
// Whole vectors
//===----------------------------------------------------------------------===//

Value ExprEmitter::emitSlice(const TypedExpr *expr) {
  Value row = emit(expr->operands[0]);
  if (!row)
    return {};
  return vector::ExtractStridedSliceOp::create(builder, locationOf(expr), row, ArrayRef<int64_t>{expr->begin},
                                               ArrayRef<int64_t>{expr->end - expr->begin}, ArrayRef<int64_t>{1});
}

Value ExprEmitter::emitConcat(const TypedExpr *expr) {
  Location location = locationOf(expr);
  Value first = emit(expr->operands[0]), second = first ? emit(expr->operands[1]) : Value();
  if (!second)
    return {};
  Value whole = constant(location, 0, VectorType::get({expr->type.length}, arguments.real));
  int64_t middle = expr->operands[0]->type.length;
  whole = vector::InsertStridedSliceOp::create(builder, location, first, whole, ArrayRef<int64_t>{0}, ArrayRef<int64_t>{1});
  return vector::InsertStridedSliceOp::create(builder, location, second, whole, ArrayRef<int64_t>{middle},
                                              ArrayRef<int64_t>{1});
}

/// The body for all channels at once, `variable` standing for their numbers or elements.
Value ExprEmitter::emitLanes(const TypedExpr *owner, const TypedExpr *body, int64_t count, Value variable) {
  if (owner->domain.bound && laneCount)
    return refuse(owner, "a vector for each channel of another is not compiled yet");
  int64_t outerCount = laneCount;
  auto outerBody = std::move(emittedInBody);
  emittedInBody.clear();
  laneCount = count;
  variables[owner->variable] = variable;
  Value value = emit(body);
  laneCount = outerCount;
  emittedInBody = std::move(outerBody);
  if (value && !isa<VectorType>(value.getType()))
    value = broadcast(locationOf(body), value, count);
  return value;
}

Value ExprEmitter::emitMap(const TypedExpr *expr) {
  Value row = emit(expr->operands[0]);
  return row ? emitLanes(expr, expr->operands[1], expr->type.length, row) : Value();
}

Value ExprEmitter::emitVec(const TypedExpr *expr) {
  auto type = VectorType::get({expr->type.length}, arguments.real);
  Value channel = ir::ChannelOp::create(builder, locationOf(expr), type);
  return emitLanes(expr, expr->operands[0], expr->type.length, channel);
}

Value ExprEmitter::emitRotate(const TypedExpr *expr) {
  Location location = locationOf(expr);
  Value row = emit(expr->operands[0]);
  if (!row)
    return {};
  int64_t pairs = expr->dim / 2;
  auto type = VectorType::get({pairs}, arguments.real);
  Value channel = ir::ChannelOp::create(builder, location, type);
  // Angles in f64: at a position of 10^6, frequencies and constants of f32 are off by hundredths of a radian.
  llvm::SaveAndRestore mode(isWide, true);
  Value angle = emitLanes(expr, expr->operands[1], pairs, channel);
  if (!angle)
    return {};
  if (getElementTypeOrSelf(angle.getType()) != arguments.real)
    angle = arith::TruncFOp::create(builder, location, type, angle);
  return ir::RotateOp::create(builder, location, row.getType(), row, angle, expr->interleaved);
}

Value ExprEmitter::emitDropout(const TypedExpr *expr) {
  Location location = locationOf(expr);
  SmallVector<Value, 4> values;
  for (const TypedExpr *operand : expr->operands)
    if (!values.emplace_back(emit(operand)))
      return {};
  Value random = ir::RandomOp::create(builder, location, values[2], values[3]);
  if (arguments.real.isF64())
    random = widen(location, random);
  Value keeps = arith::CmpFOp::create(builder, location, arith::CmpFPredicate::OGE, random, values[1]);
  Value one = constant(location, 1, values[0].getType()), zero = constant(location, 0, values[0].getType());
  Value share = arith::SubFOp::create(builder, location, one, values[1]);
  Value factor = arith::DivFOp::create(builder, location, one, share); // the same for all points
  Value kept = arith::MulFOp::create(builder, location, values[0], factor);
  return arith::SelectOp::create(builder, location, keeps, kept, zero);
}

//===----------------------------------------------------------------------===//
// One channel at a time
//===----------------------------------------------------------------------===//

Value ExprEmitter::emitBody(const TypedExpr *owner, const TypedExpr *body, Value variable) {
  auto outerBody = std::move(emittedInBody);
  emittedInBody.clear();
  int64_t outerCount = std::exchange(laneCount, 0);
  variables[owner->variable] = variable;
  Value value = emit(body);
  laneCount = outerCount;
  emittedInBody = std::move(outerBody);
  return value;
}

Value ExprEmitter::emitChannel(const TypedExpr *vector, int64_t channel) {
  Location location = locationOf(vector);
  if (!vector->type.isVector())
    return emit(vector);
  switch (vector->kind) {
  case ExprKind::Vec: {
    Value number = constant(location, static_cast<double>(channel), builder.getI32Type());
    return emitBody(vector, vector->operands[0], number);
  }
  case ExprKind::Map: {
    Value element = emitChannel(vector->operands[0], channel);
    return element ? emitBody(vector, vector->operands[1], element) : Value();
  }
  case ExprKind::Slice:
    return emitChannel(vector->operands[0], vector->begin + channel);
  case ExprKind::Concat: {
    int64_t middle = vector->operands[0]->type.length;
    return channel < middle ? emitChannel(vector->operands[0], channel) : emitChannel(vector->operands[1], channel - middle);
  }
  case ExprKind::Read: {
    SmallVector<Value> indices;
    for (const TypedExpr *index : vector->operands)
      if (!indices.emplace_back(emit(index)))
        return {};
    indices.push_back(constant(location, static_cast<double>(channel), builder.getI32Type()));
    Value tensor = arguments.tensors[vector->parameter];
    mlir::Type loaded = cast<ir::AttnTensorType>(tensor.getType()).getLoadedType();
    if (loaded.isF32())
      loaded = arguments.real;
    Value element = ir::LoadOp::create(builder, location, loaded, tensor, indices);
    return isa<FloatType>(loaded) ? element : arith::SIToFPOp::create(builder, location, arguments.real, element).getResult();
  }
  case ExprKind::Binary: {
    Value lhs = emitChannel(vector->operands[0], channel);
    Value rhs = lhs ? emitChannel(vector->operands[1], channel) : Value();
    return rhs ? emitFloat(vector, lhs, rhs) : Value();
  }
  case ExprKind::If: {
    Value condition = emit(vector->operands[0]);
    Value yes = condition ? emitChannel(vector->operands[1], channel) : Value();
    Value no = yes ? emitChannel(vector->operands[2], channel) : Value();
    return no ? arith::SelectOp::create(builder, location, condition, yes, no) : Value();
  }
  case ExprKind::Unary:
    if (vector->unary == UnaryOp::Neg) {
      Value element = emitChannel(vector->operands[0], channel);
      return element ? arith::NegFOp::create(builder, location, element) : Value();
    }
    [[fallthrough]];
  default:
    if (vector->kind == ExprKind::Input)
      return refuse(vector, "rows are not multiplied with a matrix in a kernel: a row stands whole inside the function of `vec` or `map`; "
                            "give the kernel the product");
    return refuse(vector, "a vector for each query and key is not compiled yet");
  }
}

} // namespace attn::dsl
