// `attnc run`: a specification or a package on real tensors.
#include "support/NearestName.h"
#include "tools/attnc/Inputs.h"
#include "tools/attnc/Progress.h"
#include "tools/attnc/SpecModule.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace attn::tools {

namespace {
struct RunOptions {
  SpecOptions spec;
  ShapeOption shape;
  DeviceOption device;
  InputOption inputs;
  std::vector<std::string> outputs;
  bool json = false;
};
} // namespace

/// `--output NAME=PATH`.
struct WantedOutput {
  std::string name, path;
};

static Status invalid(std::string message) { return Status(StatusCode::InvalidArgument, std::move(message)); }

/// What `--output` asks for, checked as far as it can be before anything runs.
static Result<std::vector<WantedOutput>> wantedOutputs(const std::vector<std::string> &items, const PlanManifest &manifest) {
  std::vector<std::string> names;
  for (const TensorArgument &tensor : manifest.tensors)
    if (tensor.role == ArgumentRole::Output)
      names.push_back(tensor.name);
  std::vector<WantedOutput> wanted;
  for (const std::string &item : items) {
    std::size_t equals = item.find('=');
    WantedOutput output{item.substr(0, equals), equals == std::string::npos ? "" : item.substr(equals + 1)};
    if (equals == std::string::npos || output.name.empty() || (!output.path.ends_with(".npy") && !output.path.ends_with(".safetensors")))
      return invalid(fmt::format("--output {}: expects NAME=FILE.npy or NAME=FILE.safetensors", item));
    if (std::find(names.begin(), names.end(), output.name) == names.end())
      return invalid(fmt::format("--output {}: the specification has no output `{}`{}", item, output.name, nameHint(output.name, names)));
    for (const WantedOutput &other : wanted)
      if (other.path == output.path && (output.path.ends_with(".npy") || other.name == output.name))
        return invalid(fmt::format("--output {}: `{}` goes to that file already", item, other.name));
    if (Status status = checkWritable(output.path); !status)
      return status;
    wanted.push_back(std::move(output));
  }
  return wanted;
}

/// Writes each wanted output; those that name one safetensors file go there together.
static Status writeOutputs(const std::vector<WantedOutput> &wanted, const NamedTensors &outputs, bool json) {
  std::map<std::string, NamedTensors> files;
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const WantedOutput &output : wanted) {
    const HostTensor &tensor = outputs.at(output.name);
    ElementType stored = tensor.type;
    if (output.path.ends_with(".safetensors")) {
      files[output.path].emplace(output.name, tensor);
    } else if (Status status = writeFile(output.path, formatNpy(tensor, &stored)); !status) {
      return status;
    }
    rows.push_back({{"name", output.name},
                    {"type", spelling(tensor.type)},
                    {"shape", tensor.shape},
                    {"stored_type", spelling(stored)},
                    {"path", output.path}});
    if (!json)
      fmt::print("{}: {}[{}]{} -> {}\n", output.name, spelling(tensor.type), fmt::join(tensor.shape, ", "),
                 stored == tensor.type ? "" : fmt::format(", stored as {}", spelling(stored)), output.path);
  }
  for (const auto &[path, tensors] : files)
    if (Status status = writeFile(path, formatSafetensors(tensors)); !status)
      return status;
  if (json)
    fmt::print("{}\n", rows.dump(2));
  return {};
}

static Status run(RunOptions &options) {
  Result<std::map<std::string, double>> values = options.shape.parse();
  if (!values)
    return values.status();
  Result<Device> device = options.device.open(options.spec.target);
  if (!device)
    return device.status();
  options.spec.suit(*device);
  Result<Plan> plan = loadPlan(*device, options.spec);
  if (!plan)
    return plan.status();
  if (Status status = checkValues(*values, plan->manifest()); !status)
    return status;
  Result<std::vector<WantedOutput>> wanted = wantedOutputs(options.outputs, plan->manifest());
  if (!wanted)
    return wanted.status();
  Result<PlanInputs> inputs = options.inputs.read(plan->manifest());
  if (!inputs)
    return inputs.status();
  inputs->values = std::move(*values);
  inputs->splits = options.spec.splitCount();
  Progress progress(fmt::format("{} on {}", plan->manifest().name, device->info().name));
  Result<NamedTensors> outputs = runPlan(*device, *plan, *inputs);
  progress.finish();
  if (!outputs)
    return outputs.status();
  return writeOutputs(*wanted, *outputs, options.json);
}

void addRunCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<RunOptions>();
  CLI::App *command = app.add_subcommand("run", "run a specification or a package on tensors from files");
  options->spec.addTo(*command);
  options->inputs.addTo(*command);
  command->add_option("--output", options->outputs, "where an output goes: out=FILE.npy, lse=FILE.safetensors")
      ->allow_extra_args(false)->required()->type_name("NAME=FILE");
  options->shape.addTo(*command);
  options->device.addTo(*command);
  command->add_flag("--json", options->json, "print what was written for machines");
  command->callback([options, &exitCode] {
    if (Status status = run(*options); !status)
      exitCode = fail(status);
  });
}

} // namespace attn::tools
