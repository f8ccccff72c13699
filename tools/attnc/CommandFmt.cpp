// `attnc fmt` and `attnc prelude`: the text of specifications.
#include "tools/attnc/Command.h"
#include "tools/attnc/TensorFile.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace attn::tools {

namespace {
struct FmtOptions {
  std::vector<std::string> paths;
  bool check = false, toStdout = false, fix = false;
};
} // namespace

/// Formats one file; sets `changed` when its text is not canonical.
static Status formatFile(const std::string &path, const FmtOptions &options, bool &changed) {
  driver::CompileRequest request;
  Result<std::string> text = readSource(path);
  if (!text)
    return text.status();
  request.source = *text;
  request.fileName = path;
  if (options.fix) {
    std::string messages;
    request.source = driver::fixSource(request, messages);
    fmt::print(stderr, "{}", messages);
  }
  Result<std::string> formatted = driver::formatSource(request);
  if (!formatted)
    return formatted.status();
  changed = *formatted != *text;
  if (path == "-" || options.toStdout)
    return writeFile("-", *formatted);
  if (changed && options.check)
    fmt::print("{}: is not in canonical form\n", path);
  if (changed && !options.check)
    return writeFile(path, *formatted);
  return {};
}

void addFmtCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<FmtOptions>();
  CLI::App *command = app.add_subcommand("fmt", "rewrite specifications in canonical form");
  command->add_option("FILE", options->paths, "files to rewrite in place (- for standard input to standard output)")->required();
  command->add_flag("--check", options->check, "change nothing; exit 1 if a file is not in canonical form");
  command->add_flag("--fix", options->fix, "make the changes that messages offer (`help:` and `did you mean`) first");
  command->add_flag("--stdout", options->toStdout, "print the result instead of rewriting");
  command->callback([options, &exitCode] {
    for (const std::string &path : options->paths) {
      bool changed = false;
      if (Status status = formatFile(path, *options, changed); !status)
        exitCode = std::max(exitCode, fail(status));
      else if (changed && options->check)
        exitCode = std::max<int>(exitCode, kFailed);
    }
  });
}

void addPreludeCommand(CLI::App &app, int &exitCode) {
  CLI::App *command = app.add_subcommand("prelude", "print the functions that every specification can use");
  command->callback([&exitCode] {
    if (Status status = writeFile("-", driver::preludeText()); !status)
      exitCode = fail(status);
  });
}

} // namespace attn::tools
