// `attnc targets`: what can be compiled for, and which features, precisions and layouts with what.
#include "tools/attnc/Command.h"

#include "support/GpuTarget.h"
#include "support/NearestName.h"
#include "tools/attnc/Progress.h"
#include "tools/attnc/SupportTable.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace attn::tools {

static std::string_view spelling(MmaFamily family) {
  switch (family) {
  case MmaFamily::MmaSync:
    return "mma.sync";
  case MmaFamily::Wgmma:
    return "wgmma";
  case MmaFamily::Tcgen05:
    return "tcgen05";
  }
  return "";
}

static void printTable() {
  fmt::print("{:8} {:>10} {:>14} {:>10} {:>8}  {}\n", "target", "capability", "shared a block", "tensor", "PTX", "code generation");
  for (const GpuTarget &target : gpuTargets())
    fmt::print("{:8} {:>8}.{} {:>14} {:>10} {:>6}.{}  {}\n", target.name, target.computeCapability / 10, target.computeCapability % 10,
               target.sharedBytesPerBlock, spelling(target.mmaFamily), target.ptxVersion / 10, target.ptxVersion % 10,
               target.isCompiled ? "yes" : "not yet: compile for sm_80, which runs there");
  fmt::print("\nCode for a target without `a` runs on that GPU and on every later one.\n\n");
  std::string_view page = committedSupportPage();
  fmt::print("{}", page.substr(page.find("# "))); // without the comment above the title
}

static void printJson() {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const GpuTarget &target : gpuTargets())
    rows.push_back({{"target", target.name},
                    {"compute_capability", target.computeCapability},
                    {"shared_bytes_per_block", target.sharedBytesPerBlock},
                    {"tensor", spelling(target.mmaFamily)},
                    {"ptx_version", target.ptxVersion},
                    {"code_generation", target.isCompiled}});
  fmt::print("{}\n", rows.dump(2));
}

namespace {
struct TargetsOptions {
  bool json = false, page = false, verify = false;
  SupportSelection selection;
};
} // namespace

static std::vector<SupportColumn> compileWithProgress(const SupportSelection &selection, driver::Stage stage) {
  Progress progress("compiling the support table", countSupportColumns(selection));
  return compileSupport(selection, stage, [&] { progress.step(); });
}

/// Compiles the selected cells to PTX, and those that are refused or warned of once more as the page was made: that must have said so
/// too. What passes the way to PTX has passed that.
static ExitCode verify(const SupportSelection &selection) {
  std::vector<SupportColumn> compiled = compileWithProgress(selection, driver::Stage::Ptx);
  std::vector<SupportColumn> checked = compiled;
  recompileRefused(checked, driver::Stage::Tile);
  std::size_t supported = 0, refused = 0, differing = 0;
  for (std::size_t i = 0; i < checked.size(); ++i)
    for (std::size_t row = 0; row < supportFeatures().size(); ++row) {
      const std::string &expected = checked[i].refusals[row], &found = compiled[i].refusals[row];
      ++(expected.empty() ? supported : refused);
      if (expected == found)
        continue;
      ++differing;
      fmt::print("{}, {}, {}, {}: {}, but compiling to PTX: {}\n", checked[i].target, checked[i].layout, checked[i].precision->name,
                 supportFeatures()[row].name, expected.empty() ? "supported" : expected, found.empty() ? "succeeds" : found);
    }
  fmt::print("{} cells compiled to PTX, {} refused, {} not as the support check says\n", supported - differing, refused, differing);
  return differing == 0 ? kSuccess : kFailed;
}

static Status checkSelection(const SupportSelection &selection) {
  for (const std::string &name : selection.targets)
    if (const GpuTarget *target = findGpuTarget(name); !target || !target->isCompiled)
      return Status(StatusCode::InvalidArgument, fmt::format("--target {}: no such target with code generation{}", name, nameHint(name, gpuTargetNames())));
  std::vector<std::string> layouts = supportLayoutNames();
  for (const std::string &name : selection.layouts)
    if (std::find(layouts.begin(), layouts.end(), name) == layouts.end())
      return Status(StatusCode::InvalidArgument, fmt::format("--layout {}: not in the table{}", name, nameHint(name, layouts)));
  return {};
}

static int runTargets(const TargetsOptions &options) {
  if (Status status = checkSelection(options.selection); !status)
    return fail(status);
  if (options.verify)
    return verify(options.selection);
  if (options.page)
    fmt::print("{}", supportPage(compileWithProgress({}, driver::Stage::Tile)));
  else
    options.json ? printJson() : printTable();
  return kSuccess;
}

void addTargetsCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<TargetsOptions>();
  CLI::App *command = app.add_subcommand("targets", "list the GPUs that can be compiled for, and what is supported on each");
  CLI::Option *json = command->add_flag("--json", options->json, "the GPUs, for machines");
  CLI::Option *page = command->add_flag("--page", options->page, "compile every cell of the table again and print it as docs/targets.md");
  CLI::Option *check = command->add_flag("--verify", options->verify, "compile every cell to PTX; exit 1 if one is not as the support check says");
  page->excludes(json);
  check->excludes(json)->excludes(page);
  command->add_option("--target", options->selection.targets, "only these, with --verify")->delimiter(',')->needs(check);
  command->add_option("--layout", options->selection.layouts, "only these, with --verify")->delimiter(',')->needs(check);
  command->callback([options, &exitCode] { exitCode = runTargets(*options); });
}

} // namespace attn::tools
