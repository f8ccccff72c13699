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

/// A program of the CUDA toolkit: on PATH, in $CUDA_HOME/bin or /usr/local/cuda/bin.
static std::optional<std::string> findTool(const std::string &name) {
  std::string search = std::getenv("PATH") ? std::getenv("PATH") : "";
  if (const char *home = std::getenv("CUDA_HOME"))
    search += fmt::format(":{}/bin", home);
  search += ":/usr/local/cuda/bin";
  for (std::size_t at = 0; at <= search.size();) {
    std::size_t colon = std::min(search.find(':', at), search.size());
    std::string path = search.substr(at, colon - at) + "/" + name;
    if (colon > at && ::access(path.c_str(), X_OK) == 0)
      return path;
    at = colon + 1;
  }
  return std::nullopt;
}

std::optional<std::string> findPtxas() { return findTool("ptxas"); }

std::optional<std::string> findDisassembler() {
  std::optional<std::string> nvdisasm = findTool("nvdisasm");
  return nvdisasm ? nvdisasm : findTool("cuobjdump");
}

namespace {
/// A directory that goes with the object.
class TemporaryDirectory {
public:
  TemporaryDirectory() : path((std::filesystem::temp_directory_path() / "attnc-XXXXXX").string()) {
    isMade = ::mkdtemp(path.data()) != nullptr;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (isMade)
      std::filesystem::remove_all(path, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory &) = delete;
  Status status() const { return isMade ? Status() : Status(StatusCode::IoError, fmt::format("{}: cannot be made", path)); }

  std::string path;

private:
  bool isMade = false;
};
} // namespace

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

/// What `ptxas -v` says about each entry: a line that names it, then its figures. Notes C75xx may stand anywhere.
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

static std::vector<std::string> parseNotes(const std::string &text) {
  static const std::regex note(R"([^\n]*\bC7[56]\d\d\b[^\n]*)");
  std::vector<std::string> notes;
  for (std::sregex_iterator it(text.begin(), text.end(), note), end; it != end; ++it)
    notes.push_back(it->str());
  return notes;
}

Result<AssemblerReport> assemble(const std::string &ptx, const std::string &target) {
  std::optional<std::string> ptxas = findPtxas();
  if (!ptxas)
    return Status(StatusCode::Unsupported, "a cubin needs NVIDIA's ptxas, which is neither on PATH nor in /usr/local/cuda/bin");
  TemporaryDirectory directory;
  if (Status status = directory.status(); !status)
    return status;
  std::string input = directory.path + "/kernel.ptx", output = directory.path + "/kernel.cubin", log = directory.path + "/log";
  if (Status status = writeFile(input, ptx); !status)
    return status;
  AssemblerReport report;
  int code = runProgram({*ptxas, "-arch=" + target, "-v", input, "-o", output}, log);
  if (Result<std::string> text = readFile(log))
    report.text = *text;
  if (code != 0)
    return Status(StatusCode::CompileError, fmt::format("ptxas refused the kernel ({}):\n{}", code, report.text));
  Result<std::string> cubin = readFile(output);
  if (!cubin)
    return cubin.status();
  report.cubin = *cubin;
  report.kernels = parseResources(report.text);
  report.notes = parseNotes(report.text);
  return report;
}

Result<std::string> disassemble(const std::string &cubin) {
  std::optional<std::string> tool = findDisassembler();
  if (!tool)
    return Status(StatusCode::Unsupported, "a disassembly needs NVIDIA's nvdisasm or cuobjdump, which are neither on PATH nor in "
                                           "/usr/local/cuda/bin (scripts/fetch_nvdisasm gets nvdisasm)");
  TemporaryDirectory directory;
  if (Status status = directory.status(); !status)
    return status;
  std::string input = directory.path + "/kernel.cubin", output = directory.path + "/text";
  if (Status status = writeFile(input, cubin); !status)
    return status;
  int code = runProgram({*tool, tool->ends_with("nvdisasm") ? "-c" : "-sass", input}, output);
  Result<std::string> text = readFile(output);
  if (code != 0)
    return Status(StatusCode::CompileError, fmt::format("{} failed ({}):\n{}", *tool, code, text ? *text : std::string()));
  return text;
}

} // namespace attn::tools
