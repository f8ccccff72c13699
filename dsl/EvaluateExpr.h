// Evaluation of expressions at one point, with every value kept as long as the point's parts it depends on.
//
// The DAG is flattened once into `EvaluationProgram`: a node has a *level*, the parts of the point that its value depends
// on. `ExprEvaluator` is the state of one thread: it moves from head to head, row to row, key to key, and a node is
// computed again only when its level has moved and it is asked for (which keeps the language's lazy evaluation). What
// depends on the key row alone is kept for all keys of a head.
#pragma once

#include "dsl/Evaluate.h"
#include "dsl/RequestRows.h"
#include "dsl/TypedSpec.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace attn::dsl {

/// Thrown inside the evaluator, turned into a Status at its border.
struct EvaluationFailure {
  const TypedExpr *expr;
  std::string message;
};

/// A tensor widened to double.
struct WideTensor {
  std::vector<std::int64_t> shape;
  std::vector<double> elements;
  const std::string *name = nullptr;
};

class EvaluationProgram {
public:
  enum class Level : std::uint8_t { Fixed, Head, Row, Column, Point, Body };
  struct Node {
    const TypedExpr *expr = nullptr;
    Level level = Level::Fixed;
    bool isKept = false;                       ///< for all keys of a head
    bool isRounded = false;                    ///< by emulation: an operand of a tensor core
    ElementType rounding = ElementType::F32;
    bool toTf32 = false;                       ///< rather than to `rounding`
    bool isTangentOfScore = false;             ///< a tanh, by emulation of the absolute accuracy that a score needs
    std::int32_t operands[4] = {-1, -1, -1, -1};
    std::vector<std::int32_t> moreOperands;    ///< of a Read: all its indices
    std::int32_t variable = -1;
    std::size_t storage = 0;                   ///< of a vector, in the evaluator's buffer
    std::size_t keptStorage = 0;               ///< in the evaluator's buffer for all keys, in values a key
    std::size_t width() const { return expr->type.isVector() ? static_cast<std::size_t>(expr->type.length) : 1; }
  };

  /// What multiplies a tanh on its way to the score, or divides it.
  struct Factor {
    std::int32_t node;
    bool divides;
  };

  /// A tanh on its way to the score.
  struct Tangent {
    std::int32_t node;
    std::vector<Factor> factors;
  };

  /// With `tf32`, products of f32 round their operands so.
  EvaluationProgram(const TypedSpec &spec, bool tf32);

  std::int32_t indexOf(const TypedExpr *expr) const { return expr ? indices.at(expr) : -1; }

  const TypedSpec &spec;
  bool tf32;
  bool approximateTanh = false;                                    ///< `tanh` in a score has relative errors of 2^-11
  bool float8Scores = false;                                       ///< products of query and key are of 8-bit floats
  double probsFactor = 1;                                          ///< what probs are larger by as they are rounded
  bool isDouble;                                                   ///< kernels compute in f64: emulation rounds nothing of its own
  std::vector<Node> nodes;
  std::size_t storageSize = 0, keptSize = 0;
  std::vector<Tangent> tangents;                                   ///< of the score, `isTangentOfScore`
  ElementType probsRounding = ElementType::F32;                    ///< what emulation rounds a row of probs to

  // Bound before evaluation.
  std::map<std::string, std::int64_t, std::less<>> extents;
  std::int64_t batch = 0, qHeads = 0, kvHeads = 0;
  BatchRows rows;
  std::int64_t kvLen = 0;                      ///< of the longest request
  WideTensor inputs[3];
  std::vector<WideTensor> tensors;             ///< by parameter
  std::vector<double> scalars;
  double softmaxScale = 1;

private:
  std::int32_t add(const TypedExpr *expr);
  void markRoundings();
  void separateRoundings();
  void markTangents(const TypedExpr *summand, std::vector<Factor> factors);
  std::unordered_map<const TypedExpr *, std::int32_t> indices;
};

/// Half a unit in the last place at 1.
double unitRoundoff(ElementType type);
/// What a kernel makes of a number that it keeps in a register.
inline double asComputed(const EvaluationProgram &program, double value) { return program.isDouble ? value : static_cast<float>(value); }
/// Of tf32.
inline constexpr double kTf32Roundoff = 0x1p-11;

class ExprEvaluator {
public:
  /// With `emulates`, operands of products are rounded, and products and scores are f32 (f64 of f64).
  ExprEvaluator(const EvaluationProgram &program, bool emulates);

  void moveToHead(std::int64_t b, std::int64_t h);
  void moveToRow(std::int64_t qIdx);
  void moveToColumn(std::int64_t kvIdx);
  /// For the expressions that hold them.
  void setWeight(double value);
  void setWeightedSum(const double *row) { weightedSum = row; }

  double scalar(std::int32_t node);
  const double *vector(std::int32_t node);
  bool condition(std::int32_t node) { return scalar(node) != 0; }

  /// The largest sum of |a·b| of a product since it was last taken: what its f32 sum may have lost.
  double takeProductMagnitude() { return std::exchange(productMagnitude, 0); }
  /// The largest variance that the rounding of computed operands gives a product since it was last taken.
  double takeProductVariance() { return std::exchange(productVariance, 0); }
  /// How far the score here may be off because of what a kernel makes of tanh in it.
  double tangentRounding();
  /// `b=0, h=1, q_idx=3, kv_idx=2`.
  std::string describePoint() const;

private:
  using Node = EvaluationProgram::Node;

  double computeScalar(const Node &node);
  double computeNumber(const Node &node);
  std::optional<std::int64_t> sizeOfRequest(std::string_view name) const;
  double computeIndex(const Node &node) const;
  double readScalar(const Node &node);
  std::size_t readOffset(const Node &node);
  double unary(const Node &node, UnaryOp op, double x);
  double binary(const Node &node, BinaryOp op, double x, double y);
  double checkI32(const Node &node, double value);
  double dot(const Node &node);
  double roundingOf(const Node &operand) const;
  double suffixSum(const Node &node);
  double dropout(const Node &node);
  double bodyAt(const Node &node, std::int32_t body, double variable);

  void computeVector(const Node &node, double *result);
  void computeElementwise(const Node &node, double *result);
  void computeRotation(const Node &node, double *result);
  const double *inputRow(const Node &node);
  void roundOperand(const Node &node, double *values, std::size_t count);

  const EvaluationProgram &program;
  bool emulates;
  std::int64_t b = -1, h = -1, kvHead = -1, qIdx = -1, kvIdx = -1;
  std::uint64_t clock = 1;
  std::uint64_t levelStamps[6] = {1, 1, 1, 1, 1, 1};
  std::vector<std::uint64_t> stamps;           ///< a node
  std::vector<double> values;                  ///< a node
  std::vector<const double *> rows;            ///< a node
  std::vector<double> buffer;                  ///< vectors
  std::vector<double> kept;                    ///< values a key × kv_len
  std::vector<std::uint64_t> keptStamps;       ///< node-major, a key
  const double *weightedSum = nullptr;
  double weight = 0;
  double productMagnitude = 0, productVariance = 0;
  double largestAngle = 0;                     ///< of all rotations so far, by emulation
  struct SuffixRow {
    std::uint64_t stamp = 0;
    std::vector<double> sums;
  };
  std::unordered_map<const TypedExpr *, SuffixRow> suffixRows;
  std::unique_ptr<ExprEvaluator> nested;       ///< at other keys of the row, for suffix sums
};

/// `file:line:column: error: message`.
std::string locatedMessage(const TypedSpec &spec, const TypedExpr *expr, const std::string &message);

} // namespace attn::dsl
