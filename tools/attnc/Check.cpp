#include "tools/attnc/Check.h"

#include "dsl/RequestRows.h"
#include "support/Tolerances.h"
#include "tools/attnc/Inputs.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace attn::tools {

bool CheckRecord::isWithin() const {
  for (const OutputError &output : outputs)
    if (!output.isWithin)
      return false;
  return !outputs.empty();
}

HostTensor swapRowsAndHeads(const HostTensor &tensor) {
  HostTensor result(tensor.type, {tensor.shape[0], tensor.shape[2], tensor.shape[1], tensor.shape[3]});
  std::size_t row = static_cast<std::size_t>(tensor.rowBytes());
  for (std::int64_t b = 0; b < tensor.shape[0]; ++b)
    for (std::int64_t i = 0; i < tensor.shape[1]; ++i)
      for (std::int64_t j = 0; j < tensor.shape[2]; ++j)
        std::memcpy(result.bytes.data() + ((b * tensor.shape[2] + j) * tensor.shape[1] + i) * row,
                    tensor.bytes.data() + ((b * tensor.shape[1] + i) * tensor.shape[2] + j) * row, row);
  return result;
}

static bool isMatrixName(std::string_view name) { return name == "query" || name == "key" || name == "value" || name == "out"; }

/// Whether the caller's order of `name` has heads before rows.
static bool isSwapped(const dsl::TypedSpec &spec, std::string_view name) {
  return spec.properties.layout == dsl::LayoutKind::Bhsd && isMatrixName(name);
}

dsl::EvaluationInput boundByName(const dsl::TypedSpec &spec, const std::map<std::string, double> &values) {
  dsl::EvaluationInput bound;
  for (const auto &[name, value] : values) {
    bool isScalar = name == "softmax_scale";
    for (const dsl::ScalarParameter &scalar : spec.scalars)
      isScalar |= scalar.name == name;
    if (isScalar)
      bound.scalars[name] = value;
    else
      bound.extents[name] = static_cast<std::int64_t>(value);
  }
  bound.extents.emplace("batch", 1);
  return bound;
}

dsl::EvaluationInput evaluationInput(const dsl::TypedSpec &spec, const PlanManifest &manifest, const PlanInputs &inputs) {
  dsl::EvaluationInput result;
  if (Result<std::map<std::string, std::int64_t>> extents = bindExtents(manifest, inputs))
    result.extents.insert(extents->begin(), extents->end());
  for (const ScalarArgument &scalar : manifest.scalars) {
    auto given = inputs.values.find(scalar.name);
    if (given != inputs.values.end())
      result.scalars[scalar.name] = given->second;
    else if (scalar.defaultValue)
      result.scalars[scalar.name] = *scalar.defaultValue;
  }
  for (const auto &[name, tensor] : inputs.tensors)
    result.tensors.emplace(name, isSwapped(spec, name) ? swapRowsAndHeads(tensor) : tensor);
  return result;
}

std::string describeShape(const dsl::EvaluationInput &input) {
  std::string text;
  auto has = [&](const std::string &name) { return input.extents.contains(name); };
  for (const auto &[name, value] : input.extents) {
    if (dsl::isLengthName(name))
      continue;
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, value);
    for (std::int64_t b = 0; has(dsl::lengthName(name, b)); ++b) // lengths by request in place of the longest
      text = b == 0 ? fmt::format("{}={}", text.substr(0, text.rfind('=')), input.extents.at(dsl::lengthName(name, b)))
                    : fmt::format("{}/{}", text, input.extents.at(dsl::lengthName(name, b)));
  }
  for (const auto &[name, value] : input.scalars)
    text += fmt::format(", {}={}", name, value);
  return text;
}

static std::vector<double> widen(const HostTensor &tensor) {
  std::vector<double> values(static_cast<std::size_t>(tensor.elementCount()));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = tensor.get(static_cast<std::int64_t>(i));
  return values;
}

/// Row `row` of a tensor [batch, q_len, q_heads] (`out`) or [batch, q_heads, q_len] (numbers of a row).
static std::string rowName(std::int64_t row, const dsl::EvaluationOutput &exact, bool isOut) {
  if (row < 0)
    return "";
  if (exact.rowShape.size() == 2) // rows of all requests
    return fmt::format("row {}, h={}", row / exact.rowShape[1], row % exact.rowShape[1]);
  std::int64_t heads = exact.rowShape[1], rows = exact.rowShape[2];
  std::int64_t b = row / (heads * rows), rest = row % (heads * rows);
  std::int64_t h = isOut ? rest % heads : rest / rows, qIdx = isOut ? rest / heads : rest % rows;
  return fmt::format("b={}, h={}, q_idx={}", b, h, qIdx);
}

static OutputError compare(const std::string &name, const ToleranceQuestion &question, const dsl::EvaluationOutput &exact) {
  ToleranceAnswer answer = compareWithTolerance(question);
  OutputError error;
  error.name = name;
  error.isWithin = answer.isWithin;
  error.rmsRelative = answer.rmsExact > 0 ? answer.rmsError / answer.rmsExact : answer.rmsError;
  error.emulatedRms = answer.rmsExact > 0 ? answer.rmsEmulated / answer.rmsExact : answer.rmsEmulated;
  error.maxAbsolute = answer.maxError;
  error.worstOfTolerance = answer.worstRatio;
  error.worstRow = rowName(answer.worstRow, exact, name == "out");
  error.problem = answer.problem;
  if (!answer.isWithin && !error.worstRow.empty())
    error.problem += fmt::format(" (worst row: {})", error.worstRow);
  return error;
}

PlanInputs planInputs(const dsl::TypedSpec &spec, const PlanManifest &manifest, const dsl::EvaluationInput &input) {
  PlanInputs inputs;
  std::set<std::string> extents = extentNames(manifest);
  for (const auto &[name, value] : input.extents)
    if (!dsl::isInSequence(spec.properties) || extents.contains(name)) // there lengths are known that a plan has no use for
      inputs.values[name] = static_cast<double>(value);
  for (const auto &[name, value] : input.scalars)
    inputs.values[name] = value;
  for (const auto &[name, tensor] : input.tensors)
    if (manifest.tensor(name))
      inputs.tensors.emplace(name, isSwapped(spec, name) ? swapRowsAndHeads(tensor) : tensor);
  return inputs;
}

Result<NamedTensors> runOnInput(const Device &device, const Plan &plan, const dsl::TypedSpec &spec, const dsl::EvaluationInput &input,
                                MemoryOrder order, std::uint32_t splits) {
  PlanInputs inputs = planInputs(spec, plan.manifest(), input);
  inputs.splits = splits;
  return runPlan(device, plan, inputs, order);
}

Result<CheckRecord> compareOutputs(const dsl::TypedSpec &spec, const dsl::EvaluationInput &input, const NamedTensors &outputs,
                                   const dsl::EvaluationOutput &exact) {
  CheckRecord record;
  record.shape = describeShape(input);
  for (const auto &[name, tensor] : outputs) {
    std::vector<double> actual = widen(isSwapped(spec, name) ? swapRowsAndHeads(tensor) : tensor);
    ToleranceQuestion question;
    if (name == "out") {
      question = {actual, exact.out, exact.emulatedOut, exact.outNoise, static_cast<std::size_t>(exact.outShape.back()),
                  exact.isAllF32 ? Tolerance::kNumberFloor : Tolerance::kFloor};
    } else if (name == "lse") {
      question = {actual, exact.lse, exact.emulatedLse, exact.lseNoise, 1};
    } else if (name == "max_score") {
      question = {actual, exact.maxScore, exact.emulatedMaxScore, exact.maxScoreNoise, 1};
    } else {
      return Status(StatusCode::Unsupported, fmt::format("output `{}`: has no reference to compare with", name));
    }
    record.outputs.push_back(compare(name, question, exact));
  }
  return record;
}

Result<CheckRecord> checkPlan(const Device &device, const Plan &plan, const dsl::TypedSpec &spec, const dsl::EvaluationInput &input,
                              std::uint32_t splits) {
  Result<NamedTensors> outputs = runOnInput(device, plan, spec, input, MemoryOrder::Contiguous, splits);
  if (!outputs)
    return outputs.status();
  Result<dsl::EvaluationOutput> exact =
      dsl::evaluate(spec, input, {.emulateKernel = true, .tf32 = plan.manifest().tf32, .approximateTanh = plan.manifest().approximateTanh,
                                  .float8Scores = plan.manifest().float8Scores, .float8Probs = plan.manifest().float8Probs});
  if (!exact)
    return exact.status();
  return compareOutputs(spec, input, *outputs, *exact);
}

OutputError compareWithStored(const std::string &name, const HostTensor &actual, const HostTensor &expected, double limit) {
  OutputError error;
  error.name = name;
  if (actual.shape != expected.shape) {
    error.problem = "the stored tensor has another shape";
    return error;
  }
  double squares = 0, reference = 0;
  std::int64_t mismatches = 0;
  for (std::int64_t i = 0; i < actual.elementCount(); ++i) {
    double a = actual.get(i), e = expected.get(i);
    if (!std::isfinite(a) || !std::isfinite(e)) {
      mismatches += !(a == e || (std::isnan(a) && std::isnan(e)));
      continue;
    }
    squares += (a - e) * (a - e);
    reference += e * e;
    error.maxAbsolute = std::max(error.maxAbsolute, std::abs(a - e));
  }
  error.rmsRelative = reference > 0 ? std::sqrt(squares / reference) : std::sqrt(squares);
  error.worstOfTolerance = error.rmsRelative / limit;
  if (mismatches)
    error.problem = fmt::format("{} elements are finite on one side only", mismatches);
  else if (!(error.rmsRelative <= limit))
    error.problem = fmt::format("relative error {:.2e} is over {:.2e}", error.rmsRelative, limit);
  error.isWithin = error.problem.empty();
  return error;
}

} // namespace attn::tools
