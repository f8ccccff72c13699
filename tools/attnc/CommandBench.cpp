// `attnc bench`: times on a GPU, counts on the virtual GPU.
#include "tools/attnc/BenchCounts.h"
#include "tools/attnc/BenchTimes.h"
#include "tools/attnc/Command.h"
#include "tools/attnc/TensorFile.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace attn::tools {

namespace {
struct BenchOptions {
  SpecOptions spec;
  ShapeOption shape;
  InputOption inputs;
  std::string device = "auto", machine, jsonPath;
  std::uint64_t seed = 1;
  TimingOptions timing;
};
} // namespace

/// Lengths where --shape gives none: what a GPU is busy with, and what the virtual one does in a second.
static constexpr double kGpuLength = 8192, kEmulatorLength = 1024;

static Result<const GpuMachine *> chosenMachine(const std::string &name, const std::string &target) {
  if (const GpuMachine *machine = name.empty() ? machineOfTarget(target) : findGpuMachine(name))
    return machine;
  std::string names;
  for (const GpuMachine &machine : gpuMachines())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", machine.name);
  return Status(StatusCode::InvalidArgument,
                fmt::format("--machine {}: {}; known: {}", name, name.empty() ? "no rates are known for " + target : "is no machine", names));
}

static Status writeReport(const BenchOptions &options, const nlohmann::ordered_json &report) {
  if (options.jsonPath.empty())
    return {};
  if (options.jsonPath != "-")
    return writeFile(options.jsonPath, report.dump(2) + "\n");
  fmt::print("{}\n", report.dump(2));
  return {};
}

static Status bench(BenchOptions &options) {
  Result<std::map<std::string, double>> shape = options.shape.parse();
  if (!shape)
    return shape.status();
  DeviceOption choice;
  choice.name = options.device;
  choice.keepCounters = true;
  Result<const GpuMachine *> machine = chosenMachine(options.machine, options.spec.target);
  if (!machine)
    return machine.status();
  choice.multiprocessors = (*machine)->multiprocessors;
  Result<Device> device = choice.open(options.spec.target);
  if (!device && options.device.starts_with("cuda"))
    return Status(device.status().code(), device.status().message() + "; without a GPU `--device emulator` counts instead of timing");
  if (!device)
    return device.status();
  const bool isEmulator = device->info().name == "emulator";
  options.spec.suit(*device);
  if (device->info().name == "null")
    return Status(StatusCode::InvalidArgument, "--device null: runs nothing that could be counted or timed");
  const bool toScreen = options.jsonPath != "-";
  BenchRequest request{.spec = options.spec, .shape = *shape, .files = &options.inputs, .seed = options.seed};
  request.defaultLength = isEmulator ? kEmulatorLength : kGpuLength;
  Result<BenchWork> work = prepareWork(request, *device);
  if (!work)
    return work.status();
  if (toScreen)
    printWork(*work);
  if (isEmulator) {
    Result<CountedRun> run = countRun(*work);
    if (!run)
      return run.status();
    if (toScreen)
      printCounts(*work, *run, **machine);
    return writeReport(options, countsJson(*work, *run, **machine));
  }
  Result<Timing> timing = timePlan(*work, options.timing);
  if (!timing)
    return timing.status();
  if (toScreen)
    printTimes(*work, *timing);
  return writeReport(options, timesJson(*work, *timing));
}

void addBenchCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App *command = app.add_subcommand("bench", "time a specification on a GPU, or count what it executes on the virtual GPU");
  options->spec.addTo(*command);
  options->shape.addTo(*command);
  options->inputs.addTo(*command);
  command->add_option("--device", options->device, "auto, cuda, cuda:N or emulator")->capture_default_str()->type_name("NAME");
  command->add_option("--machine", options->machine, "emulator: the GPU whose rates the counts are held against")->type_name("NAME");
  command->add_option("--seed", options->seed, "of the random inputs")->capture_default_str();
  command->add_option("--samples", options->timing.samples, "GPU: how many times are taken")->capture_default_str()->check(CLI::Range(1, 100000));
  command->add_option("--warmup-ms", options->timing.warmupMs, "GPU: milliseconds of launches before the first sample")
      ->capture_default_str()->check(CLI::Range(0.0, 60000.0));
  command->add_option("--json", options->jsonPath, "write the report for machines here; - is standard output, instead of the text")->type_name("FILE");
  command->callback([options, &exitCode] {
    if (Status status = bench(*options); !status)
      exitCode = fail(status);
  });
}

} // namespace attn::tools
