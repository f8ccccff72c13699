// Generation of test data.
#include "dsl/RandomInputs.h"

#include "dsl/RandomLayout.h"
#include "dsl/RandomNumbers.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace attn::dsl {

using Extents = std::map<std::string, std::int64_t, std::less<>>;

namespace {
struct Bounds {
  double lo, hi;
};
} // namespace

static std::optional<Bounds> boundsOf(const std::optional<RangePromise> &range, const Extents &extents) {
  if (!range)
    return std::nullopt;
  std::optional<std::int64_t> lo = range->lo.evaluate(extents), hi = range->hi.evaluate(extents);
  if (!lo || !hi)
    return std::nullopt;
  return Bounds{static_cast<double>(*lo), static_cast<double>(std::max(*lo, *hi))};
}

static void fillNormal(HostTensor &tensor, Random &random, double scale) {
  for (std::int64_t i = 0; i < tensor.elementCount(); ++i)
    tensor.set(i, scale * random.normal());
}

/// Runs of equal numbers with steps between, so that a row holds several values, each several times.
static void fillAscending(HostTensor &tensor, Random &random, Bounds bounds) {
  std::int64_t length = tensor.shape.back();
  bool isInteger = !isFloat(tensor.type);
  for (std::int64_t row = 0; row * length < tensor.elementCount(); ++row) {
    double value = isInteger ? random.integer(bounds.lo, std::min(bounds.hi, bounds.lo + 2)) : bounds.lo;
    for (std::int64_t i = 0; i < length; ++i) {
      if (random.uniform() < 0.08)
        value = std::min(bounds.hi, value + (isInteger ? random.integer(1, 2) : random.uniform(0, 0.1 * (bounds.hi - bounds.lo))));
      tensor.set(row * length + i, value);
    }
  }
}

static Bounds defaultIntegerBounds(const TensorParameter &parameter, const Extents &extents) {
  if (parameter.element == ElementType::Bool || parameter.element == ElementType::Bit)
    return {0, 1};
  bool isPerRequest = parameter.dims.size() == 1 && parameter.dims[0].asName() == "batch";
  double top = isPerRequest ? static_cast<double>(extents.find("kv_len")->second) : 3;
  return {0, parameter.element == ElementType::I8 ? std::min(top, 127.0) : top};
}

/// Of inputs near 1; that of `out` so small that stored numbers, which are divided by it, use the range of 8 bits.
static double randomScale(std::string_view name, Random &random) {
  return name == "out_scale" ? random.uniform(0.01, 0.04) : random.uniform(0.5, 1.5);
}

static void fillParameter(const TensorParameter &parameter, HostTensor &tensor, Random &random, const Extents &extents) {
  if (parameter.isScale) {
    for (std::int64_t i = 0; i < tensor.elementCount(); ++i)
      tensor.set(i, randomScale(parameter.name, random));
    return;
  }
  std::optional<Bounds> bounds = boundsOf(parameter.range, extents);
  bool isInteger = !isFloat(parameter.element);
  if (parameter.ascending)
    return fillAscending(tensor, random, bounds.value_or(isInteger ? Bounds{0, 1000} : Bounds{-1, 1}));
  if (!isInteger && !bounds)
    return fillNormal(tensor, random, 0.5);
  Bounds used = bounds ? *bounds : defaultIntegerBounds(parameter, extents);
  for (std::int64_t i = 0; i < tensor.elementCount(); ++i)
    tensor.set(i, isInteger ? random.integer(used.lo, used.hi) : random.uniform(used.lo, used.hi));
}

static double randomScalar(const ScalarParameter &parameter, Random &random, const Extents &extents) {
  if (parameter.isScale)
    return randomScale(parameter.name, random);
  std::optional<Bounds> bounds = boundsOf(parameter.range, extents);
  if (parameter.element == ElementType::Bool)
    return random.integer(0, 1);
  if (parameter.element == ElementType::F32)
    return bounds ? random.uniform(bounds->lo, bounds->hi) : random.uniform(-1, 1);
  Bounds used = bounds.value_or(Bounds{0, 64});
  // Beyond the keys one large number is like another.
  double reach = std::max(used.lo, static_cast<double>(extents.find("kv_len")->second));
  return random.integer(used.lo, std::min(used.hi, reach));
}

/// Heads and new names that are not given.
static void fillExtents(const TypedSpec &spec, EvaluationInput &input) {
  const Properties &properties = spec.properties;
  auto isOwnName = [](const SizeExpr &size, std::string_view name) { return size.asName() == name; };
  auto give = [&](const std::string &name, std::int64_t value) { input.extents.try_emplace(name, value); };
  give("batch", 2);
  give("q_len", 100);
  give("kv_len", 300);
  if (isOwnName(properties.qHeads, "q_heads"))
    give("q_heads", properties.kvHeads.constant() ? 2 * *properties.kvHeads.constant() : 4);
  if (isOwnName(properties.kvHeads, "kv_heads")) {
    std::int64_t heads = properties.qHeads.constant().value_or(input.extents.contains("q_heads") ? input.extents["q_heads"] : 4);
    give("kv_heads", heads % 2 == 0 ? heads / 2 : heads);
  }
  giveLengths(spec, input.extents);
  for (const std::string &name : spec.extents)
    give(name, std::max(input.extents["q_len"], input.extents["kv_len"]));
}

Result<EvaluationInput> randomScalars(const TypedSpec &spec, const EvaluationInput &bound, const RandomOptions &options) {
  EvaluationInput input;
  input.extents = bound.extents;
  input.scalars = bound.scalars;
  fillExtents(spec, input);
  Result<Extents> extents = boundExtents(spec, input);
  if (!extents)
    return extents.status();
  for (const ScalarParameter &parameter : spec.scalars) {
    if (!parameter.used || input.scalars.contains(parameter.name) || (parameter.defaultValue && !options.varyScalars))
      continue;
    Random random(options.seed ^ hashOf(parameter.name));
    input.scalars.emplace(parameter.name, randomScalar(parameter, random, *extents));
  }
  if (!spec.properties.softmaxScale)
    input.scalars.try_emplace("softmax_scale", 1 / std::sqrt(static_cast<double>(spec.properties.headDim)));
  return input;
}

Result<HostTensor> randomParameter(const TensorParameter &parameter, const Extents &extents, std::uint64_t seed) {
  std::vector<std::int64_t> shape;
  for (const SizeExpr &dim : parameter.dims) {
    std::optional<std::int64_t> size = dim.evaluate(extents);
    if (!size || *size < 1)
      return Status(StatusCode::InvalidArgument, "the size `" + dim.text() + "` of `" + parameter.name +
                                                     "` has no value of 1 or more at these extents");
    shape.push_back(*size);
  }
  HostTensor tensor(parameter.element, shape);
  Random random(seed ^ hashOf(parameter.name));
  fillParameter(parameter, tensor, random, extents);
  return tensor;
}

Result<EvaluationInput> randomInput(const TypedSpec &spec, const EvaluationInput &bound, const RandomOptions &options) {
  Result<EvaluationInput> completed = randomScalars(spec, bound, options);
  if (!completed)
    return completed.status();
  EvaluationInput input = std::move(*completed);
  Result<Extents> extents = boundExtents(spec, input);
  if (!extents)
    return extents.status();
  const Properties &properties = spec.properties;
  auto addInput = [&](bool used, const char *name, ElementType type, InputKind kind) {
    if (!used)
      return;
    std::vector<std::int64_t> shape;
    for (const SizeExpr &dim : inputDims(properties, kind))
      shape.push_back(dim.evaluate(*extents).value_or(0));
    HostTensor tensor(type, shape);
    Random random(options.seed ^ hashOf(name));
    fillNormal(tensor, random, options.scale);
    input.tensors.emplace(name, std::move(tensor));
  };
  addInput(spec.usesQuery, "query", properties.queryDtype, InputKind::Query);
  addInput(spec.usesKey, "key", properties.keyDtype, InputKind::Key);
  addInput(spec.usesValue, "value", properties.valueDtype, InputKind::Value);
  addLayoutTensors(spec, *extents, options.seed, input.tensors);
  for (const TensorParameter &parameter : spec.tensors) {
    if (!parameter.used || parameter.isLayoutInput)
      continue;
    Result<HostTensor> tensor = randomParameter(parameter, *extents, options.seed);
    if (!tensor)
      return tensor.status();
    input.tensors.emplace(parameter.name, std::move(*tensor));
  }
  return input;
}

std::vector<EvaluationInput> hostileShapes(const TypedSpec &spec) {
  struct Shape {
    std::int64_t batch, qLen, kvLen, qHeads, kvHeads;
  };
  static constexpr Shape kShapes[] = {
      {1, 1, 1, 1, 1},    {2, 1, 77, 4, 2},    {1, 100, 300, 2, 2}, {2, 77, 77, 3, 1},  {1, 130, 67, 2, 1},
      {1, 64, 128, 4, 4}, {1, 129, 257, 2, 2}, {3, 5, 7, 6, 2},     {1, 17, 1, 2, 2},   {1, 33, 191, 4, 1},
  };
  static constexpr std::int64_t kMostPoints = 400'000;   // query rows times keys, over all heads
  const Properties &properties = spec.properties;
  if (isInSequence(properties))
    return hostileBatches(spec);
  bool fixesQuery = properties.qHeads.constant().has_value(), fixesKv = properties.kvHeads.constant().has_value();
  std::vector<EvaluationInput> inputs;
  for (const Shape &shape : kShapes) {
    EvaluationInput input;
    input.extents = {{"batch", shape.batch}, {"q_len", shape.qLen}, {"kv_len", shape.kvLen}};
    if (!fixesQuery && !fixesKv) {
      input.extents["q_heads"] = shape.qHeads;
      if (properties.kvHeads.asName() == "kv_heads")
        input.extents["kv_heads"] = shape.kvHeads;
    }
    std::int64_t heads = properties.qHeads.constant().value_or(shape.qHeads);
    if (shape.batch * heads * shape.qLen * shape.kvLen <= kMostPoints)
      inputs.push_back(std::move(input));
  }
  return inputs;
}

} // namespace attn::dsl
