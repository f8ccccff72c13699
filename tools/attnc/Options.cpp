#include "tools/attnc/Command.h"
#include "tools/attnc/TensorFile.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <unistd.h>

namespace attn::tools {

void SpecOptions::addTo(CLI::App &command) {
  command.add_option("SPEC", path, "the specification, an .attn file (- for standard input)")->required();
  command.add_option("--attention", attention, "which attention of the file, where it has several");
  command.add_option("--target", target, "the GPU to compile for, as `attnc targets` lists them")->capture_default_str();
  command.add_option("--from", from, "the stage that SPEC holds: attn or tile IR instead of a specification");
  command.add_option("--schedule", schedule, "override parts of the schedule: block_m=128,block_n=64,stages=2,warps=4");
  command.add_option("-D,--define", defines, "fix a parameter, extent or `any` when compiling: name=value")->allow_extra_args(false);
  command.add_flag("--checked", checked, "trap on indices out of range");
}

Result<driver::CompileRequest> SpecOptions::request() const {
  driver::CompileRequest request;
  Result<std::string> text = readFile(path == "-" ? "/dev/stdin" : path);
  if (!text)
    return text.status();
  request.source = std::move(*text);
  request.fileName = path;
  request.attention = attention;
  request.target = target;
  request.schedule = schedule;
  request.checked = checked;
  for (const std::string &define : defines) {
    std::size_t equals = define.find('=');
    if (equals == std::string::npos || equals == 0)
      return Status(StatusCode::InvalidArgument, fmt::format("-D {}: expects name=value", define));
    if (!request.defines.emplace(define.substr(0, equals), define.substr(equals + 1)).second)
      return Status(StatusCode::InvalidArgument, fmt::format("-D {}: is given twice", define.substr(0, equals)));
  }
  if (!from.empty()) {
    std::optional<driver::Stage> stage = driver::parseStage(from);
    if (!stage || !driver::readsBack(*stage))
      return Status(StatusCode::InvalidArgument,
                    fmt::format("--from {}: expects one of {}", from, driver::stageList(driver::readsBack)));
    request.from = *stage;
  }
  return request;
}

void ShapeOption::addTo(CLI::App &command) {
  command.add_option("--shape", text, "extents and scalar parameters by name: batch=2,q_len=77,kv_len=130,radius=3");
}

/// A decimal number, `inf`, `-inf`, `true` or `false`.
static std::optional<double> parseNumber(const std::string &text) {
  if (text == "true" || text == "false")
    return text == "true" ? 1 : 0;
  double value = 0;
  const char *begin = text.data(), *end = begin + text.size();
  auto [next, error] = std::from_chars(begin, end, value);
  return error == std::errc() && next == end && !std::isnan(value) ? std::optional(value) : std::nullopt;
}

Result<std::map<std::string, double>> ShapeOption::parse() const {
  std::map<std::string, double> values;
  std::size_t at = 0;
  while (!text.empty() && at <= text.size()) {
    std::size_t comma = std::min(text.find(',', at), text.size());
    std::string item = text.substr(at, comma - at);
    at = comma + 1;
    std::size_t equals = item.find('=');
    std::string name = item.substr(0, equals);
    std::optional<double> value = equals == std::string::npos ? std::nullopt : parseNumber(item.substr(equals + 1));
    if (name.empty() || !value)
      return Status(StatusCode::InvalidArgument, fmt::format("--shape: `{}` is not name=number", item));
    if (!values.emplace(name, *value).second)
      return Status(StatusCode::InvalidArgument, fmt::format("--shape: `{}` is given twice", name));
  }
  return values;
}

int fail(ExitCode code, std::string_view message) {
  // Diagnostics come rendered, with their own file, line and caret; plain messages get the tool's name.
  bool rendered = message.find("error:") != std::string_view::npos;
  fmt::print(stderr, "{}{}{}", rendered ? "" : "attnc: ", message, message.ends_with('\n') ? "" : "\n");
  return code;
}

static ExitCode exitCode(StatusCode code) {
  switch (code) {
  case StatusCode::Ok:
    return kSuccess;
  case StatusCode::InvalidArgument:
  case StatusCode::NotFound:
  case StatusCode::Corrupt:
  case StatusCode::IoError:
    return kBadUsage;
  case StatusCode::Internal:
    return kInternal;
  case StatusCode::Unsupported:
  case StatusCode::OutOfMemory:
  case StatusCode::CompileError:
  case StatusCode::DeviceError:
    break;
  }
  return kFailed;
}

int fail(const Status &status) { return fail(exitCode(status.code()), status.message()); }

void printNote(std::string_view text) {
  bool rendered = text.find("warning:") != std::string_view::npos;
  fmt::print(stderr, "{}{}{}", rendered ? "" : "attnc: note: ", text, text.ends_with('\n') ? "" : "\n");
}

bool useColour() {
  const char *noColour = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) && !(noColour && *noColour);
}

} // namespace attn::tools
