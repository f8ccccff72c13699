// What the commands of `attnc` share: options that describe a compilation, `--shape`, output, exit codes.
#pragma once

#include "attn/Result.h"
#include "attn/Status.h"
#include "driver/Compiler.h"

#include <map>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}

namespace attn {
class Device;
}

namespace attn::tools {

/// Exit codes, documented in docs/cli.md and `attnc --help`.
enum ExitCode : int {
  kSuccess = 0,
  kFailed = 1,     ///< the specification was refused, a check is over tolerance, a launch failed
  kBadUsage = 2,   ///< unknown option, a file that cannot be read or written, wrong dtype or shape of an input
  kInternal = 3,   ///< a mistake of attnc itself
};

/// Options of every command that compiles a specification.
struct SpecOptions {
  std::string path;
  std::string attention;
  std::string target = "sm_80";
  std::string from;
  std::string schedule;
  std::string splits; ///< `auto`, a number, or nothing: then there are no kernels that split keys
  std::vector<std::string> defines;
  bool checked = false;
  bool tf32 = false;
  bool approximateTanh = false;

  void addTo(CLI::App &command);
  /// `LaunchOptions::splits`.
  std::uint32_t splitCount() const;
  /// Reads the file and checks the options.
  Result<driver::CompileRequest> request() const;
  /// Without `--target` a specification is compiled for what suits the GPU it runs on; on other devices the default stays,
  /// and so it does for IR, which was made for a target.
  void suit(const Device &device);

private:
  const CLI::Option *targetOption = nullptr; ///< set by addTo
};

/// `batch=2,q_len=77,radius=3`: extents and scalar parameters by name.
class ShapeOption {
public:
  std::string text;
  void addTo(CLI::App &command);
  Result<std::map<std::string, double>> parse() const;
};

/// The text of a specification or of IR (`-`: standard input), without a byte order mark. Fails on what is no text.
Result<std::string> readSource(const std::string &path);

/// Prints the message to standard error, and returns the exit code for its kind.
int fail(const Status &status);
int fail(ExitCode code, std::string_view message);

/// A warning of the compiler or a remark of the cache, on standard error.
void printNote(std::string_view text);

/// A command declares its options and says what to run; `run` is called when it was chosen.
void addCompileCommand(CLI::App &app, int &exitCode);
void addRunCommand(CLI::App &app, int &exitCode);
void addCheckCommand(CLI::App &app, int &exitCode);
void addBenchCommand(CLI::App &app, int &exitCode);
void addExplainCommand(CLI::App &app, int &exitCode);
void addEmulateCommand(CLI::App &app, int &exitCode);
void addTargetsCommand(CLI::App &app, int &exitCode);
void addFmtCommand(CLI::App &app, int &exitCode);
void addPreludeCommand(CLI::App &app, int &exitCode);
void addCacheCommand(CLI::App &app, int &exitCode);

} // namespace attn::tools
