// `attnc`: compile, run, check and explain attention specifications. A file a command; see Command.h.
#include "tools/attnc/Command.h"

#include "attn/Version.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

int main(int argc, char **argv) {
  using namespace attn::tools;
  CLI::App app{"attnc: a compiler for fused attention kernels"};
  app.name("attnc");
  app.set_version_flag("--version", "attnc " ATTN_VERSION);
  app.require_subcommand(1);
  app.footer("exit codes: 0 success; 1 the specification was refused, a check is over tolerance or a launch failed;\n"
             "2 wrong usage or unreadable input");
  int exitCode = kSuccess;
  addCompileCommand(app, exitCode);
  addRunCommand(app, exitCode);
  addCheckCommand(app, exitCode);
  addExplainCommand(app, exitCode);
  addEmulateCommand(app, exitCode);
  addTargetsCommand(app, exitCode);
  addFmtCommand(app, exitCode);
  addPreludeCommand(app, exitCode);
  addCacheCommand(app, exitCode);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
      return app.exit(error);
    fmt::print(stderr, "attnc: {}\n", error.what());
    for (CLI::App *command : app.get_subcommands())
      fmt::print(stderr, "attnc: `attnc {} --help` lists its options\n", command->get_name());
    if (app.get_subcommands().empty())
      fmt::print(stderr, "attnc: `attnc --help` lists the commands\n");
    return kBadUsage;
  }
  return exitCode;
}
