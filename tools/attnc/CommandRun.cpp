// `attnc run`: a specification or a package on real tensors.
#include "tools/attnc/Inputs.h"
#include "tools/attnc/SpecModule.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace attn::tools {

namespace {
struct RunOptions {
  SpecOptions spec;
  ShapeOption shape;
  DeviceOption device;
  InputOption inputs;
  std::vector<std::string> outputs;
};
} // namespace

/// Writes each wanted output; those that name one safetensors file go there together.
static Status writeOutputs(const std::vector<std::string> &wanted, const NamedTensors &outputs) {
  std::map<std::string, NamedTensors> files;
  for (const std::string &item : wanted) {
    std::size_t equals = item.find('=');
    std::string name = item.substr(0, equals), path = equals == std::string::npos ? "" : item.substr(equals + 1);
    auto found = outputs.find(name);
    if (found == outputs.end()) {
      std::vector<std::string> names;
      for (const auto &[key, tensor] : outputs)
        names.push_back(key);
      return Status(StatusCode::InvalidArgument, fmt::format("--output {}: there is no output `{}` (there are: {})", item, name, fmt::join(names, ", ")));
    }
    ElementType stored = found->second.type;
    if (path.ends_with(".safetensors")) {
      files[path].insert(*found);
    } else if (path.ends_with(".npy")) {
      if (Status status = writeFile(path, formatNpy(found->second, &stored)); !status)
        return status;
    } else {
      return Status(StatusCode::InvalidArgument, fmt::format("--output {}: expects {}=FILE.npy or {}=FILE.safetensors", item, name, name));
    }
    fmt::print("{}: {}[{}]{} -> {}\n", name, spelling(found->second.type), fmt::join(found->second.shape, ", "),
               stored == found->second.type ? "" : fmt::format(", stored as {}", spelling(stored)), path);
  }
  for (const auto &[path, tensors] : files)
    if (Status status = writeFile(path, formatSafetensors(tensors)); !status)
      return status;
  return {};
}

static Status checkOutputNames(const std::vector<std::string> &wanted, const PlanManifest &manifest) {
  for (const std::string &item : wanted) {
    std::string name = item.substr(0, item.find('='));
    const TensorArgument *tensor = manifest.tensor(name);
    if (!tensor || tensor->role != ArgumentRole::Output)
      return Status(StatusCode::InvalidArgument, fmt::format("--output {}: the specification has no output `{}`", item, name));
    if (!item.ends_with(".npy") && !item.ends_with(".safetensors"))
      return Status(StatusCode::InvalidArgument, fmt::format("--output {}: expects {}=FILE.npy or {}=FILE.safetensors", item, name, name));
  }
  return {};
}

static Status run(const RunOptions &options) {
  Result<std::map<std::string, double>> values = options.shape.parse();
  if (!values)
    return values.status();
  Result<Device> device = options.device.open(options.spec.target);
  if (!device)
    return device.status();
  Result<Plan> plan = loadPlan(*device, options.spec);
  if (!plan)
    return plan.status();
  if (Status status = checkOutputNames(options.outputs, plan->manifest()); !status)
    return status;
  Result<PlanInputs> inputs = options.inputs.read(plan->manifest());
  if (!inputs)
    return inputs.status();
  inputs->values = std::move(*values);
  Result<NamedTensors> outputs = runPlan(*device, *plan, *inputs);
  if (!outputs)
    return outputs.status();
  return writeOutputs(options.outputs, *outputs);
}

void addRunCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<RunOptions>();
  CLI::App *command = app.add_subcommand("run", "run a specification or a package on tensors from files");
  options->spec.addTo(*command);
  options->inputs.addTo(*command);
  command->add_option("--output", options->outputs, "where an output goes: out=FILE.npy, lse=FILE.safetensors")->allow_extra_args(false)->required();
  options->shape.addTo(*command);
  options->device.addTo(*command);
  command->callback([options, &exitCode] {
    if (Status status = run(*options); !status)
      exitCode = fail(status);
  });
}

} // namespace attn::tools
