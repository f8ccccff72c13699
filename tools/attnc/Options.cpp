#include "attn/Device.h"
#include "runtime/core/Config.h"
#include "runtime/core/SplitChoice.h"
#include "tools/attnc/Command.h"
#include "tools/attnc/RequestLengths.h"
#include "tools/attnc/TensorFile.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <unistd.h>

namespace attn::tools {

void SpecOptions::addTo(CLI::App &command) {
  command.add_option("SPEC", path, "the specification, an .attn file (- for standard input)")->required()->type_name("FILE");
  command.add_option("--attention", attention, "which attention of the file, where it has several")->type_name("NAME");
  targetOption = command.add_option("--target", target, "the GPU to compile for, as `attnc targets` lists them")->capture_default_str()->type_name("GPU");
  command.add_option("--from", from, "the stage that SPEC holds, instead of a specification: attn, tile, nvvm, llvm or ptx")->type_name("STAGE");
  command.add_option("--schedule", schedule, "override parts of the schedule: block_m=128,block_n=64,stages=2,warps=4")->type_name("NAME=N,…");
  command.add_option("--splits", splits, "kernels for few rows of queries, too, which split the keys: auto: the launch says into how many shares; N: into N")->type_name("auto|N");
  command.add_option("-D,--define", defines, "fix a parameter, extent or `any` when compiling")->allow_extra_args(false)->type_name("NAME=VALUE");
  command.add_flag("--checked", checked, "trap on indices out of range");
  command.add_flag("--tf32", tf32, "round f32 operands of matrix products to tf32: a third of their cost, errors of 2^-11");
  command.add_flag("--approximate-tanh", approximateTanh, "tanh in a score (softcap) by the GPU's instruction: an eighth of its cost, relative errors of 2^-11");
}

/// 0 is no number of shares.
static std::uint32_t parseSplits(const std::string &text) {
  std::uint32_t number = 0;
  auto [next, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && next == text.data() + text.size() && number <= runtime::kMostAskedSplits ? number : 0;
}

std::uint32_t SpecOptions::splitCount() const { return splits.empty() || splits == "auto" ? 0 : parseSplits(splits); }

/// `--splits` asks the compiler for the kernels, by the schedule.
static Status askForSplit(const SpecOptions &options, driver::CompileRequest &request) {
  if (options.splits.empty())
    return {};
  if (options.splits != "auto" && parseSplits(options.splits) == 0)
    return Status(StatusCode::InvalidArgument, fmt::format("--splits {}: expects auto or a number from 1 to {}", options.splits, runtime::kMostAskedSplits));
  if (request.from < driver::Stage::Tile && request.schedule.find("split=") == std::string::npos)
    request.schedule += request.schedule.empty() ? "split=1" : ",split=1";
  return {};
}

void SpecOptions::suit(const Device &device) {
  const bool isTargetGiven = targetOption && targetOption->count() > 0;
  if (!isTargetGiven && from.empty() && device.info().name.starts_with("cuda"))
    target = device.info().compileTarget;
}

/// The length of the UTF-8 sequence at `at`, or 0 where there is none.
static std::size_t sequenceLength(std::string_view text, std::size_t at) {
  auto byte = static_cast<unsigned char>(text[at]);
  std::size_t length = byte < 0x80 ? 1 : byte >= 0xC2 && byte < 0xE0 ? 2 : (byte & 0xF0) == 0xE0 ? 3 : byte >= 0xF0 && byte < 0xF5 ? 4 : 0;
  if (length == 0 || byte == 0 || at + length > text.size())
    return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[at + i]) & 0xC0) != 0x80)
      return 0;
  return length;
}

Result<std::string> readSource(const std::string &path) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  Result<std::string> text = readFile(path == "-" ? "/dev/stdin" : path);
  if (!text)
    return text;
  if (text->starts_with(kByteOrderMark))
    text->erase(0, kByteOrderMark.size());
  for (std::size_t at = 0; at < text->size();) {
    std::size_t length = sequenceLength(*text, at);
    if (length == 0)
      return Status(StatusCode::InvalidArgument, fmt::format("{}: is no text: byte {} is not UTF-8", path == "-" ? "standard input" : path, at));
    at += length;
  }
  return text;
}

/// What only specifications have, and what the IR of a stage has behind it.
static Status checkFromOptions(const SpecOptions &options, driver::Stage from) {
  auto settled = [&](std::string_view option) {
    return Status(StatusCode::InvalidArgument, fmt::format("{}: does not go with --from {}, where that is settled", option, options.from));
  };
  if (!options.defines.empty())
    return settled("-D " + options.defines.front());
  if (!options.attention.empty())
    return settled("--attention " + options.attention);
  if (!options.schedule.empty() && from >= driver::Stage::Tile)
    return settled("--schedule " + options.schedule);
  if (options.tf32 && from >= driver::Stage::Tile)
    return settled("--tf32");
  if (options.approximateTanh && from >= driver::Stage::Tile)
    return settled("--approximate-tanh");
  return {};
}

/// That the items of `--schedule` are name=number and each stands once; what the names mean is the compiler's to say.
static Status checkSchedule(const std::string &schedule) {
  std::set<std::string> names;
  for (std::size_t at = 0; !schedule.empty() && at <= schedule.size();) {
    std::size_t comma = std::min(schedule.find(',', at), schedule.size());
    std::string item = schedule.substr(at, comma - at);
    at = comma + 1;
    std::size_t equals = item.find('=');
    std::string number = equals == std::string::npos ? "" : item.substr(equals + 1);
    if (equals == 0 || number.empty() || number.find_first_not_of("0123456789") != std::string::npos)
      return Status(StatusCode::InvalidArgument, fmt::format("--schedule: `{}` is not name=number", item));
    if (!names.insert(item.substr(0, equals)).second)
      return Status(StatusCode::InvalidArgument, fmt::format("--schedule: `{}` is given twice", item.substr(0, equals)));
  }
  return {};
}

Result<driver::CompileRequest> SpecOptions::request() const {
  driver::CompileRequest request;
  Result<std::string> text = readSource(path);
  if (!text)
    return text.status();
  request.source = std::move(*text);
  request.fileName = path;
  request.attention = attention;
  request.target = target;
  request.schedule = schedule;
  request.checked = checked;
  request.tf32 = tf32;
  request.approximateTanh = approximateTanh;
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
    if (Status status = checkFromOptions(*this, *stage); !status)
      return status;
  }
  if (Status status = checkSchedule(schedule); !status)
    return status;
  if (Status status = askForSplit(*this, request); !status)
    return status;
  return request;
}

void ShapeOption::addTo(CLI::App &command) {
  command.add_option("--shape", text, "extents and scalar parameters by name: batch=2,q_len=77,kv_len=130,radius=3; lengths by request: q_len=5/1/7")->type_name("NAME=N,…");
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
    if (equals != std::string::npos && item.find('/', equals) != std::string::npos) {
      if (Status status = addLengths(name, item.substr(equals + 1), values); !status)
        return Status(status.code(), fmt::format("--shape: {}", status.message()));
      continue;
    }
    std::optional<double> value = equals == std::string::npos ? std::nullopt : parseNumber(item.substr(equals + 1));
    if (name.empty() || !value)
      return Status(StatusCode::InvalidArgument, fmt::format("--shape: `{}` is not name=number", item));
    constexpr double kHighest = std::numeric_limits<std::int32_t>::max();
    for (const char *extent : {"batch", "q_len", "kv_len", "q_heads", "kv_heads"})
      if (name == extent && (*value != std::floor(*value) || *value < 0 || *value > kHighest))
        return Status(StatusCode::InvalidArgument,
                      fmt::format("--shape: `{}` is {}; an extent is a whole number from 0 to {:.0f}", name, *value, kHighest));
    if (!values.emplace(name, *value).second)
      return Status(StatusCode::InvalidArgument, fmt::format("--shape: `{}` is given twice", name));
  }
  return values;
}

/// True where colour may be used on standard error: a terminal, and NO_COLOR unset or empty.
static bool useColour() {
  std::optional<std::string> noColour = runtime::textSetting(runtime::Setting::NoColor);
  return ::isatty(STDERR_FILENO) && (!noColour || noColour->empty());
}

/// Prints a message; on a terminal the kind of each rendered diagnostic in it has a colour.
static void printMessage(std::string_view prefix, std::string_view message) {
  struct Kind {
    std::string_view word, colour;
  };
  static constexpr Kind kKinds[] = {{": error: ", "\033[1;31m"}, {": warning: ", "\033[1;35m"}, {": note: ", "\033[1;36m"}};
  std::string text = fmt::format("{}{}{}", prefix, message, message.ends_with('\n') ? "" : "\n");
  if (useColour())
    for (const Kind &kind : kKinds)
      for (std::size_t at = text.find(kind.word); at != std::string::npos; at = text.find(kind.word, at)) {
        std::string coloured = fmt::format(": {}{}\033[0m ", kind.colour, kind.word.substr(2, kind.word.size() - 3));
        text.replace(at, kind.word.size(), coloured);
        at += coloured.size();
      }
  fmt::print(stderr, "{}", text);
}

int fail(ExitCode code, std::string_view message) {
  // Diagnostics come rendered, with their own file, line and caret; plain messages get the tool's name.
  bool rendered = message.find("error:") != std::string_view::npos;
  printMessage(rendered ? "" : "attnc: ", message);
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
  printMessage(rendered ? "" : "attnc: note: ", text);
}

} // namespace attn::tools
