// `attnc`: compile, run, check and explain attention specifications. A file a command; see Command.h.
#include "tools/attnc/Command.h"

#include "attn/Version.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <stdexcept>

int main(int argc, char **argv) {
  using namespace attn::tools;
  CLI::App app{"attnc: a compiler for fused attention kernels"};
  app.name("attnc");
  app.set_version_flag("--version", "attnc " ATTN_VERSION);
  app.require_subcommand(1);
  app.footer("exit codes: 0 success; 1 the specification was refused, a check is over tolerance or a launch failed;\n"
             "2 wrong usage, or a file that cannot be read, written or used; 3 a mistake of attnc itself");
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
  } catch (const std::bad_alloc &) {
    return fail(kFailed, "out of memory: the tensors of this shape do not fit on this machine");
  } catch (const std::length_error &) {
    return fail(kFailed, "out of memory: the tensors of this shape do not fit on this machine");
  } catch (const std::exception &error) {
    return fail(kInternal, fmt::format("internal error: {}", error.what()));
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout))
    return fail(kBadUsage, fmt::format("standard output: cannot be written: {}", std::strerror(errno)));
  return exitCode;
}
