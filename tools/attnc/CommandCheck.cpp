// `attnc check`: compile, run on random, hostile or given inputs, compare with a float64 evaluation.
#include "tools/attnc/Check.h"
#include "tools/attnc/Inputs.h"
#include "tools/attnc/Progress.h"
#include "tools/attnc/SpecModule.h"
#include "tools/attnc/TileCount.h"

#include "dsl/RandomInputs.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>

namespace attn::tools {

namespace {
struct CheckOptions {
  SpecOptions spec;
  ShapeOption shape;
  DeviceOption device;
  InputOption inputs;
  std::vector<std::string> expected;
  std::uint64_t seed = 1;
  bool json = false;
};

/// One compiled specification and all that was found out about it.
struct CheckRun {
  std::unique_ptr<dsl::TypedSpec> spec;
  std::optional<Device> device;
  std::optional<Plan> plan;
  double compileMs = 0;
  std::vector<CheckRecord> records;
  std::vector<OutputError> stored;                     ///< against `--expected`
  std::optional<TileCount> tiles;
};
} // namespace

/// Outputs from elsewhere may have been rounded to 16 bits, and so is ours: twice that, relative.
static constexpr double kStoredLimit = 1.0 / 64;

static std::vector<dsl::EvaluationInput> boundInputs(const dsl::TypedSpec &spec, const std::map<std::string, double> &values) {
  if (values.empty())
    return dsl::hostileShapes(spec);
  dsl::EvaluationInput bound = boundByName(spec, values);
  bound.extents.emplace("q_len", 64);
  bound.extents.emplace("kv_len", bound.extents["q_len"]);
  return {bound};
}

static Status compareExpected(const CheckOptions &options, const NamedTensors &outputs, CheckRun &run) {
  for (const std::string &item : options.expected) {
    std::size_t equals = item.find('=');
    std::string name = item.substr(0, equals);
    auto found = outputs.find(name);
    if (equals == std::string::npos || found == outputs.end())
      return Status(StatusCode::InvalidArgument, fmt::format("--expected {}: expects OUTPUT=FILE", item));
    Result<HostTensor> tensor = readTensor(item.substr(equals + 1), name);
    if (!tensor)
      return tensor.status();
    run.stored.push_back(compareWithStored(name, found->second, *tensor, kStoredLimit));
  }
  return {};
}

/// On tensors from files.
static Status checkGiven(const CheckOptions &options, const std::map<std::string, double> &values, CheckRun &run) {
  Result<PlanInputs> inputs = options.inputs.read(run.plan->manifest());
  if (!inputs)
    return inputs.status();
  inputs->values = values;
  inputs->splits = options.spec.splitCount();
  if (Result<std::map<std::string, std::int64_t>> extents = bindExtents(run.plan->manifest(), *inputs); !extents)
    return extents.status();
  dsl::EvaluationInput input = evaluationInput(*run.spec, run.plan->manifest(), *inputs);
  Result<CheckRecord> record = checkPlan(*run.device, *run.plan, *run.spec, input, options.spec.splitCount());
  if (!record)
    return record.status();
  run.records.push_back(std::move(*record));
  if (!options.expected.empty()) {
    Result<NamedTensors> outputs = runPlan(*run.device, *run.plan, *inputs);
    if (!outputs)
      return outputs.status();
    if (Status status = compareExpected(options, *outputs, run); !status)
      return status;
  }
  Result<driver::CompileRequest> request = options.spec.request();
  std::map<std::string, double> classValues = values;
  for (const auto &[name, value] : input.extents)
    classValues[name] = static_cast<double>(value);
  for (const auto &[name, value] : input.scalars)
    classValues[name] = value;
  if (request)
    if (Result<driver::TileClasses> classes = driver::classifyTiles(*request, classValues, [&](std::string_view name) {
          auto found = input.tensors.find(name);
          return found == input.tensors.end() ? nullptr : &found->second;
        }))
      run.tiles = countTiles(classes->tiles, classes->schedule.blockN, input.extents["kv_len"]);
  return {};
}

static Status prepare(CheckOptions &options, CheckRun &run) {
  Result<driver::CompileRequest> request = options.spec.request();
  if (!request)
    return request.status();
  Result<Device> device = options.device.open(options.spec.target);
  if (!device)
    return device.status();
  run.device = *device;
  options.spec.suit(*device);
  request->target = options.spec.target;
  Result<std::unique_ptr<dsl::TypedSpec>> spec = driver::analyzeSpec(*request);
  if (!spec)
    return spec.status();
  run.spec = std::move(*spec);
  auto start = std::chrono::steady_clock::now();
  Result<jit::JitSession::Kernel> compiled = compiledKernel(*request);
  run.compileMs = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (!compiled)
    return compiled.status();
  Result<Module> module = Module::fromPtx(*run.device, (*compiled)->ptx, (*compiled)->manifestJson);
  if (!module)
    return module.status();
  Result<Plan> plan = module->plan();
  if (!plan)
    return plan.status();
  run.plan = *plan;
  return {};
}

static void printRecord(const CheckRun &run, const CheckRecord &record) {
  fmt::print("{} ({} on {}): {}\n", run.spec->name, run.plan->target(), run.device->info().name, record.shape);
  for (const OutputError &output : record.outputs)
    fmt::print("  {:9} {:5} relative error {:.2e} (the emulated algorithm: {:.2e}), largest {:.2e}, worst row at {:.0f} % of its tolerance{}{}\n",
               output.name, output.isWithin ? "ok" : "WRONG", output.rmsRelative, output.emulatedRms, output.maxAbsolute,
               100 * output.worstOfTolerance, output.problem.empty() ? "" : ": ", output.problem);
}

static nlohmann::ordered_json toJson(const OutputError &error) {
  return {{"name", error.name},
          {"within", error.isWithin},
          {"rms_relative", error.rmsRelative},
          {"max_absolute", error.maxAbsolute},
          {"emulated_rms_relative", error.emulatedRms},
          {"worst_of_tolerance", error.worstOfTolerance},
          {"problem", error.problem}};
}

static nlohmann::ordered_json toJson(const CheckRun &run) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CheckRecord &record : run.records) {
    nlohmann::ordered_json row = {{"specification", run.spec->name},
                                  {"target", run.plan->target()},
                                  {"device", run.device->info().name},
                                  {"shape", record.shape},
                                  {"within", record.isWithin()},
                                  {"compile_ms", run.compileMs}};
    for (const OutputError &output : record.outputs)
      row["outputs"].push_back(toJson(output));
    for (const OutputError &output : run.stored)
      row["expected"].push_back(toJson(output));
    if (run.tiles)
      row["tiles"] = {{"empty", run.tiles->empty}, {"partial", run.tiles->partial}, {"full", run.tiles->full}};
    list.push_back(std::move(row));
  }
  return list;
}

/// Parameters are normally distributed unless they promise a range, which few decays and slopes are meant for.
static std::string_view hintOfSize(const CheckRun &run) {
  constexpr double kHuge = 1e6;
  bool isHuge = false;
  for (const CheckRecord &record : run.records)
    for (const OutputError &output : record.outputs)
      isHuge |= output.maxAbsolute > kHuge;
  bool isParametrised = !run.spec->tensors.empty() || !run.spec->scalars.empty();
  return isHuge && isParametrised ? "help: results are huge: parameters without a promise are normally distributed; `in 0..1` keeps them "
                                    "in a range, `--input` gives real ones\n"
                                  : "";
}

static int check(CheckOptions &options) {
  Result<std::map<std::string, double>> values = options.shape.parse();
  if (!values)
    return fail(values.status());
  CheckRun run;
  if (Status status = prepare(options, run); !status)
    return fail(status);
  if (Status status = checkValues(*values, run.plan->manifest()); !status)
    return fail(status);
  bool isWithin = true;
  if (!options.inputs.empty()) {
    if (Status status = checkGiven(options, *values, run); !status)
      return fail(status);
  } else {
    if (!options.expected.empty())
      return fail(kBadUsage, "--expected: goes with --input");
    std::vector<dsl::EvaluationInput> shapes = boundInputs(*run.spec, *values);
    Progress progress(run.spec->name + " checked", shapes.size());
    for (const dsl::EvaluationInput &bound : shapes) {
      Result<dsl::EvaluationInput> input = dsl::randomInput(*run.spec, bound, {.seed = options.seed, .varyScalars = false, .scale = 1});
      if (!input)
        return fail(input.status());
      Result<CheckRecord> record = checkPlan(*run.device, *run.plan, *run.spec, *input, options.spec.splitCount());
      if (!record && record.status().code() != StatusCode::InvalidArgument)
        return fail(record.status());
      if (!record) { // the specification is not meant for this shape
        progress.clear();
        return fail(Status(record.status().code(), fmt::format("{}\nhelp: this is at {}; `--shape q_len=64,kv_len=128` checks at another shape",
                                                               record.status().message(), describeShape(*input))));
      }
      progress.step();
      progress.clear();
      if (!options.json)
        printRecord(run, *record);
      run.records.push_back(std::move(*record));
    }
  }
  for (const CheckRecord &record : run.records) {
    isWithin &= record.isWithin();
    if (!options.json && !options.inputs.empty())
      printRecord(run, record);
  }
  for (const OutputError &stored : run.stored) {
    isWithin &= stored.isWithin;
    if (!options.json)
      fmt::print("  {:9} {:5} relative distance {:.2e} from the stored output, largest {:.2e}{}{}\n", stored.name,
                 stored.isWithin ? "ok" : "WRONG", stored.rmsRelative, stored.maxAbsolute, stored.problem.empty() ? "" : ": ", stored.problem);
  }
  if (options.json)
    fmt::print("{}\n", toJson(run).dump(2));
  else if (!isWithin)
    fmt::print("over tolerance\n{}", hintOfSize(run));
  return isWithin ? kSuccess : kFailed;
}

void addCheckCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App *command = app.add_subcommand("check", "compare a compiled specification with its float64 evaluation");
  options->spec.addTo(*command);
  options->shape.addTo(*command);
  options->inputs.addTo(*command);
  command->add_option("--expected", options->expected, "compare with a stored output too: out=FILE.safetensors:NAME")->allow_extra_args(false);
  command->add_option("--seed", options->seed, "of the random inputs")->capture_default_str();
  command->add_flag("--json", options->json, "for machines");
  options->device.addTo(*command);
  command->callback([options, &exitCode] { exitCode = check(*options); });
}

} // namespace attn::tools
