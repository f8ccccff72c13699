#include "tools/attnc/ExplainInputs.h"

#include "dsl/Evaluate.h"
#include "dsl/RandomInputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace attn::tools {

/// Extents that the shapes of given tensors fix.
static Status bindShapes(const PlanManifest &manifest, const NamedTensors &tensors, std::map<std::string, double> &values) {
  for (const TensorArgument &argument : manifest.tensors) {
    auto found = tensors.find(argument.name);
    if (found == tensors.end())
      continue;
    const std::vector<std::int64_t> &shape = found->second.shape;
    if (shape.size() != argument.dims.size())
      return Status(StatusCode::InvalidArgument, fmt::format("`{}` has {} dimensions, the specification wants {}", argument.name,
                                                             shape.size(), argument.dims.size()));
    for (std::size_t d = 0; d < shape.size(); ++d) {
      std::optional<std::string_view> name = argument.dims[d].asName();
      bool isPacked = argument.type == ElementType::Bit && d + 1 == shape.size();
      if (!name || isPacked)
        continue;
      auto [entry, isNew] = values.try_emplace(std::string(*name), static_cast<double>(shape[d]));
      if (!isNew && entry->second != static_cast<double>(shape[d]))
        return Status(StatusCode::InvalidArgument, fmt::format("dimension {} of `{}` is {}, but `{}` is {}", d, argument.name, shape[d],
                                                               *name, entry->second));
    }
  }
  return {};
}

static void giveUsualLengths(std::map<std::string, double> &values) {
  static constexpr double kLength = 2048;
  values.try_emplace("batch", 1);
  auto other = [&](const char *name) { return values.contains(name) ? values.at(name) : kLength; };
  double qLen = other("kv_len"), kvLen = other("q_len");
  values.try_emplace("q_len", qLen);
  values.try_emplace("kv_len", kvLen);
}

Result<ExplainInputs> ExplainInputs::make(const driver::CompileRequest &request, const PlanManifest &manifest,
                                          std::map<std::string, double> values, NamedTensors tensors, std::uint64_t seed) {
  ExplainInputs inputs;
  inputs.seed = seed;
  if (Status status = bindShapes(manifest, tensors, values); !status)
    return status;
  giveUsualLengths(values);
  inputs.given = std::move(tensors);
  inputs.numbers = std::move(values);
  if (request.from != driver::Stage::Source)
    return inputs;
  Result<std::unique_ptr<dsl::TypedSpec>> spec = driver::analyzeSpec(request);
  if (!spec)
    return spec.status();
  inputs.spec = std::move(*spec);
  dsl::EvaluationInput bound;
  for (const auto &[name, value] : inputs.numbers) {
    auto isNamed = [&](const dsl::ScalarParameter &scalar) { return scalar.name == name; };
    bool isScalar = name == "softmax_scale" || std::any_of(inputs.spec->scalars.begin(), inputs.spec->scalars.end(), isNamed);
    if (isScalar)
      bound.scalars[name] = value;
    else
      bound.extents[name] = static_cast<std::int64_t>(value);
  }
  Result<dsl::EvaluationInput> completed = dsl::randomScalars(*inputs.spec, bound, {.seed = seed});
  if (!completed)
    return completed.status();
  Result<std::map<std::string, std::int64_t, std::less<>>> extents = dsl::boundExtents(*inputs.spec, *completed);
  if (!extents)
    return extents.status();
  for (const auto &[name, value] : *extents)
    inputs.numbers.try_emplace(name, static_cast<double>(value));
  for (const auto &[name, value] : completed->scalars)
    if (inputs.numbers.try_emplace(name, value).second && name != "softmax_scale")
      inputs.generatedNumbers.push_back(fmt::format("`{}` = {}", name, value));
  return inputs;
}

const HostTensor *ExplainInputs::tensor(std::string_view view) {
  std::string name(view);
  if (auto found = given.find(name); found != given.end()) {
    if (std::find(usedGiven.begin(), usedGiven.end(), name) == usedGiven.end())
      usedGiven.push_back(name);
    return &found->second;
  }
  if (auto found = generated.find(name); found != generated.end())
    return &found->second;
  if (!spec)
    return nullptr;
  std::map<std::string, std::int64_t, std::less<>> extents;
  for (const auto &[key, value] : numbers)
    extents.emplace(key, static_cast<std::int64_t>(value));
  for (const dsl::TensorParameter &parameter : spec->tensors)
    if (parameter.name == name)
      if (Result<HostTensor> made = dsl::randomParameter(parameter, extents, seed))
        return &generated.emplace(name, std::move(*made)).first->second;
  return nullptr;
}

std::string ExplainInputs::origins() const {
  std::vector<std::string> made = generatedNumbers;
  for (const auto &[name, tensor] : generated)
    made.push_back(fmt::format("`{}`", name));
  std::string text;
  if (!usedGiven.empty())
    text = fmt::format("`{}` from --input", fmt::join(usedGiven, "`, `"));
  if (!made.empty())
    text += fmt::format("{}{} generated as by `attnc check --seed {}`", text.empty() ? "" : "; ", fmt::join(made, ", "), seed);
  return text;
}

} // namespace attn::tools
