// `attnc explain`: what the compiler decided about a specification, and a picture of the mask's tiles.
#include "tools/attnc/Command.h"
#include "tools/attnc/Ptxas.h"
#include "tools/attnc/TileCount.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace attn::tools {

namespace {
struct ExplainOptions {
  SpecOptions spec;
  ShapeOption shape;
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
  std::map<std::string, double> values = {{"batch", 1}, {"q_len", 2048}, {"kv_len", 2048}};
  if (given->contains("q_len") && !given->contains("kv_len"))
    values["kv_len"] = given->at("q_len");
  for (const auto &[name, value] : *given)
    values[name] = value;

  fmt::print("{} for {}\n", plan->manifest.name, plan->manifest.target);
  for (const std::string &remark : plan->remarks)
    fmt::print("  {}\n", remark);
  for (const KernelManifest &kernel : plan->manifest.kernels)
    fmt::print("kernel {}: {} threads, {} bytes of shared memory, grid {} x {} x {}\n", kernel.name, kernel.threads, kernel.sharedBytes,
               kernel.grid[0].text(), kernel.grid[1].text(), kernel.grid[2].text());
  if (findPtxas()) {
    Result<AssemblerReport> report = assemble(plan->ptx, request->target);
    if (!report)
      return report.status();
    fmt::print("ptxas: {} registers a thread, {} bytes spilled\n", report->registers, report->spillBytes);
  } else {
    fmt::print("ptxas: not found here, so registers are not known\n");
  }
  Result<driver::TileClasses> classes = driver::classifyTiles(*request, values);
  if (!classes)
    return classes.status();
  const driver::ScheduleSummary &schedule = classes->schedule;
  fmt::print("schedule: block_m {}, block_n {}, stages {}, warps {}\n", schedule.blockM, schedule.blockN, schedule.stages, schedule.warps);
  TileCount picture = countTiles(*classes, static_cast<std::int64_t>(values["kv_len"]));
  std::size_t total = picture.empty + picture.partial + picture.full;
  fmt::print("tiles of one head at q_len {}, kv_len {}: {} in all; {} skipped (.), {} full (#), {} partial (+)\n", values["q_len"],
             values["kv_len"], total, picture.empty, picture.full, picture.partial);
  printPicture(picture);
  return {};
}

void addExplainCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App *command = app.add_subcommand("explain", "say what was fused, skipped and chosen, and why");
  options->spec.addTo(*command);
  options->shape.addTo(*command);
  command->callback([options, &exitCode] {
    if (Status status = explain(*options); !status)
      exitCode = fail(status);
  });
}

} // namespace attn::tools
