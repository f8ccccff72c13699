// `attnc targets`: what can be compiled for.
#include "tools/attnc/Command.h"

#include "support/GpuTarget.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

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
  fmt::print("\nCode for a target without `a` runs on that GPU and on every later one.\n");
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

void addTargetsCommand(CLI::App &app, int &) {
  auto json = std::make_shared<bool>(false);
  CLI::App *command = app.add_subcommand("targets", "list the GPUs that can be compiled for");
  command->add_flag("--json", *json, "for machines");
  command->callback([json] { *json ? printJson() : printTable(); });
}

} // namespace attn::tools
