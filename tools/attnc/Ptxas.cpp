#include "tools/attnc/Ptxas.h"

#include "tools/attnc/TensorFile.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <regex>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace attn::tools {

std::optional<std::string> findPtxas() {
  std::string search = std::getenv("PATH") ? std::getenv("PATH") : "";
  if (const char *home = std::getenv("CUDA_HOME"))
    search += fmt::format(":{}/bin", home);
  search += ":/usr/local/cuda/bin";
  for (std::size_t at = 0; at <= search.size();) {
    std::size_t colon = std::min(search.find(':', at), search.size());
    std::string path = search.substr(at, colon - at) + "/ptxas";
    if (colon > at && ::access(path.c_str(), X_OK) == 0)
      return path;
    at = colon + 1;
  }
  return std::nullopt;
}

/// Runs a program with its output in a file; its exit status, or -1.
static int runProgram(std::vector<std::string> words, const std::string &outputPath) {
  std::vector<char *> arguments;
  for (std::string &word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, outputPath.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  int error = posix_spawn(&child, words.front().c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (error || ::waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
    return -1;
  return WEXITSTATUS(status);
}

/// What `ptxas -v` says about each entry: a line that names it, then its figures.
static std::vector<KernelResources> parseResources(const std::string &text) {
  static const std::regex line(R"(Compiling entry function '([^']+)'|(\d+) bytes spill|Used (\d+) registers)");
  std::vector<KernelResources> kernels;
  for (std::sregex_iterator it(text.begin(), text.end(), line), end; it != end; ++it) {
    const std::smatch &match = *it;
    if (match[1].matched)
      kernels.push_back({.kernel = match[1]});
    else if (!kernels.empty() && match[2].matched)
      kernels.back().spillBytes += static_cast<unsigned>(std::stoul(match[2]));
    else if (!kernels.empty())
      kernels.back().registers = static_cast<unsigned>(std::stoul(match[3]));
  }
  return kernels;
}

Result<AssemblerReport> assemble(const std::string &ptx, const std::string &target) {
  std::optional<std::string> ptxas = findPtxas();
  if (!ptxas)
    return Status(StatusCode::Unsupported, "a cubin needs NVIDIA's ptxas, which is neither on PATH nor in /usr/local/cuda/bin");
  std::string directory = (std::filesystem::temp_directory_path() / "attnc-XXXXXX").string();
  if (!::mkdtemp(directory.data()))
    return Status(StatusCode::IoError, fmt::format("{}: cannot be made", directory));
  std::string input = directory + "/kernel.ptx", output = directory + "/kernel.cubin", log = directory + "/log";
  AssemblerReport report;
  Status status = writeFile(input, ptx);
  if (status) {
    int code = runProgram({*ptxas, "-arch=" + target, "-v", input, "-o", output}, log);
    if (Result<std::string> text = readFile(log))
      report.text = *text;
    if (code != 0)
      status = Status(StatusCode::CompileError, fmt::format("ptxas refused the kernel ({}):\n{}", code, report.text));
  }
  if (status) {
    Result<std::string> cubin = readFile(output);
    if (cubin)
      report.cubin = *cubin;
    else
      status = cubin.status();
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  if (!status)
    return status;
  report.kernels = parseResources(report.text);
  return report;
}

} // namespace attn::tools
