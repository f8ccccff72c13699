// `attnc emulate FILE.ptx`: runs any supported PTX on the virtual GPU, with checks and counters.
#include "tools/attnc/Command.h"
#include "tools/attnc/CounterReport.h"
#include "tools/attnc/Progress.h"
#include "tools/attnc/TensorFile.h"

#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/TensorMap.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <charconv>
#include <cstring>
#include <optional>

namespace attn::tools {

namespace {
struct EmulateOptions {
  std::string path, kernel, grid = "1", block, checks = "memory", completion = "eager";
  std::vector<std::string> arguments;
  std::uint32_t sharedBytes = 0;
  std::uint64_t seed = 0, stepLimit = 0;
  unsigned threads = 0;
  bool keepGoing = false, sanitize = false, counters = false, json = false;
};

/// One kernel argument: the eight bytes passed, and what to store afterwards.
struct Argument {
  std::uint64_t bits = 0;
  unsigned size = 8;
  HostTensor tensor;
  emulator::DeviceAddress address = 0;
  std::string outputPath;
  std::optional<emulator::TensorMap> map; ///< passed instead of the address
  std::array<std::byte, emulator::kTensorMapBytes> mapBytes{};
};
} // namespace

static Status invalid(std::string message) { return Status(StatusCode::InvalidArgument, std::move(message)); }

static Result<emulator::Dim3> parseDim3(std::string_view option, const std::string &text) {
  std::uint32_t values[3] = {1, 1, 1};
  const char *at = text.data(), *end = text.data() + text.size();
  for (int i = 0; i < 3; ++i) {
    auto [next, error] = std::from_chars(at, end, values[i]);
    if (error != std::errc() || values[i] == 0)
      break;
    if (next == end)
      return emulator::Dim3{values[0], values[1], values[2]};
    if (*next != ',' && *next != 'x')
      break;
    at = next + 1;
  }
  return invalid(fmt::format("{} {}: expects one to three positive numbers such as 4,2,1", option, text));
}

/// Whether a number is one of `width` bits, signed or not.
static bool fits(std::uint64_t bits, bool isNegative, bool isSigned, unsigned width) {
  if (isNegative)
    return isSigned && static_cast<std::int64_t>(bits) >= -(std::int64_t{1} << (width - 1)) && static_cast<std::int64_t>(bits) <= 0;
  return bits <= (~std::uint64_t{0} >> (64 - width + (isSigned ? 1 : 0)));
}

/// `i32=5`, `u64=7`, `f32=0.5`, `f64=…`.
static Result<Argument> parseScalar(const std::string &type, const std::string &text) {
  Argument argument;
  char *end = nullptr;
  if (type == "f32") {
    float value = std::strtof(text.c_str(), &end);
    argument.size = 4;
    std::memcpy(&argument.bits, &value, 4);
  } else if (type == "f64") {
    double value = std::strtod(text.c_str(), &end);
    std::memcpy(&argument.bits, &value, 8);
  } else {
    errno = 0;
    bool isNegative = text.starts_with('-');
    argument.bits = isNegative ? static_cast<std::uint64_t>(std::strtoll(text.c_str(), &end, 0)) : std::strtoull(text.c_str(), &end, 0);
    argument.size = type.ends_with("64") ? 8 : type.ends_with("16") ? 2 : type.ends_with("8") ? 1 : 4;
    if (errno || !fits(argument.bits, isNegative, type.starts_with('i'), 8 * argument.size))
      return invalid(fmt::format("--arg {}={}: is out of range", type, text));
  }
  if (text.empty() || *end)
    return invalid(fmt::format("--arg {}={}: expects a number", type, text));
  return argument;
}

/// `TYPE[d0,d1]:FILE`.
static Result<Argument> parseOutput(const std::string &text) {
  std::size_t open = text.find('['), close = text.find("]:");
  std::optional<ElementType> type = open == std::string::npos ? std::nullopt : parseElementType(text.substr(0, open));
  if (!type || close == std::string::npos || close < open)
    return invalid(fmt::format("--arg out={}: expects out=TYPE[SIZE,…]:FILE", text));
  std::vector<std::int64_t> shape;
  std::int64_t count = 1;
  for (std::size_t at = open + 1; at < close;) {
    std::size_t comma = std::min(text.find(',', at), close);
    std::int64_t size = 0;
    auto [next, error] = std::from_chars(text.data() + at, text.data() + comma, size);
    if (error != std::errc() || next != text.data() + comma || size <= 0 || count > (std::int64_t(1) << 34) / size)
      return invalid(fmt::format("--arg out={}: `{}` is not a usable size", text, text.substr(at, comma - at)));
    shape.push_back(size);
    count *= size;
    at = comma + 1;
  }
  std::string path = text.substr(close + 2);
  if (Status status = checkWritable(path); !status)
    return status;
  Argument argument;
  argument.tensor = HostTensor(*type, std::move(shape));
  argument.outputPath = std::move(path);
  return argument;
}

/// `,box=64x128,swizzle=128`: the box from the innermost dimension on.
static Status parseMap(std::string text, Argument &argument) {
  emulator::TensorMap map;
  const std::vector<std::int64_t> &shape = argument.tensor.shape;
  map.rank = static_cast<unsigned>(shape.size());
  map.elementBytes = storageBits(argument.tensor.type) / 8;
  if (map.rank == 0 || map.rank > emulator::kMaxTensorRank)
    return invalid(fmt::format("--arg: a tensor map has 1 to {} dimensions, the tensor has {}", emulator::kMaxTensorRank, map.rank));
  std::uint64_t stride = map.elementBytes;
  for (unsigned i = 0; i < map.rank; ++i) {
    map.extents[i] = static_cast<std::uint64_t>(shape[map.rank - 1 - i]);
    if (i > 0)
      map.strides[i - 1] = stride;
    stride *= map.extents[i];
  }
  unsigned given = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at + 1), text.size());
    const std::string item = text.substr(at + 1, end - at - 1);
    const char *from = item.data() + item.find('=') + 1, *to = item.data() + item.size();
    at = end;
    if (item.starts_with("swizzle=") && std::from_chars(from, to, map.swizzle).ptr == to)
      continue;
    bool isGood = item.starts_with("box=");
    for (given = 0; isGood && given < map.rank; ++given) {
      auto [next, error] = std::from_chars(from, to, map.box[given]);
      isGood = error == std::errc() && (next == to) == (given + 1 == map.rank) && (next == to || *next == 'x');
      from = next + 1;
    }
    if (!isGood)
      return invalid(fmt::format("--arg: `{}`: expects box=N[xN…] with {} numbers, or swizzle=N", item, map.rank));
  }
  if (given != map.rank)
    return invalid("--arg: a tensor map needs its box, such as box=64x128");
  argument.map = map;
  argument.size = emulator::kTensorMapBytes;
  return {};
}

static Result<Argument> parseArgument(const std::string &text) {
  std::size_t equals = text.find('=');
  std::string kind = text.substr(0, equals), rest = equals == std::string::npos ? "" : text.substr(equals + 1);
  for (const char *type : {"i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64"})
    if (kind == type)
      return parseScalar(kind, rest);
  if (kind == "map" || kind == "outmap") {
    const std::size_t options = std::min(rest.find(",box="), rest.find(",swizzle="));
    Result<Argument> argument = parseArgument((kind == "map" ? "in=" : "out=") + rest.substr(0, options));
    if (argument)
      if (Status status = parseMap(options == std::string::npos ? "" : rest.substr(options), *argument); !status)
        return status;
    return argument;
  }
  if (kind == "out")
    return parseOutput(rest);
  if (kind != "in" && kind != "inout")
    return invalid(fmt::format("--arg {}: expects in=FILE, out=TYPE[SIZE,…]:FILE, inout=FILE:FILE, map=FILE,box=…, outmap=… or a scalar such as i32=5", text));
  Argument argument;
  std::size_t colon = kind == "inout" ? rest.rfind(':') : std::string::npos;
  if (kind == "inout" && colon == std::string::npos)
    return invalid(fmt::format("--arg {}: expects inout=INPUT:OUTPUT", text));
  Result<HostTensor> tensor = readTensor(rest.substr(0, colon), "");
  if (!tensor)
    return tensor.status();
  argument.tensor = std::move(*tensor);
  if (colon != std::string::npos) {
    argument.outputPath = rest.substr(colon + 1);
    if (Status status = checkWritable(argument.outputPath); !status)
      return status;
  }
  return argument;
}

static Result<emulator::LaunchOptions> launchOptions(const EmulateOptions &options) {
  emulator::LaunchOptions launch;
  if (options.sanitize || options.checks == "full")
    launch.checks = emulator::CheckLevel::Full;
  else if (options.checks == "off")
    launch.checks = emulator::CheckLevel::Off;
  else if (options.checks != "memory")
    return invalid(fmt::format("--checks {}: expects off, memory or full", options.checks));
  if (options.completion == "lazy")
    launch.completion = emulator::AsyncCompletion::Lazy;
  else if (options.completion == "random")
    launch.completion = emulator::AsyncCompletion::Random;
  else if (options.completion != "eager")
    return invalid(fmt::format("--completion {}: expects eager, lazy or random", options.completion));
  launch.seed = options.seed;
  launch.threads = options.threads;
  launch.keepGoing = options.keepGoing;
  launch.stepLimit = options.stepLimit;
  launch.countMemory = options.counters || options.json;
  return launch;
}

/// The kernel by its name, or the only one.
static Result<const emulator::EntryInfo *> chooseKernel(const EmulateOptions &options, const emulator::PtxModule &module) {
  std::string names;
  for (const emulator::EntryInfo &entry : module.entries())
    names += (names.empty() ? "" : ", ") + entry.name;
  if (names.empty())
    return invalid(fmt::format("{}: has no kernel", options.path));
  bool isOnly = options.kernel.empty() && module.entries().size() == 1;
  const emulator::EntryInfo *entry = module.entry(isOnly ? module.entries().front().name : options.kernel);
  if (!entry)
    return invalid(options.kernel.empty() ? fmt::format("{}: has several kernels, choose one with --kernel: {}", options.path, names)
                                          : fmt::format("{}: has no kernel `{}` (it has: {})", options.path, options.kernel, names));
  return entry;
}

static Result<emulator::Dim3> blockOf(const EmulateOptions &options, const emulator::EntryInfo &entry) {
  if (!options.block.empty())
    return parseDim3("--block", options.block);
  if (entry.requiredBlock.x == 0)
    return invalid("--block is needed: the kernel does not fix its number of threads");
  return entry.requiredBlock;
}

/// Argument `index` in the virtual GPU's memory, as the kernel's parameter takes it.
static Result<Argument> placeArgument(const EmulateOptions &options, std::size_t index, const emulator::EntryInfo &entry,
                                      emulator::VirtualGpu &gpu) {
  const std::string &text = options.arguments[index];
  Result<Argument> argument = parseArgument(text);
  if (!argument)
    return argument;
  if (!argument->tensor.bytes.empty()) {
    Result<emulator::DeviceAddress> address = gpu.allocate(argument->tensor.bytes.size());
    if (!address)
      return address.status();
    argument->address = argument->bits = *address;
    if (!text.starts_with("out"))
      if (Status copied = gpu.copyIn(*address, argument->tensor.bytes); !copied)
        return copied;
  }
  if (argument->map) {
    argument->map->address = argument->address;
    if (Status encoded = emulator::encodeTensorMap(*argument->map, argument->mapBytes); !encoded)
      return encoded;
  }
  if (argument->size != entry.parameters[index].size)
    return invalid(fmt::format("--arg {}: has {} bytes, parameter {} of `{}` takes {}", text, argument->size, index, entry.name,
                               entry.parameters[index].size));
  return argument;
}

static Status writeOutputs(std::vector<Argument> &arguments, emulator::VirtualGpu &gpu) {
  for (Argument &argument : arguments) {
    if (argument.outputPath.empty())
      continue;
    if (Status copied = gpu.copyOut(argument.tensor.bytes, argument.address); !copied)
      return copied;
    if (Status written = writeFile(argument.outputPath, formatNpy(argument.tensor)); !written)
      return written;
  }
  return {};
}

/// What a launch printed and what was found.
static Status tell(const emulator::LaunchReport &report) {
  if (!report.output.empty())
    fmt::print("{}", report.output);
  for (const emulator::Finding &finding : report.findings)
    fmt::print(stderr, "{}\n", finding.message);
  if (report.status || report.findings.empty())
    return report.status;
  return Status(StatusCode::DeviceError, fmt::format("{} finding{}", report.findings.size(), report.findings.size() == 1 ? "" : "s"));
}

static Status emulate(const EmulateOptions &options) {
  Result<std::string> text = readFile(options.path);
  if (!text)
    return text.status();
  Result<emulator::PtxModule> module = emulator::PtxModule::parse(*text, options.path);
  if (!module)
    return module.status();
  Result<const emulator::EntryInfo *> entry = chooseKernel(options, *module);
  if (!entry)
    return entry.status();
  const std::string &kernel = (*entry)->name;
  Result<emulator::Dim3> grid = parseDim3("--grid", options.grid), block = blockOf(options, **entry);
  Result<emulator::LaunchOptions> launch = launchOptions(options);
  for (const Status &status : {grid ? Status() : grid.status(), block ? Status() : block.status(), launch ? Status() : launch.status()})
    if (!status)
      return status;
  if (options.arguments.size() != (*entry)->parameters.size())
    return invalid(fmt::format("kernel `{}` takes {} arguments, {} are given", kernel, (*entry)->parameters.size(), options.arguments.size()));

  Result<std::unique_ptr<emulator::VirtualGpu>> gpu = emulator::VirtualGpu::create();
  if (!gpu)
    return gpu.status();
  std::vector<Argument> arguments;
  for (std::size_t i = 0; i < options.arguments.size(); ++i) {
    Result<Argument> argument = placeArgument(options, i, **entry, **gpu);
    if (!argument)
      return argument.status();
    arguments.push_back(std::move(*argument));
  }
  std::vector<void *> pointers;
  for (Argument &argument : arguments)
    pointers.push_back(argument.map ? static_cast<void *>(argument.mapBytes.data()) : &argument.bits);
  Progress progress(fmt::format("{} on the virtual GPU", kernel));
  emulator::LaunchReport report = (*gpu)->launch(*module, kernel, {*grid, *block, options.sharedBytes}, pointers, *launch);
  progress.finish();
  if (Status status = tell(report); !status)
    return status;
  if (Status status = writeOutputs(arguments, **gpu); !status)
    return status;
  if (options.json)
    fmt::print("{}\n", countersJson(report.counters).dump(2));
  else if (options.counters)
    fmt::print("{}", countersText(report.counters));
  return {};
}

void addEmulateCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<EmulateOptions>();
  CLI::App *command = app.add_subcommand("emulate", "run any supported PTX on the virtual GPU");
  command->add_option("FILE", options->path, "PTX text")->required();
  command->add_option("--kernel", options->kernel, "the .entry to run; may be left out where there is one");
  command->add_option("--grid", options->grid, "thread blocks: x[,y[,z]]")->capture_default_str();
  command->add_option("--block", options->block, "threads of a block: x[,y[,z]]; default: what the kernel requires");
  command->add_option("--shared", options->sharedBytes, "bytes of dynamic shared memory")->capture_default_str();
  command->add_option("--arg", options->arguments,
                      "an argument, in order: in=FILE, out=TYPE[SIZE,…]:FILE, inout=FILE:FILE, a scalar such as i32=5, or a tensor map "
                      "of a tensor: map=FILE,box=64x128,swizzle=128, outmap=TYPE[SIZE,…]:FILE,box=…")
      ->allow_extra_args(false);
  command->add_option("--checks", options->checks, "off, memory or full")->capture_default_str();
  command->add_flag("--sanitize", options->sanitize, "all checks, as --checks full");
  command->add_option("--completion", options->completion, "when cp.async lands: eager, lazy or random")->capture_default_str();
  command->add_option("--seed", options->seed, "for --completion random");
  command->add_option("--threads", options->threads, "CPU threads; 0: one a core")->capture_default_str();
  command->add_option("--step-limit", options->stepLimit, "warp instructions of a block before it is stopped; 0: none")->capture_default_str();
  command->add_flag("--keep-going", options->keepGoing, "report further findings instead of stopping at the first");
  command->add_flag("--counters", options->counters, "print what was executed");
  command->add_flag("--json", options->json, "print what was executed for machines");
  command->callback([options, &exitCode] {
    if (Status status = emulate(*options); !status)
      exitCode = fail(status);
  });
}

} // namespace attn::tools
