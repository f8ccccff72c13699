// Binding of the input, the rows of the reference, and beside them the rows of an emulated kernel.
#include "dsl/Evaluate.h"

#include "attn/Float.h"
#include "dsl/EvaluateExpr.h"
#include "dsl/Float8Sum.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

namespace attn::dsl {

using Extents = std::map<std::string, std::int64_t, std::less<>>;
static constexpr double kInfinity = std::numeric_limits<double>::infinity();

//===----------------------------------------------------------------------===//
// Binding
//===----------------------------------------------------------------------===//

static Status invalid(std::string message) { return {StatusCode::InvalidArgument, "evaluate: " + std::move(message)}; }

Result<Extents> boundExtents(const TypedSpec &spec, const EvaluationInput &input) {
  Extents extents = input.extents;
  const Properties &properties = spec.properties;
  if (input.tensors.contains("cu_seqlens_q"))
    if (Status status = bindLayoutExtents(spec, input.tensors, extents); !status)
      return invalid(std::string(status.message()));
  extents.try_emplace("head_dim", properties.headDim);
  extents.try_emplace("head_dim_v", properties.headDimV);
  for (auto [name, heads] : {std::pair{"q_heads", &properties.qHeads}, std::pair{"kv_heads", &properties.kvHeads}}) {
    if (std::optional<std::int64_t> number = heads->constant())
      extents.insert_or_assign(name, *number);
    else if (!extents.contains(name))
      if (std::optional<std::int64_t> value = heads->evaluate(extents))
        extents.emplace(name, *value);
  }
  for (const char *name : {"batch", "q_len", "kv_len", "q_heads", "kv_heads"})
    if (auto found = extents.find(name); found == extents.end() || (found->second < 1 && !isInSequence(properties)))
      return invalid("`" + std::string(name) + "` needs a value of 1 or more");
  for (const std::string &name : spec.extents)
    if (!extents.contains(name))
      return invalid("the extent `" + name + "` needs a value");
  if (extents["q_heads"] % extents["kv_heads"] != 0)
    return invalid("`kv_heads` is " + std::to_string(extents["kv_heads"]) + ", which does not divide `q_heads` " +
                   std::to_string(extents["q_heads"]));
  return extents;
}

static std::string shapeText(const std::vector<std::int64_t> &shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

static Status widen(const EvaluationInput &input, const std::string &name, const std::vector<std::int64_t> &shape,
                    WideTensor &wide) {
  auto found = input.tensors.find(name);
  if (found == input.tensors.end())
    return invalid("no tensor `" + name + "` is given");
  const HostTensor &tensor = found->second;
  if (tensor.shape != shape)
    return invalid("`" + name + "` is " + shapeText(tensor.shape) + ", but the specification wants " + shapeText(shape));
  wide.shape = shape;
  wide.name = &found->first;
  wide.elements.resize(static_cast<std::size_t>(tensor.elementCount()));
  for (std::size_t i = 0; i < wide.elements.size(); ++i)
    wide.elements[i] = tensor.get(static_cast<std::int64_t>(i));
  return Status::ok();
}

static Status bindParameters(EvaluationProgram &program, const EvaluationInput &input) {
  const TypedSpec &spec = program.spec;
  program.tensors.resize(spec.tensors.size());
  for (std::size_t i = 0; i < spec.tensors.size(); ++i) {
    const TensorParameter &parameter = spec.tensors[i];
    if (!parameter.used)
      continue;
    std::vector<std::int64_t> shape;
    for (const SizeExpr &dim : parameter.dims) {
      std::optional<std::int64_t> size = dim.evaluate(program.extents);
      if (!size || *size < 1)
        return invalid("the size `" + dim.text() + "` of `" + parameter.name + "` has no value of 1 or more");
      shape.push_back(*size);
    }
    if (Status status = widen(input, parameter.name, shape, program.tensors[i]); !status)
      return status;
  }
  program.scalars.resize(spec.scalars.size());
  for (std::size_t i = 0; i < spec.scalars.size(); ++i) {
    const ScalarParameter &parameter = spec.scalars[i];
    auto found = input.scalars.find(parameter.name);
    if (found == input.scalars.end() && !parameter.defaultValue && parameter.used)
      return invalid("no scalar `" + parameter.name + "` is given");
    program.scalars[i] = found != input.scalars.end() ? found->second : parameter.defaultValue.value_or(0);
    if (parameter.element == ElementType::F32) // as a launch passes it
      program.scalars[i] = static_cast<float>(program.scalars[i]);
  }
  return Status::ok();
}

static Status bindInput(EvaluationProgram &program, const EvaluationInput &input) {
  const TypedSpec &spec = program.spec;
  const Properties &properties = spec.properties;
  Result<Extents> extents = boundExtents(spec, input);
  if (!extents)
    return extents.status();
  program.extents = *extents;
  program.batch = program.extents["batch"];
  program.qHeads = program.extents["q_heads"];
  program.kvHeads = program.extents["kv_heads"];
  Result<BatchRows> rows = batchRows(spec, program.extents, input.tensors);
  if (!rows)
    return invalid(std::string(rows.status().message()));
  program.rows = std::move(*rows);
  program.kvLen = program.rows.longestKey();
  struct Used {
    bool isUsed;
    const char *name;
  };
  const Used used[] = {{spec.usesQuery, "query"}, {spec.usesKey, "key"}, {spec.usesValue, "value"}};
  for (unsigned i = 0; i < 3; ++i)
    if (used[i].isUsed) {
      std::vector<std::int64_t> shape;
      for (const SizeExpr &dim : inputDims(properties, static_cast<InputKind>(i)))
        shape.push_back(dim.evaluate(program.extents).value_or(-1));
      if (Status status = widen(input, used[i].name, shape, program.inputs[i]); !status)
        return status;
    }
  if (properties.softmaxScale) {
    program.softmaxScale = *properties.softmaxScale;
  } else {
    auto found = input.scalars.find("softmax_scale");
    if (found == input.scalars.end())
      return invalid("no scalar `softmax_scale` is given");
    program.softmaxScale = static_cast<float>(found->second); // as a launch passes it
  }
  return bindParameters(program, input);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

namespace {

/// One visible key of a row: the softmax's argument (or the weight), and `by` of normalize.
struct VisibleKey {
  std::int64_t kvIdx = 0;
  double argument = 0, by = 0;
  double magnitude = 0;  ///< of the products behind the argument, times softmax_scale
  double rounding = 0;   ///< what the rounding of computed operands does to them, likewise; and `tangent`
  double tangent = 0;    ///< what a kernel's tanh in the score does
};

/// A row's results and, for the noise, its parts.
struct RowResult {
  std::vector<double> sum;      ///< of probs * value
  std::vector<double> out;
  double lse = 0, maxScore = 0;
  std::int64_t qIdx = 0;        ///< which row
};

/// What independent roundings do to a row, in variances.
struct RowNoise {
  double out = 0, lse = 0, maxScore = 0;
};

/// The nodes of the final meanings.
struct Roots {
  explicit Roots(const EvaluationProgram &program)
      : mask(program.indexOf(program.spec.mask)), value(program.indexOf(program.spec.value)),
        probs(program.indexOf(program.spec.probs)), out(program.indexOf(program.spec.out)),
        argument(program.indexOf(program.spec.weights.argument)), sink(program.indexOf(program.spec.weights.sink)),
        by(program.indexOf(program.spec.weights.by)), kind(program.spec.weights.kind),
        hasFactor(program.spec.probs != program.spec.weights.weight) {}
  std::int32_t mask, value, probs, out, argument, sink, by;
  WeightKind kind;
  bool hasFactor;   ///< probs is more than the softmax or normalize
};

/// Rows of one thread, as the language means them or as a kernel computes them.
class RowEvaluator {
public:
  RowEvaluator(const EvaluationProgram &program, const Roots &roots, const EvaluateOptions &options, bool emulates)
      : program(program), roots(roots), options(options), emulates(emulates), evaluator(program, emulates) {}

  void moveToHead(std::int64_t b, std::int64_t h) {
    kvLen = program.rows.requests[b].kvLen;
    evaluator.moveToHead(b, h);
  }
  RowResult evaluate(std::int64_t qIdx);
  /// The visible keys of the last row.
  const std::vector<VisibleKey> &keys() const { return visible; }
  double lastMaximum() const { return maximum; }
  /// Of the last row, with the scores of `emulated` for their errors.
  RowNoise noise(const RowResult &row, const RowEvaluator &emulated);

private:
  const EvaluationProgram &program;
  const Roots &roots;
  const EvaluateOptions &options;
  bool emulates;
  ExprEvaluator evaluator;
  std::vector<VisibleKey> visible;
  double maximum = -kInfinity;
  std::int64_t kvLen = 0;   ///< of the request
  std::vector<double> blockWeights, blockValues; ///< where products are of 8-bit floats: of a block, channel after channel

  void collect(std::int64_t qIdx);
  double weightOf(double base);
  void accumulate(std::vector<double> &sum, double weight);
  void addBlock(std::vector<double> &sum, double factor);
  double roundProbs(double weight) const;
  bool roundsProbsToTf32() const { return program.tf32 && program.spec.properties.probsDtype == ElementType::F32; }
  double probsRoundoff() const;
  double unit() const { return unitRoundoff(program.isDouble ? ElementType::F64 : ElementType::F32); }
  double roundingOfLse(const RowResult &row) const;
  void sumSoftmax(RowResult &row);
  void sumSoftmaxOnline(RowResult &row);
  void sumDirect(RowResult &row);
  void finish(RowResult &row);
};

} // namespace

void RowEvaluator::collect(std::int64_t qIdx) {
  evaluator.moveToRow(qIdx);
  visible.clear();
  std::int32_t argument = roots.kind == WeightKind::Direct ? roots.probs : roots.argument;
  for (std::int64_t key = 0; key < kvLen; ++key) {
    evaluator.moveToColumn(key);
    if (!evaluator.condition(roots.mask))
      continue;
    VisibleKey entry;
    entry.kvIdx = key;
    entry.argument = evaluator.scalar(argument);
    if (emulates) {
      entry.argument = asComputed(program, entry.argument);
      entry.magnitude = evaluator.takeProductMagnitude() * program.softmaxScale;
      entry.tangent = evaluator.tangentRounding();
      entry.rounding = std::hypot(std::sqrt(evaluator.takeProductVariance()) * program.softmaxScale, entry.tangent);
    }
    if (roots.by >= 0)
      entry.by = roots.by == roots.argument ? entry.argument : evaluator.scalar(roots.by);
    visible.push_back(entry);
  }
}

/// `probs` at the present key, where the softmax or normalize is `base`.
double RowEvaluator::weightOf(double base) {
  if (!roots.hasFactor)
    return base;
  evaluator.setWeight(base);
  return evaluator.scalar(roots.probs);
}

void RowEvaluator::accumulate(std::vector<double> &sum, double weight) {
  const double *row = evaluator.vector(roots.value);
  for (std::size_t c = 0; c < sum.size(); ++c)
    sum[c] += weight * row[c];
}

/// Adds the products of a block, which are of 8-bit floats and summed by themselves, divided by `factor`.
void RowEvaluator::addBlock(std::vector<double> &sum, double factor) {
  std::size_t keys = blockWeights.size();
  std::vector<double> column(keys);
  for (std::size_t c = 0; c < sum.size(); ++c) {
    for (std::size_t i = 0; i < keys; ++i)
      column[i] = blockValues[i * sum.size() + c];
    sum[c] += sumFloat8Products(blockWeights.data(), column.data(), keys).sum / factor;
  }
  blockWeights.clear();
  blockValues.clear();
}

double RowEvaluator::roundProbs(double weight) const {
  if (roundsProbsToTf32())
    return roundToTf32(static_cast<float>(weight));
  return roundTo(program.probsRounding, asComputed(program, weight));
}

void RowEvaluator::sumSoftmax(RowResult &row) {
  double sink = roots.sink >= 0 ? evaluator.scalar(roots.sink) : -kInfinity;
  maximum = sink;
  for (const VisibleKey &key : visible)
    maximum = std::isnan(key.argument) || key.argument > maximum ? key.argument : maximum;
  row.maxScore = maximum;
  if (maximum == -kInfinity) {
    row.lse = -kInfinity;
    return;
  }
  double denominator = std::exp(sink - maximum);
  for (const VisibleKey &key : visible)
    denominator += std::exp(key.argument - maximum);
  row.lse = maximum + std::log(denominator);
  for (const VisibleKey &key : visible) {
    if (key.argument == -kInfinity)
      continue;
    evaluator.moveToColumn(key.kvIdx);
    accumulate(row.sum, weightOf(std::exp(key.argument - maximum) / denominator));
  }
}

/// By how much a kernel's maximum may lag behind when probs are rounded: another factor of 1 to 2 for each row. Without it the
/// largest weight of a row is 1, which no rounding moves, and a row with one visible key shows none (docs/numerics.md).
static double lagOfRow(std::int64_t qIdx) {
  constexpr double kGoldenRatio = 0.6180339887498949;
  return std::exp2(std::fmod(static_cast<double>(qIdx + 1) * kGoldenRatio, 1.0));
}

/// FlashAttention-2: keys in blocks, a running maximum, probs rounded before they are divided by their sum.
void RowEvaluator::sumSoftmaxOnline(RowResult &row) {
  const double lag = (roots.hasFactor ? 1 : lagOfRow(row.qIdx)) * program.probsFactor;
  double sink = roots.sink >= 0 ? evaluator.scalar(roots.sink) : -kInfinity;
  maximum = sink;
  double denominator = sink == -kInfinity ? 0 : 1;
  for (std::size_t first = 0; first < visible.size();) {
    std::size_t last = first;
    double blockMaximum = maximum;
    for (; last < visible.size() && visible[last].kvIdx / options.emulatedBlock ==
                                        visible[first].kvIdx / options.emulatedBlock;
         ++last)
      blockMaximum = std::max(blockMaximum, visible[last].argument);
    if (blockMaximum != -kInfinity) {
      double rescale = maximum == -kInfinity ? 0 : std::exp(maximum - blockMaximum);
      denominator *= rescale;
      for (double &element : row.sum)
        element *= rescale;
      maximum = blockMaximum;
      for (std::size_t i = first; i < last; ++i) {
        if (visible[i].argument == -kInfinity)
          continue;
        double weight = asComputed(program, std::exp(visible[i].argument - maximum));
        denominator = asComputed(program, denominator + weight);
        evaluator.moveToColumn(visible[i].kvIdx);
        if (options.float8Probs) {
          const double *value = evaluator.vector(roots.value);
          blockWeights.push_back(roundProbs(lag * weight));
          blockValues.insert(blockValues.end(), value, value + row.sum.size());
        } else {
          accumulate(row.sum, roundProbs(lag * weightOf(weight)) / lag);
        }
      }
      if (!blockWeights.empty())
        addBlock(row.sum, lag);
    }
    first = last;
  }
  row.maxScore = maximum;
  row.lse = maximum == -kInfinity ? -kInfinity : maximum + std::log(denominator);
  for (double &element : row.sum)
    element = denominator == 0 ? 0 : element / denominator;
}

void RowEvaluator::sumDirect(RowResult &row) {
  double denominator = 1;
  if (roots.kind == WeightKind::Normalize) {
    denominator = 0;
    for (const VisibleKey &key : visible)
      denominator += key.by;
  }
  if (denominator == 0)
    return;
  for (const VisibleKey &key : visible) {
    evaluator.moveToColumn(key.kvIdx);
    double weight = roots.kind == WeightKind::Direct ? key.argument : weightOf(key.argument);
    accumulate(row.sum, emulates ? roundProbs(weight) : weight);
  }
  for (double &element : row.sum)
    element /= denominator;
}

void RowEvaluator::finish(RowResult &row) {
  evaluator.setWeightedSum(row.sum.data());
  const double *out = evaluator.vector(roots.out);
  row.out.assign(out, out + program.spec.out->type.length);
  if (emulates)
    for (double &element : row.out)
      element = roundTo(program.spec.properties.outDtype, asComputed(program, element));
}

RowResult RowEvaluator::evaluate(std::int64_t qIdx) {
  RowResult row;
  row.qIdx = qIdx;
  row.sum.assign(static_cast<std::size_t>(program.spec.value->type.length), 0);
  collect(qIdx);
  if (roots.kind != WeightKind::Softmax)
    sumDirect(row);
  else if (emulates)
    sumSoftmaxOnline(row);
  else
    sumSoftmax(row);
  finish(row);
  return row;
}

//===----------------------------------------------------------------------===//
// Noise
//===----------------------------------------------------------------------===//

/// Half of the distance of the subnormal numbers.
static double smallestStep(ElementType type) {
  switch (type) {
  case ElementType::F16:
    return 0x1p-25;
  case ElementType::E4M3:
    return 0x1p-10;
  case ElementType::E5M2:
    return 0x1p-17;
  default:
    return 0;
  }
}

/// Three products of tf32 leave out this much of a product of f32 (docs/numerics.md).
static constexpr double kTf32Remainder = 0x1p-21;

double RowEvaluator::probsRoundoff() const {
  ElementType type = program.probsRounding;
  if (type == ElementType::F32)
    return roundsProbsToTf32() ? kTf32Roundoff : kTf32Remainder;
  // A sum of n products rounds n times, each time what there is of it.
  return unitRoundoff(type) * (program.isDouble ? std::sqrt(1.0 + static_cast<double>(visible.size())) : 1);
}

static double square(double x) { return x * x; }
/// Of the elements that are finite: only they have errors.
static double meanSquare(const double *row, std::size_t length) {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t c = 0; c < length; ++c)
    if (std::isfinite(row[c])) {
      sum += row[c] * row[c];
      ++count;
    }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

static double finiteMagnitude(double x) { return std::isfinite(x) ? std::fabs(x) : 0; }

/// What f32 (f64) makes of max_score + ln(sum) beside the errors of the scores, term by term as docs/numerics.md has it: the
/// exponential's instruction, the logarithm, the constants and roundings that see the whole number, the sum.
double RowEvaluator::roundingOfLse(const RowResult &row) const {
  if (!std::isfinite(row.lse))
    return 0;
  double logarithm = std::max(1.0, finiteMagnitude(row.lse - row.maxScore));
  double whole = std::max(finiteMagnitude(row.lse), finiteMagnitude(row.maxScore));
  double computed = unit() * (4 + 4 * logarithm + 4 * whole + std::sqrt(static_cast<double>(visible.size())) / 2);
  return program.isDouble ? std::hypot(computed, unitRoundoff(ElementType::F32) * whole) : computed; // and stored as f32
}

RowNoise RowEvaluator::noise(const RowResult &row, const RowEvaluator &emulated) {
  const Properties &properties = program.spec.properties;
  RowNoise noise;
  double ofTangents = 0;     // what instructions that err to one side make of lse
  double scaleOfWeights = 0; // the denominator, for the smallest weight that probs' type still tells from 0
  double ofSum = meanSquare(row.sum.data(), row.sum.size());
  bool isSoftmax = roots.kind == WeightKind::Softmax;
  for (std::size_t i = 0; i < visible.size() && i < emulated.visible.size(); ++i) {
    const VisibleKey &key = visible[i];
    if (key.argument == -kInfinity)
      continue;
    double base = isSoftmax ? std::exp(key.argument - row.lse) : key.argument;
    if (roots.kind == WeightKind::Normalize)
      scaleOfWeights += key.by;
    double magnitude = std::max({1.0, std::fabs(key.argument), emulated.visible[i].magnitude});
    double scoreError = square(emulated.visible[i].argument - key.argument) + square(8 * unit() * magnitude) +
                        square(emulated.visible[i].rounding);
    evaluator.moveToColumn(key.kvIdx);
    double weight = roots.kind == WeightKind::Direct ? base : weightOf(base);
    double ofValue = meanSquare(evaluator.vector(roots.value), row.sum.size());
    double step = isSoftmax ? smallestStep(program.probsRounding) / program.probsFactor * std::exp(maximum - row.lse)
                            : smallestStep(program.probsRounding);
    double rounding = square(std::max(probsRoundoff() * weight, step));
    double relative = isSoftmax ? square(weight) * scoreError * 2 * (ofValue + ofSum) : scoreError * ofValue;
    noise.out += rounding * ofValue + relative;
    noise.lse += isSoftmax ? square(base) * scoreError : 0;
    ofTangents += isSoftmax ? base * emulated.visible[i].tangent / 2 : 0;
    noise.maxScore = std::max(noise.maxScore, scoreError);
  }
  if (roots.kind == WeightKind::Normalize)
    noise.out = scaleOfWeights == 0 ? 0 : noise.out / square(scaleOfWeights);
  double ofOut = meanSquare(row.out.data(), row.out.size());
  if (ofSum > 0)
    noise.out *= ofOut / ofSum; // what `out` makes of the sum
  noise.out += square(unitRoundoff(properties.outDtype)) * ofOut + square(smallestStep(properties.outDtype)) +
               square(16 * unit()) * ofOut;
  noise.lse += square(roundingOfLse(row) + ofTangents);
  double ofMaxScore = program.isDouble ? unit() + unitRoundoff(ElementType::F32) / 4 : unit(); // stored as f32
  noise.maxScore += square(4 * ofMaxScore * std::max(1.0, finiteMagnitude(row.maxScore)));
  return noise;
}

//===----------------------------------------------------------------------===//
// All rows
//===----------------------------------------------------------------------===//

namespace {
/// The work of one thread: (request, head) pairs taken in turn, all rows of each, or a share of the rows of all pairs.
class Worker {
public:
  Worker(const EvaluationProgram &program, const Roots &roots, const EvaluateOptions &options, EvaluationOutput &output)
      : program(program), options(options), output(output), exact(program, roots, options, false) {
    if (options.emulateKernel)
      emulated.emplace(program, roots, options, true);
  }

  void evaluateHead(std::int64_t b, std::int64_t h, std::int64_t first, std::int64_t last) {
    exact.moveToHead(b, h);
    if (emulated)
      emulated->moveToHead(b, h);
    for (std::int64_t qIdx = first; qIdx < last; ++qIdx)
      evaluateRow(b, h, qIdx);
  }

private:
  const EvaluationProgram &program;
  const EvaluateOptions &options;
  EvaluationOutput &output;
  RowEvaluator exact;
  std::optional<RowEvaluator> emulated;

  void evaluateRow(std::int64_t b, std::int64_t h, std::int64_t qIdx) {
    const RequestRows &request = program.rows.requests[b];
    std::size_t outRow = static_cast<std::size_t>((request.qStart + qIdx) * program.qHeads + h);
    std::size_t numberRow = isInSequence(program.spec.properties)
                                ? outRow
                                : static_cast<std::size_t>((b * program.qHeads + h) * request.qLen + qIdx);
    RowResult row = exact.evaluate(qIdx);
    std::copy(row.out.begin(), row.out.end(), output.out.begin() + static_cast<std::ptrdiff_t>(outRow * row.out.size()));
    if (!output.lse.empty()) {
      output.lse[numberRow] = row.lse;
      output.maxScore[numberRow] = row.maxScore;
    }
    if (!emulated)
      return;
    RowResult other = emulated->evaluate(qIdx);
    std::copy(other.out.begin(), other.out.end(),
              output.emulatedOut.begin() + static_cast<std::ptrdiff_t>(outRow * other.out.size()));
    RowNoise noise = exact.noise(row, *emulated);
    output.outNoise[outRow] = std::sqrt(noise.out);
    if (output.lse.empty())
      return;
    output.emulatedLse[numberRow] = other.lse;
    output.lseNoise[numberRow] = std::sqrt(noise.lse);
    output.emulatedMaxScore[numberRow] = other.maxScore;
    output.maxScoreNoise[numberRow] = std::sqrt(noise.maxScore);
  }
};
} // namespace

static EvaluationOutput makeOutput(const EvaluationProgram &program, const EvaluateOptions &options) {
  EvaluationOutput output;
  std::int64_t length = program.spec.out->type.length;
  auto shapeOf = [&](const std::vector<SizeExpr> &dims) {
    std::vector<std::int64_t> shape;
    for (const SizeExpr &dim : dims)
      shape.push_back(dim.evaluate(program.extents).value_or(0));
    return shape;
  };
  output.outShape = shapeOf(outRowDims(program.spec.properties));
  output.outShape.push_back(length);
  output.rowShape = shapeOf(rowNumberDims(program.spec.properties));
  auto rows = static_cast<std::size_t>(program.rows.queries * program.qHeads);
  output.out.resize(rows * static_cast<std::size_t>(length));
  bool isSoftmax = program.spec.weights.kind == WeightKind::Softmax;
  if (isSoftmax) {
    output.lse.resize(rows);
    output.maxScore.resize(rows);
  }
  if (options.emulateKernel) {
    output.emulatedOut.resize(output.out.size());
    output.outNoise.resize(rows);
    output.emulatedLse.resize(output.lse.size());
    output.lseNoise.resize(output.lse.size());
    output.emulatedMaxScore.resize(output.lse.size());
    output.maxScoreNoise.resize(output.lse.size());
  }
  const Properties &properties = program.spec.properties;
  auto isShort = [](ElementType type) { return type != ElementType::F32 && type != ElementType::F64; };
  bool anyShort = isShort(properties.queryDtype) || isShort(properties.keyDtype) || isShort(properties.valueDtype) ||
                  isShort(properties.probsDtype) || isShort(properties.outDtype);
  output.isAllF32 = !anyShort && !program.tf32 && !(program.approximateTanh && !program.tangents.empty());
  return output;
}

Result<EvaluationOutput> evaluate(const TypedSpec &spec, const EvaluationInput &input, const EvaluateOptions &options) {
  EvaluationProgram program(spec, options.tf32);
  program.float8Scores = options.float8Scores;
  if (options.float8Probs) {
    program.probsRounding = spec.properties.probsDtype;
    program.probsFactor = 0x1p7; // times a lag of up to 2
  }
  program.approximateTanh = options.approximateTanh;
  if (Status status = bindInput(program, input); !status)
    return status;
  Roots roots(program);
  EvaluationOutput output = makeOutput(program, options);
  std::int64_t heads = program.batch * program.qHeads;
  unsigned threads = std::max(1U, options.threads);
  // Few heads: every thread takes a share of the rows of each.
  std::int64_t shares = heads >= static_cast<std::int64_t>(threads) ? 1 : threads;
  std::atomic<std::int64_t> next = 0;
  std::mutex failureLock;
  std::optional<Status> failure;
  auto work = [&] {
    try {
      Worker worker(program, roots, options, output);
      for (std::int64_t task = next++; task < heads * shares; task = next++) {
        std::int64_t head = task / shares, share = task % shares;
        std::int64_t b = head / program.qHeads, qLen = program.rows.requests[b].qLen;
        worker.evaluateHead(b, head % program.qHeads, share * qLen / shares, (share + 1) * qLen / shares);
      }
    } catch (const EvaluationFailure &caught) {
      std::lock_guard lock(failureLock);
      failure = Status(StatusCode::InvalidArgument, locatedMessage(spec, caught.expr, caught.message));
      next = heads * shares;
    }
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i)
    others.emplace_back(work);
  work();
  for (std::thread &other : others)
    other.join();
  if (failure)
    return *failure;
  return output;
}

} // namespace attn::dsl
