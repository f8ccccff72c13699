#include "tools/attnc/Inputs.h"

#include "support/NearestName.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace attn::tools {

void InputOption::addTo(CLI::App &command) {
  command.add_option("--input", items, "query=FILE.npy, query=FILE.safetensors:NAME, or FILE.safetensors for all by their names")
      ->allow_extra_args(false);
  command.add_flag("--cast", cast, "round floating-point inputs to the specification's types");
}

static std::vector<std::string> inputNames(const PlanManifest &manifest) {
  std::vector<std::string> names;
  for (const TensorArgument &tensor : manifest.tensors)
    if (tensor.role == ArgumentRole::Input)
      names.push_back(tensor.name);
  return names;
}

Result<PlanInputs> InputOption::read(const PlanManifest &manifest) const {
  NamedTensors given;
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
