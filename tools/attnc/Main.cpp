// `attnc`: compile, run, check and explain attention specifications. A file a command; see Command.h.
#include "tools/attnc/Command.h"

#include "attn/Version.h"
#include "support/NearestName.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace attn::tools {

/// An option that the command does not have, among what was left over; it explains more than a missing argument.
static std::optional<std::string> unknownOption(const CLI::App &command) {
  for (const std::string &word : command.remaining())
    if (word.size() > 1 && word.front() == '-' && word != "--")
      return word;
  return std::nullopt;
}

static int explainUsage(const CLI::App &app, const CLI::ParseError &error) {
  const std::vector<CLI::App *> chosen = app.get_subcommands();
  std::optional<std::string> option = chosen.empty() ? std::nullopt : unknownOption(*chosen.front());
  if (option) {
    std::vector<std::string> names;
    for (const CLI::Option *known : chosen.front()->get_options())
      for (const std::string &name : known->get_lnames())
        names.push_back("--" + name);
    std::string word = option->substr(0, option->find('='));
    std::optional<std::string_view> near = nearestName(word, names);
    fmt::print(stderr, "attnc: `{}` is no option of `{}`{}\n", word, chosen.front()->get_name(),
               near ? fmt::format("; did you mean `{}`?", *near) : "");
  } else {
    fmt::print(stderr, "attnc: {}\n", error.what());
  }
  fmt::print(stderr, "attnc: `attnc {}--help` lists {}\n", chosen.empty() ? "" : chosen.front()->get_name() + " ",
             chosen.empty() ? "the commands" : "its options");
  return kBadUsage;
}

/// A word that is no command where one is expected, or a missing one, said before anything else is looked at.
static std::optional<int> refuseUnknownCommand(const CLI::App &app, std::span<char *> words, const std::string &parents = "attnc") {
  std::vector<std::string> names;
  for (const CLI::App *command : app.get_subcommands([](const CLI::App *) { return true; }))
    names.push_back(command->get_name());
  if (names.empty() || (!words.empty() && words[0][0] == '-'))
    return std::nullopt;
  if (words.empty())
    return fail(kBadUsage, fmt::format("`{}` needs a command: {}", parents, fmt::join(names, ", ")));
  if (std::find(names.begin(), names.end(), words[0]) == names.end())
    return fail(kBadUsage, fmt::format("`{} {}` is no command{}", parents, words[0], nameHint(words[0], names)));
  return refuseUnknownCommand(*app.get_subcommand(words[0]), words.subspan(1), fmt::format("{} {}", parents, words[0]));
}

} // namespace attn::tools

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
  addBenchCommand(app, exitCode);
  addEmulateCommand(app, exitCode);
  addTargetsCommand(app, exitCode);
  addFmtCommand(app, exitCode);
  addPreludeCommand(app, exitCode);
  addCacheCommand(app, exitCode);
  if (std::optional<int> refused = refuseUnknownCommand(app, std::span(argv + 1, static_cast<std::size_t>(std::max(argc - 1, 0)))))
    return *refused;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success) ? app.exit(error) : explainUsage(app, error);
  } catch (const std::bad_alloc &) {
    return fail(kFailed, "out of memory: the tensors of this shape do not fit on this machine");
  } catch (const std::length_error &) {
    return fail(kFailed, "out of memory: the tensors of this shape do not fit on this machine");
  } catch (const std::exception &error) {
    return fail(kInternal, fmt::format("internal error: {}", error.what()));
  }
  if (exitCode == kSuccess && (std::fflush(stdout) != 0 || std::ferror(stdout)))
    return fail(kBadUsage, fmt::format("standard output: cannot be written: {}", std::strerror(errno)));
  return exitCode;
}
