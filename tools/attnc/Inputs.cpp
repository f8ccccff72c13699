#include "tools/attnc/Inputs.h"

#include "dsl/RequestRows.h"
#include "support/NearestName.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace attn::tools {

void InputOption::addTo(CLI::App &command) {
  command.add_option("--input", items, "query=FILE.npy, query=FILE.safetensors:NAME, or FILE.safetensors for all by their names")
      ->allow_extra_args(false)->type_name("[NAME=]FILE");
  command.add_flag("--cast", cast, "round floating-point inputs to the specification's types");
}

static std::vector<std::string> inputNames(const PlanManifest &manifest) {
  std::vector<std::string> names;
  for (const TensorArgument &tensor : manifest.tensors)
    if (tensor.role == ArgumentRole::Input)
      names.push_back(tensor.name);
  return names;
}

static Status checkWhole(const std::string &name, double value, std::string_view what, double lowest, double highest) {
  if (value == std::floor(value) && value >= lowest && value <= highest)
    return {};
  return Status(StatusCode::InvalidArgument,
                fmt::format("--shape: `{}` is {}; {} is a whole number from {:.0f} to {:.0f}", name, value, what, lowest, highest));
}

std::set<std::string> extentNames(const PlanManifest &manifest) {
  std::set<std::string> names;
  auto add = [&](const SizeExpr &size) {
    for (const auto &name : size.names())
      names.emplace(name);
  };
  auto addRange = [&](const std::optional<ValueRange> &range) {
    if (range) {
      add(range->lo);
      add(range->hi);
    }
  };
  for (const TensorArgument &tensor : manifest.tensors) {
    for (const SizeExpr &dim : tensor.dims)
      add(dim);
    addRange(tensor.range);
  }
  for (const KernelManifest &kernel : manifest.kernels) {
    for (const SizeExpr &size : kernel.grid)
      add(size);
    for (const KernelParam &param : kernel.params)
      if (param.kind == KernelParam::Kind::Extent)
        if (auto size = SizeExpr::parse(param.name))
          add(*size);
  }
  for (const ScalarArgument &scalar : manifest.scalars)
    addRange(scalar.range);
  for (const ScalarArgument &scalar : manifest.scalars)
    names.erase(scalar.name);
  return names;
}

Status checkValues(const std::map<std::string, double> &values, const PlanManifest &manifest) {
  constexpr double kLowest = std::numeric_limits<std::int32_t>::min(), kHighest = std::numeric_limits<std::int32_t>::max();
  std::set<std::string> extents = extentNames(manifest);
  const bool isInSequence = manifest.tensor("cu_seqlens_q") != nullptr;
  if (isInSequence)
    extents.insert({"q_len", "kv_len"});
  for (const auto &[name, value] : values) {
    if (dsl::isLengthName(name)) {
      if (isInSequence)
        continue;
      return Status(StatusCode::InvalidArgument,
                    fmt::format("--shape: `{}` differs by request, which layouts `ragged` and `paged` have alone", name.substr(0, name.find('.'))));
    }
    auto scalar = std::find_if(manifest.scalars.begin(), manifest.scalars.end(),
                               [&](const ScalarArgument &candidate) { return candidate.name == name; });
    Status status;
    if (scalar == manifest.scalars.end()) {
      if (!extents.contains(name)) {
        std::vector<std::string> known(extents.begin(), extents.end());
        for (const ScalarArgument &candidate : manifest.scalars)
          known.push_back(candidate.name);
        return Status(StatusCode::InvalidArgument,
                      fmt::format("--shape: the specification has no extent or scalar `{}`{}", name, nameHint(name, known)));
      }
      status = checkWhole(name, value, "an extent", 0, kHighest);
    } else if (scalar->type == ElementType::I32) {
      status = checkWhole(name, value, "an i32", kLowest, kHighest);
    } else if (scalar->type == ElementType::Bool) {
      status = checkWhole(name, value, "a bool", 0, 1);
    }
    if (!status)
      return status;
  }
  return {};
}

Result<PlanInputs> InputOption::read(const PlanManifest &manifest) const {
  NamedTensors given;
  std::set<std::string> single; // by name; from a file of several, one that is named replaces another
  std::vector<std::string> names = inputNames(manifest);
  for (const std::string &item : items) {
    std::size_t equals = item.find('=');
    if (equals == std::string::npos) {
      if (!item.ends_with(".safetensors"))
        return Status(StatusCode::InvalidArgument, fmt::format("--input {}: expects name=FILE, or a .safetensors file", item));
      Result<NamedTensors> tensors = readTensors(item);
      if (!tensors)
        return tensors.status();
      for (auto &[name, tensor] : *tensors)
        if (std::find(names.begin(), names.end(), name) != names.end())
          given.insert_or_assign(name, std::move(tensor));
      continue;
    }
    std::string name = item.substr(0, equals);
    if (std::find(names.begin(), names.end(), name) == names.end())
      return Status(StatusCode::InvalidArgument, fmt::format("--input {}: the specification has no input `{}`{}", item, name, nameHint(name, names)));
    if (equals + 1 == item.size())
      return Status(StatusCode::InvalidArgument, fmt::format("--input {}: expects name=FILE", item));
    if (!single.insert(name).second)
      return Status(StatusCode::InvalidArgument, fmt::format("--input {}: `{}` is given twice", item, name));
    Result<HostTensor> tensor = readTensor(item.substr(equals + 1), name);
    if (!tensor)
      return tensor.status();
    given.insert_or_assign(name, std::move(*tensor));
  }
  PlanInputs inputs;
  for (auto &[name, tensor] : given) {
    Result<HostTensor> fitted = fitTensor(tensor, *manifest.tensor(name), cast);
    if (!fitted)
      return fitted.status();
    inputs.tensors.emplace(name, std::move(*fitted));
  }
  return inputs;
}

} // namespace attn::tools
