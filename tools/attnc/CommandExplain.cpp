// `attnc explain`: what the compiler decided about a specification, and a picture of the mask's tiles.
#include "tools/attnc/Command.h"
#include "tools/attnc/ExplainInputs.h"
#include "tools/attnc/Inputs.h"
#include "tools/attnc/Ptxas.h"
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

static Status printPlan(const driver::CompileRequest &request, const driver::CompiledPlan &plan) {
  fmt::print("{} for {}\n", plan.manifest.name, plan.manifest.target);
  for (const std::string &remark : plan.remarks)
    fmt::print("  {}\n", remark);
  for (const KernelManifest &kernel : plan.manifest.kernels)
    fmt::print("kernel {}: {} threads, {} bytes of shared memory, grid {} x {} x {}\n", kernel.name, kernel.threads, kernel.sharedBytes,
               kernel.grid[0].text(), kernel.grid[1].text(), kernel.grid[2].text());
  if (!findPtxas()) {
    fmt::print("ptxas: not found here, so registers are not known\n");
    return {};
  }
  Result<AssemblerReport> report = assemble(plan.ptx, request.target);
  if (!report)
    return report.status();
  for (const KernelResources &kernel : report->kernels)
    fmt::print("ptxas: {}: {} registers a thread, {} bytes spilled\n", kernel.kernel, kernel.registers, kernel.spillBytes);
  return {};
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

static Status explain(const ExplainOptions &options) {
  Result<driver::CompileRequest> request = options.spec.request();
  if (!request)
    return request.status();
  Result<std::map<std::string, double>> given = options.shape.parse();
  if (!given)
    return given.status();
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
  if (Status status = printPlan(*request, *plan); !status)
    return status;
  printTiles(*classes, *inputs);
  return {};
}

void addExplainCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App *command = app.add_subcommand("explain", "say what was fused, skipped and chosen, and why");
  options->spec.addTo(*command);
  options->shape.addTo(*command);
  options->inputs.addTo(*command);
  command->add_option("--seed", options->seed, "of tensors the mask reads, where --input gives none")->capture_default_str();
  command->callback([options, &exitCode] {
    if (Status status = explain(*options); !status)
      exitCode = fail(status);
  });
}

} // namespace attn::tools
