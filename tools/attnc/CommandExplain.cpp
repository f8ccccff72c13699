// `attnc explain`: what the compiler decided about a specification, and a picture of the mask's tiles; on request the
// instructions that ptxas makes of it, and what the virtual GPU counts.
#include "runtime/core/SplitChoice.h"
#include "tools/attnc/BenchCounts.h"
#include "tools/attnc/Command.h"
#include "tools/attnc/ExplainInputs.h"
#include "tools/attnc/ExplainPage.h"
#include "tools/attnc/Inputs.h"
#include "tools/attnc/Ptxas.h"
#include "tools/attnc/SassReport.h"
#include "tools/attnc/SpecModule.h"
#include "tools/attnc/TensorFile.h"
#include "tools/attnc/TileCount.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace attn::tools {

namespace {
struct ExplainOptions {
  SpecOptions spec;
  ShapeOption shape;
  InputOption inputs;
  std::uint64_t seed = 1;
  bool counters = false, sass = false, json = false;
  std::string html;   ///< a path, empty for none
};
} // namespace

/// At most 64 lines and 128 columns: beyond, every n-th tile is shown.
static void printPicture(const TileCount &picture) {
  std::size_t lineStep = (picture.lines.size() + 63) / 64;
  std::size_t columns = picture.lines.empty() ? 0 : picture.lines.front().size(), columnStep = (columns + 127) / 128;
  if (lineStep > 1 || columnStep > 1)
    fmt::print("  (every {}th query tile, every {}th key tile)\n", lineStep, columnStep);
  for (std::size_t i = 0; i < picture.lines.size(); i += lineStep) {
    std::string line;
    for (std::size_t j = 0; j < columns; j += columnStep)
      line += picture.lines[i][j];
    fmt::print("  {}\n", line);
  }
}

/// Of the kernel in the plan; nothing without ptxas.
static Result<std::optional<AssemblerReport>> assembled(const driver::CompileRequest &request, const driver::CompiledPlan &plan) {
  if (!findPtxas())
    return std::optional<AssemblerReport>();
  Result<AssemblerReport> report = assemble(plan.ptx, request.target);
  if (!report)
    return report.status();
  return std::optional(std::move(*report));
}

static void printPlan(const driver::CompiledPlan &plan, const std::optional<AssemblerReport> &assembly) {
  fmt::print("{} for {}\n", plan.manifest.name, plan.manifest.target);
  for (const std::string &remark : plan.remarks)
    fmt::print("  {}\n", remark);
  for (const KernelManifest &kernel : plan.manifest.kernels)
    fmt::print("kernel {}: {} threads, {} bytes of shared memory, grid {} x {} x {}\n", kernel.name, kernel.threads, kernel.sharedBytes,
               kernel.grid[0].text(), kernel.grid[1].text(), kernel.grid[2].text());
  if (!assembly)
    fmt::print("ptxas: not found here, so registers are not known\n");
  for (const KernelResources &kernel : assembly ? assembly->kernels : std::vector<KernelResources>())
    fmt::print("ptxas: {}: {} registers a thread, {} bytes spilled\n", kernel.kernel, kernel.registers, kernel.spillBytes);
}

/// What a launch of a plan whose keys may be split chooses at this shape; empty for other plans.
static std::string launchText(const driver::CompiledPlan &plan, const ExplainInputs &inputs, const std::string &target, std::uint32_t asked) {
  const GpuMachine *machine = machineOfTarget(target);
  if (!plan.manifest.keys || !machine)
    return {};
  auto extent = [&](std::string_view name) -> std::optional<std::int64_t> {
    auto found = inputs.values().find(std::string(name));
    return found == inputs.values().end() ? std::nullopt : std::optional(static_cast<std::int64_t>(found->second));
  };
  auto choice = runtime::chooseSplit(plan.manifest, extent, machine->multiprocessors, asked);
  if (!choice)
    return {};
  const runtime::WorkSize &work = choice->isForFewRows ? choice->fewRows : choice->whole;
  std::int64_t waves = work.waves(choice->splits), blocks = (work.keyBlocks + choice->splits - 1) / choice->splits;
  return fmt::format("launch on {}: the kernel for {} rows, {}: {} of {} rows and up to {} blocks of {} keys; {} wave{} of {} blocks{}\n", machine->name,
                     choice->isForFewRows ? "few" : "all", choice->splits > 1 ? fmt::format("keys in {} shares", choice->splits) : "keys not split",
                     work.tiles * choice->splits, work.rows, blocks, work.keys, waves, waves == 1 ? "" : "s", work.places,
                     choice->splits > 1 ? ", then a merge" : "");
}

static std::string countsText(const TileCount &count) {
  return fmt::format("{} in all; {} skipped (.), {} full (#), {} partial (+)", count.empty + count.partial + count.full, count.empty,
                     count.full, count.partial);
}

/// What the mask's ranges differ by, for a sentence.
static std::string_view scopeOf(const driver::TileClasses &classes) {
  if (classes.dependsOnRequest && classes.dependsOnHead)
    return "requests and heads";
  return classes.dependsOnHead ? "heads" : "requests";
}

static void printTiles(const driver::TileClasses &classes, const ExplainInputs &inputs) {
  std::int64_t kvLen = inputs.extent("kv_len");
  const driver::ScheduleSummary &schedule = classes.schedule;
  if (std::string origins = inputs.origins(); !origins.empty())
    fmt::print("the mask reads {}\n", origins);
  TileCount picture = countTiles(classes.tiles, schedule.blockN, kvLen);
  fmt::print("tiles of {} x {} of one head at q_len {}, kv_len {}: {}\n", schedule.blockM, schedule.blockN, inputs.extent("q_len"), kvLen,
             countsText(picture));
  if (!classes.others.empty()) {
    TileCount sum = picture;
    for (const std::vector<driver::TileRanges> &tiles : classes.others)
      sum += countTiles(tiles, schedule.blockN, kvLen);
    fmt::print("over all {} {}: {}\n", classes.others.size() + 1, scopeOf(classes), countsText(sum));
  }
  printPicture(picture);
}

static nlohmann::ordered_json planJson(const driver::CompiledPlan &plan, const driver::TileClasses &classes, const ExplainInputs &inputs) {
  TileCount count = countTiles(classes.tiles, classes.schedule.blockN, inputs.extent("kv_len"));
  const driver::ScheduleSummary &schedule = classes.schedule;
  nlohmann::ordered_json kernels = nlohmann::ordered_json::array();
  for (const KernelManifest &kernel : plan.manifest.kernels)
    kernels.push_back({{"name", kernel.name}, {"threads", kernel.threads}, {"shared_bytes", kernel.sharedBytes}});
  return {{"specification", plan.manifest.name},
          {"target", plan.manifest.target},
          {"remarks", plan.remarks},
          {"schedule", {{"block_m", schedule.blockM}, {"block_n", schedule.blockN}, {"stages", schedule.stages}, {"warps", schedule.warps}}},
          {"kernels", kernels},
          {"tiles_of_one_head", {{"empty", count.empty}, {"partial", count.partial}, {"full", count.full}}}};
}

/// The products of a tile, in multiply-adds, as the specification's plain form has them; 0 where there is none.
static double tileMacs(const driver::CompileRequest &request, const driver::ScheduleSummary &schedule) {
  if (request.from != driver::Stage::Source)
    return 0;
  Result<std::unique_ptr<dsl::TypedSpec>> spec = driver::analyzeSpec(request);
  if (!spec)
    return 0;
  return static_cast<double>(schedule.blockM * schedule.blockN * ((*spec)->properties.headDim + (*spec)->properties.headDimV));
}

static Status explainSass(const driver::CompileRequest &request, const driver::TileClasses &classes,
                          const std::optional<AssemblerReport> &assembly, nlohmann::ordered_json *json) {
  if (!assembly)
    return Status(StatusCode::Unsupported, "--sass: needs NVIDIA's ptxas, which is neither on PATH nor in /usr/local/cuda/bin");
  Result<std::string> text = disassemble(assembly->cubin);
  Result<std::vector<SassFunction>> functions = text ? parseSass(*text) : Result<std::vector<SassFunction>>(text.status());
  if (!functions)
    return functions.status().withContext("--sass");
  SassContext context{.warps = static_cast<unsigned>(classes.schedule.warps),
                      .tileMacs = tileMacs(request, classes.schedule),
                      .machine = machineOfTarget(request.target)};
  if (json)
    (*json)["sass"] = sassJson(reportKernels(*functions), *assembly, context);
  else
    printSass(reportKernels(*functions), *assembly, context);
  return {};
}

/// On the virtual GPU, with random inputs of the shape; tensors of --input as they are.
static Status explainCounters(const ExplainOptions &options, const std::map<std::string, double> &shape, nlohmann::ordered_json *json,
                              std::optional<Roofline> &roofline) {
  const GpuMachine *machine = machineOfTarget(options.spec.target);
  if (!machine)
    return Status(StatusCode::Unsupported, fmt::format("--counters: no rates are known for {}", options.spec.target));
  DeviceOption choice;
  choice.name = "emulator";
  choice.keepCounters = true;
  choice.multiprocessors = machine->multiprocessors;
  Result<Device> device = choice.open(options.spec.target);
  if (!device)
    return device.status();
  Result<BenchWork> work = prepareWork({.spec = options.spec, .shape = shape, .files = &options.inputs, .seed = options.seed}, *device);
  if (!work)
    return work.status();
  Result<CountedRun> run = countRun(*work);
  if (!run)
    return run.status();
  roofline = tileRoofline(*work, *run, *machine);
  if (json) {
    (*json)["counters"] = countsJson(*work, *run, *machine);
    return {};
  }
  printWork(*work);
  printCounts(*work, *run, *machine);
  return {};
}

static Status explain(const ExplainOptions &options) {
  Result<driver::CompileRequest> request = options.spec.request();
  if (!request)
    return request.status();
  Result<std::map<std::string, double>> given = options.shape.parse();
  if (!given)
    return given.status();
  const std::map<std::string, double> shape = *given;
  if (!options.html.empty())
    if (Status status = checkWritable(options.html); !status)
      return status;
  request->wantRemarks = true;
  Result<driver::CompiledPlan> plan = driver::compileSpec(*request);
  if (!plan)
    return plan.status();
  Result<PlanInputs> tensors = options.inputs.read(plan->manifest);
  if (!tensors)
    return tensors.status();
  Result<ExplainInputs> inputs =
      ExplainInputs::make(*request, plan->manifest, std::move(*given), std::move(tensors->tensors), options.seed);
  if (!inputs)
    return inputs.status();
  Result<driver::TileClasses> classes =
      driver::classifyTiles(*request, inputs->values(), [&](std::string_view name) { return inputs->tensor(name); });
  if (!classes)
    return classes.status();
  Result<std::optional<AssemblerReport>> assembly = assembled(*request, *plan);
  if (!assembly)
    return assembly.status();
  nlohmann::ordered_json json;
  if (options.json) {
    json = planJson(*plan, *classes, *inputs);
  } else {
    printPlan(*plan, *assembly);
    fmt::print("{}", launchText(*plan, *inputs, options.spec.target, options.spec.splitCount()));
    printTiles(*classes, *inputs);
  }
  nlohmann::ordered_json *target = options.json ? &json : nullptr;
  if (options.sass)
    if (Status status = explainSass(*request, *classes, *assembly, target); !status)
      return status;
  std::optional<Roofline> counted;
  if (options.counters)
    if (Status status = explainCounters(options, shape, target, counted); !status)
      return status;
  if (!options.html.empty()) {
    Status written = writeFile(options.html, htmlOf({.plan = *plan,
                                                     .classes = *classes,
                                                     .shape = inputs->values(),
                                                     .origins = inputs->origins(),
                                                     .launch = launchText(*plan, *inputs, request->target, options.spec.splitCount()),
                                                     .assembly = *assembly,
                                                     .machine = machineOfTarget(request->target),
                                                     .tileMacs = tileMacs(*request, classes->schedule),
                                                     .counted = counted}));
    if (!written)
      return written;
  }
  if (options.json)
    fmt::print("{}\n", json.dump(2));
  return {};
}

void addExplainCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App *command = app.add_subcommand("explain", "say what was fused, skipped and chosen, and why");
  options->spec.addTo(*command);
  options->shape.addTo(*command);
  options->inputs.addTo(*command);
  command->add_option("--seed", options->seed, "of tensors the mask reads, where --input gives none")->capture_default_str();
  command->add_flag("--sass", options->sass, "count the instructions of the main loops; needs ptxas and nvdisasm");
  command->add_flag("--counters", options->counters, "run once on the virtual GPU and count what is executed, a visible tile");
  command->add_flag("--json", options->json, "for machines");
  command->add_option("--html", options->html, "write all of it to this file, a page with a picture of the tiles");
  command->callback([options, &exitCode] {
    if (Status status = explain(*options); !status)
      exitCode = fail(status);
  });
}

} // namespace attn::tools
