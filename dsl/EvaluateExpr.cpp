// The state of one evaluating thread: scalars.
#include "dsl/EvaluateExpr.h"

#include "attn/Float.h"
#include "dsl/Float8Sum.h"

#include "dsl/Philox.h"

#include <cmath>
#include <limits>

namespace attn::dsl {

using Level = EvaluationProgram::Level;

ExprEvaluator::ExprEvaluator(const EvaluationProgram &program, bool emulates)
    : program(program), emulates(emulates), stamps(program.nodes.size(), 0), values(program.nodes.size(), 0),
      rows(program.nodes.size(), nullptr), buffer(program.storageSize, 0) {
  kept.resize(program.keptSize * program.kvLen);
  keptStamps.resize(program.nodes.size() * program.kvLen, 0);
}

void ExprEvaluator::moveToHead(std::int64_t newB, std::int64_t newH) {
  b = newB;
  h = newH;
  kvHead = h / (program.qHeads / program.kvHeads);
  ++clock;
  for (Level level : {Level::Head, Level::Row, Level::Column, Level::Point})
    levelStamps[static_cast<unsigned>(level)] = clock;
}

void ExprEvaluator::moveToRow(std::int64_t newRow) {
  qIdx = newRow;
  levelStamps[static_cast<unsigned>(Level::Row)] = levelStamps[static_cast<unsigned>(Level::Point)] = ++clock;
}

void ExprEvaluator::moveToColumn(std::int64_t newColumn) {
  kvIdx = newColumn;
  levelStamps[static_cast<unsigned>(Level::Column)] = levelStamps[static_cast<unsigned>(Level::Point)] = ++clock;
}

void ExprEvaluator::setWeight(double value) {
  weight = value;
  levelStamps[static_cast<unsigned>(Level::Point)] = ++clock;
}

std::string ExprEvaluator::describePoint() const {
  std::string text = "b=" + std::to_string(b) + ", h=" + std::to_string(h);
  if (qIdx >= 0)
    text += ", q_idx=" + std::to_string(qIdx);
  if (kvIdx >= 0)
    text += ", kv_idx=" + std::to_string(kvIdx);
  return text;
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

double ExprEvaluator::scalar(std::int32_t index) {
  const Node &node = program.nodes[index];
  if (node.isKept) {
    std::size_t slot = index * program.kvLen + kvIdx;
    double &value = kept[node.keptStorage * program.kvLen + kvIdx];
    if (keptStamps[slot] != levelStamps[static_cast<unsigned>(Level::Head)]) {
      value = computeScalar(node);
      keptStamps[slot] = levelStamps[static_cast<unsigned>(Level::Head)];
    }
    return value;
  }
  if (node.expr->kind == ExprKind::Variable)
    return values[index];
  std::uint64_t stamp = levelStamps[static_cast<unsigned>(node.level)];
  if (stamps[index] == stamp)
    return values[index];
  double value = computeScalar(node);
  values[index] = value;
  stamps[index] = stamp;
  return value;
}

double ExprEvaluator::computeIndex(const Node &node) const {
  switch (node.expr->index) {
  case IndexKind::B:
    return static_cast<double>(b);
  case IndexKind::H:
    return static_cast<double>(h);
  case IndexKind::KvHead:
    return static_cast<double>(kvHead);
  case IndexKind::QIdx:
    return static_cast<double>(qIdx);
  case IndexKind::KvIdx:
    return static_cast<double>(kvIdx);
  }
  return 0;
}

static bool compare(CompareOp op, double x, double y) {
  switch (op) {
  case CompareOp::Eq:
    return x == y;
  case CompareOp::Ne:
    return x != y;
  case CompareOp::Lt:
    return x < y;
  case CompareOp::Le:
    return x <= y;
  case CompareOp::Gt:
    return x > y;
  case CompareOp::Ge:
    return x >= y;
  }
  return false;
}

double ExprEvaluator::computeScalar(const Node &node) {
  const TypedExpr &expr = *node.expr;
  switch (expr.kind) {
  case ExprKind::Number:
    return expr.number;
  case ExprKind::Boolean:
    return expr.boolean;
  case ExprKind::Index:
    return computeIndex(node);
  case ExprKind::Not:
    return !condition(node.operands[0]);
  case ExprKind::And:
    return condition(node.operands[0]) && condition(node.operands[1]);
  case ExprKind::Or:
    return condition(node.operands[0]) || condition(node.operands[1]);
  case ExprKind::If:
    return scalar(condition(node.operands[0]) ? node.operands[1] : node.operands[2]);
  case ExprKind::Compare: {
    double x = scalar(node.operands[0]);
    return compare(expr.compare, x, scalar(node.operands[1]));
  }
  default:
    return computeNumber(node);
  }
}

/// What differs from request to request.
std::optional<std::int64_t> ExprEvaluator::sizeOfRequest(std::string_view name) const {
  if (b < 0)
    return std::nullopt;
  const RequestRows &rows = program.rows.requests[b];
  if (name == "q_len")
    return rows.qLen;
  if (name == "kv_len")
    return rows.kvLen;
  if (name == "q_start")
    return rows.qStart;
  if (name == "kv_start")
    return rows.kvStart;
  return std::nullopt;
}

double ExprEvaluator::computeNumber(const Node &node) {
  const TypedExpr &expr = *node.expr;
  switch (expr.kind) {
  case ExprKind::Size:
    if (std::optional<std::int64_t> own = sizeOfRequest(expr.name))
      return static_cast<double>(*own);
    if (auto found = program.extents.find(expr.name); found != program.extents.end())
      return static_cast<double>(found->second);
    throw EvaluationFailure{&expr, "`" + expr.name + "` has no value here"};
  case ExprKind::SoftmaxScale:
    return program.softmaxScale;
  case ExprKind::Scalar:
    return program.scalars[expr.parameter];
  case ExprKind::Read:
    return readScalar(node);
  case ExprKind::ToF32:
    return scalar(node.operands[0]);
  case ExprKind::Unary:
    return unary(node, expr.unary, scalar(node.operands[0]));
  case ExprKind::Binary: {
    double x = scalar(node.operands[0]);
    return binary(node, expr.binary, x, scalar(node.operands[1]));
  }
  case ExprKind::Dot:
    return dot(node);
  case ExprKind::Sum: {
    const double *row = vector(node.operands[0]);
    double sum = 0;
    for (std::int64_t c = 0; c < program.nodes[node.operands[0]].expr->type.length; ++c)
      sum += row[c];
    return sum;
  }
  case ExprKind::Softmax:
  case ExprKind::Normalize:
    return weight;
  case ExprKind::Dropout:
    return dropout(node);
  case ExprKind::SuffixSum:
    return suffixSum(node);
  default:
    throw EvaluationFailure{&expr, "internal: a vector where a number is needed"};
  }
}

double ExprEvaluator::checkI32(const Node &node, double value) {
  if (node.expr->type.kind != Type::Kind::I32)
    return value;
  if (!(value >= -0x1p31 && value < 0x1p31))
    throw EvaluationFailure{node.expr, "the result of `" +
                                           std::string(node.expr->kind == ExprKind::Unary ? spelling(node.expr->unary)
                                                                                          : spelling(node.expr->binary)) +
                                           "` does not fit in i32 (at " + describePoint() + ")"};
  return value;
}

static constexpr double kTangentStep = 0x1p-20; ///< of a tanh in a score (docs/numerics.md)
static constexpr double kInstructionRoundoff = 0x1p-11; ///< of `tanh.approx`, relative (PTX ISA)

/// What a kernel may make of a tanh in a score.
static double emulatedTangent(const EvaluationProgram &program, double x) {
  if (program.approximateTanh)
    return roundToTf32(static_cast<float>(std::tanh(x))); // as many bits as the instruction promises
  return std::nearbyint(std::tanh(x) / kTangentStep) * kTangentStep;
}

double ExprEvaluator::tangentRounding() {
  double sum = 0;
  for (const EvaluationProgram::Tangent &tangent : program.tangents) {
    double rounding = program.approximateTanh ? kInstructionRoundoff * std::fabs(scalar(tangent.node)) : kTangentStep / 2;
    for (auto [node, divides] : tangent.factors)
      rounding *= divides ? 1 / scalar(node) : scalar(node);
    sum += std::fabs(rounding);
  }
  return sum;
}

double ExprEvaluator::unary(const Node &node, UnaryOp op, double x) {
  switch (op) {
  case UnaryOp::Neg:
    return checkI32(node, -x);
  case UnaryOp::Abs:
    return checkI32(node, std::fabs(x));
  case UnaryOp::Floor:
    return checkI32(node, std::floor(x));
  case UnaryOp::Ceil:
    return checkI32(node, std::ceil(x));
  case UnaryOp::Round:
    return checkI32(node, std::nearbyint(x));
  case UnaryOp::Exp:
    return std::exp(x);
  case UnaryOp::Exp2:
    return std::exp2(x);
  case UnaryOp::Log:
    return std::log(x);
  case UnaryOp::Log2:
    return std::log2(x);
  case UnaryOp::Sin:
    return std::sin(x);
  case UnaryOp::Cos:
    return std::cos(x);
  case UnaryOp::Tanh:
    return emulates && node.isTangentOfScore ? emulatedTangent(program, x) : std::tanh(x);
  case UnaryOp::Sqrt:
    return std::sqrt(x);
  case UnaryOp::Rsqrt:
    return 1 / std::sqrt(x);
  case UnaryOp::Sigmoid:
    return 1 / (1 + std::exp(-x));
  case UnaryOp::Erf:
    return std::erf(x);
  case UnaryOp::Relu:
    return x < 0 ? 0 : x;
  }
  return x;
}

static double shift(double x, double count, bool left) {
  auto value = static_cast<std::int64_t>(x);
  auto bits = static_cast<int>(count);
  return static_cast<double>(left ? value * (std::int64_t{1} << bits) : value >> bits);
}

static double floorDivide(double x, double y) {
  auto a = static_cast<std::int64_t>(x), b = static_cast<std::int64_t>(y);
  std::int64_t quotient = a / b;
  return static_cast<double>(quotient - (a % b != 0 && (a < 0) != (b < 0)));
}

static double minimum(double x, double y) { return std::isnan(x) || x < y ? x : y; }
static double maximum(double x, double y) { return std::isnan(x) || x > y ? x : y; }

double ExprEvaluator::binary(const Node &node, BinaryOp op, double x, double y) {
  auto asInteger = [](double value) { return static_cast<std::int64_t>(value); };
  switch (op) {
  case BinaryOp::Add:
    return checkI32(node, x + y);
  case BinaryOp::Sub:
    return checkI32(node, x - y);
  case BinaryOp::Mul:
    return checkI32(node, x * y);
  case BinaryOp::Min:
    return minimum(x, y);
  case BinaryOp::Max:
    return maximum(x, y);
  case BinaryOp::Div:
    return x / y;
  case BinaryOp::Pow:
    return std::pow(x, y);
  case BinaryOp::FloorDiv:
  case BinaryOp::Mod:
    if (y == 0)
      throw EvaluationFailure{node.expr, "division by zero (at " + describePoint() + ")"};
    return op == BinaryOp::FloorDiv ? checkI32(node, floorDivide(x, y)) : x - floorDivide(x, y) * y;
  case BinaryOp::ShiftLeft:
  case BinaryOp::ShiftRight:
    if (y < 0 || y > 31)
      throw EvaluationFailure{node.expr, "a shift by " + std::to_string(asInteger(y)) + ", which is not within 0..31 (at " +
                                             describePoint() + ")"};
    return checkI32(node, shift(x, y, op == BinaryOp::ShiftLeft));
  case BinaryOp::BitAnd:
    return static_cast<double>(asInteger(x) & asInteger(y));
  case BinaryOp::BitXor:
    return static_cast<double>(asInteger(x) ^ asInteger(y));
  case BinaryOp::BitOr:
    return static_cast<double>(asInteger(x) | asInteger(y));
  }
  return x;
}

//===----------------------------------------------------------------------===//
// Memory, products, scans
//===----------------------------------------------------------------------===//

double unitRoundoff(ElementType type) {
  switch (type) {
  case ElementType::F64:
    return 0x1p-53;
  case ElementType::F32:
    return 0x1p-24;
  case ElementType::BF16:
    return 0x1p-8;
  case ElementType::F16:
    return 0x1p-11;
  case ElementType::E4M3:
    return 0x1p-4;
  default:
    return 0x1p-3;
  }
}

std::size_t ExprEvaluator::readOffset(const Node &node) {
  const WideTensor &tensor = program.tensors[node.expr->parameter];
  std::size_t offset = 0;
  for (std::size_t dim = 0; dim < tensor.shape.size(); ++dim) {
    double index = 0;
    if (dim < node.moreOperands.size()) {
      index = scalar(node.moreOperands[dim]);
      if (!(index >= 0 && index < static_cast<double>(tensor.shape[dim])))
        throw EvaluationFailure{node.expr, "index " + std::to_string(static_cast<std::int64_t>(index)) + " of dimension " +
                                               std::to_string(dim) + " of `" + *tensor.name + "` is not within 0.." +
                                               std::to_string(tensor.shape[dim] - 1) + " (at " + describePoint() + ")"};
    }
    offset = offset * tensor.shape[dim] + static_cast<std::size_t>(index);
  }
  return offset;
}

double ExprEvaluator::readScalar(const Node &node) {
  return program.tensors[node.expr->parameter].elements[readOffset(node)];
}

/// The relative size of what rounding does to an operand: nothing where it is an input as it is stored.
double ExprEvaluator::roundingOf(const Node &operand) const {
  if (operand.toTf32)
    return kTf32Roundoff;
  // Of f64 what its computation loses, here and in the kernel; an angle is a position times a power of a number.
  double steps = program.isDouble ? 8 + 4 * largestAngle : 1;
  return operand.isRounded ? steps * unitRoundoff(operand.rounding) : 0;
}

double ExprEvaluator::dot(const Node &node) {
  const double *x = vector(node.operands[0]), *y = vector(node.operands[1]);
  std::int64_t length = program.nodes[node.operands[0]].expr->type.length;
  if (emulates && node.expr->domain.inputs) {
    // A tensor core: sums of 16 products are added up in f32.
    double sum = 0;
    double magnitude = 0, squares = 0;
    for (std::int64_t c = 0; c < length;) {
      double part = 0;
      for (std::int64_t end = std::min(c + 16, length); c < end; ++c) {
        part += x[c] * y[c];
        magnitude += std::fabs(x[c] * y[c]);
        squares += x[c] * y[c] * x[c] * y[c];
      }
      sum = asComputed(program, sum + asComputed(program, part));
    }
    productMagnitude = std::max(productMagnitude, magnitude);
    if (program.float8Scores) {
      Float8Sum narrow = sumFloat8Products(x, y, static_cast<std::size_t>(length));
      productVariance = std::max(productVariance, narrow.variance);
      return narrow.sum;
    }
    double left = roundingOf(program.nodes[node.operands[0]]), right = roundingOf(program.nodes[node.operands[1]]);
    productVariance = std::max(productVariance, squares * (left * left + right * right));
    return sum;
  }
  double sums[4] = {};
  std::int64_t c = 0;
  for (; c + 4 <= length; c += 4)
    for (int i = 0; i < 4; ++i)
      sums[i] += x[c + i] * y[c + i];
  for (; c < length; ++c)
    sums[0] += x[c] * y[c];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// To 50 bits.
static double withoutLastBits(double value) {
  double scaled = 9 * value;
  return scaled - (scaled - value);
}

double ExprEvaluator::suffixSum(const Node &node) {
  SuffixRow &row = suffixRows[node.expr];
  std::uint64_t stamp = levelStamps[static_cast<unsigned>(Level::Row)];
  if (row.stamp != stamp) {
    if (!nested)
      nested = std::make_unique<ExprEvaluator>(program, emulates);
    if (nested->b != b || nested->h != h)
      nested->moveToHead(b, h);
    nested->moveToRow(qIdx);
    row.sums.assign(program.kvLen, 0);
    std::int32_t mask = program.indexOf(program.spec.mask);
    double sum = 0;
    for (std::int64_t key = program.rows.requests[b].kvLen - 1; key >= 0; --key) {
      nested->moveToColumn(key);
      if (nested->condition(mask))
        sum += nested->scalar(node.operands[0]);
      if (emulates) // added up in f32, or in another order
        sum = program.isDouble ? withoutLastBits(sum) : asComputed(program, sum);
      row.sums[key] = sum;
    }
    row.stamp = stamp;
  }
  return row.sums[kvIdx];
}

double ExprEvaluator::dropout(const Node &node) {
  double kept = scalar(node.operands[0]), rate = scalar(node.operands[1]);
  auto word = [&](std::int32_t operand) {
    return static_cast<std::uint32_t>(static_cast<std::int64_t>(scalar(operand)));
  };
  double random = philoxUniform(word(node.operands[2]), word(node.operands[3]),
                                static_cast<std::uint32_t>(b * program.qHeads + h), static_cast<std::uint32_t>(qIdx),
                                static_cast<std::uint32_t>(kvIdx));
  return random >= rate ? kept / (1 - rate) : 0;
}

} // namespace attn::dsl
