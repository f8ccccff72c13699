// VirtualGpu: memory calls, module variables, and launches over worker threads.
#include "runtime/emulator/Cta.h"
#include "runtime/emulator/Module.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <thread>

namespace attn::emulator {

/// Warp instructions a CTA may run before others get its worker: a CTA that waits for another in a loop must not keep it.
static constexpr std::uint64_t kTurn = 4'000'000;

struct VirtualGpu::State {
  GpuOptions options;
  std::unique_ptr<GlobalMemory> memory;
  /// Addresses of the variables of a module; the module is kept alive so that its address identifies it.
  struct Loaded {
    std::shared_ptr<const PtxModule::Content> content;
    std::map<std::uint32_t, DeviceAddress> variables;
  };
  std::mutex mutex;
  std::map<const PtxModule::Content *, Loaded> modules;

  Result<Loaded *> load(const PtxModule &module);
  Status initialise(const ptx::Module &tree, Loaded &loaded);
  Status check(const EntryInfo &info, const Program &program, const LaunchConfig &config) const;
};

VirtualGpu::VirtualGpu(std::unique_ptr<State> state) : state(std::move(state)) {}
VirtualGpu::~VirtualGpu() = default;

Result<std::unique_ptr<VirtualGpu>> VirtualGpu::create(const GpuOptions &options) {
  auto state = std::make_unique<State>();
  state->options = options;
  state->options.multiprocessors = std::max(options.multiprocessors, 1u);
  auto memory = GlobalMemory::create(options.memoryBytes);
  if (!memory)
    return memory.status();
  state->memory = std::move(*memory);
  return std::unique_ptr<VirtualGpu>(new VirtualGpu(std::move(state)));
}

Result<DeviceAddress> VirtualGpu::allocate(std::size_t bytes) { return state->memory->allocate(bytes); }
Status VirtualGpu::free(DeviceAddress address) { return state->memory->free(address); }

Status VirtualGpu::copyIn(DeviceAddress destination, std::span<const std::byte> source) {
  if (source.empty())
    return {};
  auto range = state->memory->range(destination, source.size(), "copyIn");
  if (!range)
    return range.status();
  std::memcpy(state->memory->host(destination), source.data(), source.size());
  state->memory->define(destination, source.size());
  return {};
}

Status VirtualGpu::copyOut(std::span<std::byte> destination, DeviceAddress source) {
  if (destination.empty())
    return {};
  auto range = state->memory->range(source, destination.size(), "copyOut");
  if (!range)
    return range.status();
  std::memcpy(destination.data(), state->memory->host(source), destination.size());
  return {};
}

Status VirtualGpu::copyWithin(DeviceAddress destination, DeviceAddress source, std::size_t bytes) {
  if (bytes == 0)
    return {};
  auto to = state->memory->range(destination, bytes, "copyWithin");
  if (!to)
    return to.status();
  auto from = state->memory->range(source, bytes, "copyWithin");
  if (!from)
    return from.status();
  std::memmove(state->memory->host(destination), state->memory->host(source), bytes);
  state->memory->copyDefined(destination, source, bytes);
  return {};
}

Status VirtualGpu::memset(DeviceAddress destination, std::byte value, std::size_t bytes) {
  if (bytes == 0)
    return {};
  auto range = state->memory->range(destination, bytes, "memset");
  if (!range)
    return range.status();
  std::memset(state->memory->host(destination), static_cast<int>(value), bytes);
  state->memory->define(destination, bytes);
  return {};
}

Result<std::byte *> VirtualGpu::hostPointer(DeviceAddress address, std::size_t bytes) {
  auto range = state->memory->range(address, bytes, "hostPointer");
  if (!range)
    return range.status();
  return state->memory->host(address);
}

Status VirtualGpu::markDefined(DeviceAddress address, std::size_t bytes) {
  if (bytes == 0)
    return {};
  auto range = state->memory->range(address, bytes, "markDefined");
  if (!range)
    return range.status();
  state->memory->define(address, bytes);
  return {};
}

/// Writes initial values and the addresses they hold. Variables without initial values are zero (PTX ISA 5.4.4).
Status VirtualGpu::State::initialise(const ptx::Module &tree, Loaded &loaded) {
  for (std::uint32_t index : tree.moduleVariables) {
    const ptx::Variable &variable = tree.variables[index];
    if (variable.space != ptx::Space::Global && variable.space != ptx::Space::Const)
      continue;
    auto address = memory->allocate(std::max<std::uint64_t>(variable.bytes, 1), variable.name,
                                    variable.space != ptx::Space::Const);
    if (!address)
      return address.status();
    loaded.variables[index] = *address;
    std::memset(memory->host(*address), 0, variable.bytes);
    std::copy(variable.initial.begin(), variable.initial.end(), reinterpret_cast<std::uint8_t *>(memory->host(*address)));
    memory->define(*address, std::max<std::uint64_t>(variable.bytes, 1));
  }
  for (std::uint32_t index : tree.moduleVariables)
    for (const ptx::Relocation &relocation : tree.variables[index].relocations) {
      std::uint64_t value = loaded.variables[relocation.variable] + static_cast<std::uint64_t>(relocation.addend);
      std::memcpy(memory->host(loaded.variables[index] + relocation.offset), &value, relocation.bytes);
    }
  return {};
}

Result<VirtualGpu::State::Loaded *> VirtualGpu::State::load(const PtxModule &module) {
  std::lock_guard lock(mutex);
  auto [entry, added] = modules.try_emplace(module.content().get());
  Loaded &loaded = entry->second;
  if (!added)
    return &loaded;
  loaded.content = module.content();
  Status status = initialise(*module.content()->tree, loaded);
  if (status)
    return &loaded;
  for (auto [index, address] : loaded.variables)
    (void)memory->free(address).isOk();
  modules.erase(entry);
  return status;
}

Result<std::pair<DeviceAddress, std::size_t>> VirtualGpu::symbol(const PtxModule &module, std::string_view name) {
  auto loaded = state->load(module);
  if (!loaded)
    return loaded.status();
  for (auto [index, address] : (*loaded)->variables) {
    const ptx::Variable &variable = module.content()->tree->variables[index];
    if (variable.name == name)
      return std::pair<DeviceAddress, std::size_t>(address, variable.bytes);
  }
  return Status(StatusCode::NotFound, fmt::format("symbol: the module has no global or constant variable `{}`", name));
}

void VirtualGpu::unload(const PtxModule &module) {
  std::lock_guard lock(state->mutex);
  auto found = state->modules.find(module.content().get());
  if (found == state->modules.end())
    return;
  for (auto [index, address] : found->second.variables)
    (void)state->memory->free(address).isOk();
  state->modules.erase(found);
}

Status VirtualGpu::State::check(const EntryInfo &info, const Program &program, const LaunchConfig &config) const {
  auto invalid = [&](std::string text) { return Status(StatusCode::InvalidArgument, fmt::format("launch of `{}`: {}", info.name, text)); };
  const Dim3 &grid = config.grid, &block = config.block;
  std::uint64_t threads = std::uint64_t(block.x) * block.y * block.z;
  if (block.x == 0 || block.y == 0 || block.z == 0 || block.x > 1024 || block.y > 1024 || block.z > 64 || threads > 1024)
    return invalid(fmt::format("block ({}, {}, {}) is outside 1 to 1024 threads", block.x, block.y, block.z));
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7FFFFFFF || grid.y > 65535 || grid.z > 65535)
    return invalid(fmt::format("grid ({}, {}, {}) is outside (2147483647, 65535, 65535) or empty", grid.x, grid.y, grid.z));
  const Dim3 &required = info.requiredBlock;
  if (required.x && (required.x != block.x || required.y != block.y || required.z != block.z))
    return invalid(fmt::format("block ({}, {}, {}), but the entry requires ({}, {}, {})", block.x, block.y, block.z, required.x,
                               required.y, required.z));
  if (info.maxThreads && threads > info.maxThreads)
    return invalid(fmt::format("{} threads, but the entry allows {}", threads, info.maxThreads));
  std::uint64_t shared = std::uint64_t(program.staticSharedBytes) - kReservedSharedBytes + config.dynamicSharedBytes;
  if (shared > options.sharedBytesPerBlock)
    return invalid(fmt::format("{} bytes of shared memory, but a block has at most {}", shared, options.sharedBytesPerBlock));
  return {};
}

/// The register file's constant part, the same in all warps of the launch.
static std::vector<std::uint32_t> registerImage(const Program &program, const std::map<std::uint32_t, DeviceAddress> &variables) {
  std::uint32_t slots = 0;
  auto extend = [&](std::uint32_t slot, bool wide) { slots = std::max(slots, slot + (wide ? 2 : 1)); };
  for (const ConstantSlot &constant : program.constants)
    extend(constant.slot, constant.wide);
  for (const SymbolSlot &symbol : program.symbols)
    extend(symbol.slot, symbol.wide);
  std::vector<std::uint32_t> image(std::size_t(slots) * 32, 0);
  auto fill = [&](std::uint32_t slot, std::uint64_t value, bool wide) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (wide)
        std::memcpy(&image[std::size_t(slot) * 32 + 2 * lane], &value, sizeof(value));
      else
        image[std::size_t(slot) * 32 + lane] = static_cast<std::uint32_t>(value);
    }
  };
  for (const ConstantSlot &constant : program.constants)
    fill(constant.slot, constant.value, constant.wide);
  for (const SymbolSlot &symbol : program.symbols)
    fill(symbol.slot, variables.at(symbol.variable) + static_cast<std::uint64_t>(symbol.addend), symbol.wide);
  return image;
}

namespace {
/// Hands out CTAs in launch order, and those that were put aside after the fresh ones that fit on the device.
class Grid {
public:
  Grid(Launch &launch, std::uint64_t resident) : launch(launch), resident(resident) {
    const Dim3 &grid = launch.config.grid;
    total = std::uint64_t(grid.x) * grid.y * grid.z;
  }

  std::uint64_t size() const { return total; }

  void work(Worker &worker) {
    unsigned control = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x1F80); // round to nearest, subnormals kept, no traps
    while (std::unique_ptr<Cta> cta = next(worker)) {
      bool ended = cta->run(kTurn, worker);
      std::lock_guard lock(mutex);
      if (!ended)
        aside.push_back(std::move(cta));
      else
        --running;
    }
    __builtin_ia32_ldmxcsr(control);
  }

private:
  std::unique_ptr<Cta> next(Worker &worker) {
    std::unique_lock lock(mutex);
    if (launch.stopped)
      return nullptr;
    if (started < total && running < resident) {
      std::uint64_t index = started++;
      ++running;
      lock.unlock();
      const Dim3 &grid = launch.config.grid;
      Dim3 position{static_cast<std::uint32_t>(index % grid.x), static_cast<std::uint32_t>(index / grid.x % grid.y),
                    static_cast<std::uint32_t>(index / grid.x / grid.y)};
      return std::make_unique<Cta>(launch, worker, position, index);
    }
    if (aside.empty())
      return nullptr;
    std::unique_ptr<Cta> cta = std::move(aside.front());
    aside.pop_front();
    return cta;
  }

  Launch &launch;
  std::uint64_t resident, total = 0, started = 0, running = 0;
  std::deque<std::unique_ptr<Cta>> aside;
  std::mutex mutex;
};
} // namespace

/// CTAs that fit on the device at once, by shared memory and threads.
static std::uint64_t residentCtas(const Launch &launch, const GpuOptions &options) {
  const Dim3 &block = launch.config.block;
  std::uint64_t byThreads = 2048 / std::max<std::uint64_t>(std::uint64_t(block.x) * block.y * block.z, 64);
  std::uint64_t byShared = options.sharedBytesPerBlock / std::max<std::uint32_t>(launch.sharedBytes, 1);
  return options.multiprocessors * std::clamp<std::uint64_t>(std::min(byThreads, byShared), 1, 32);
}

Counters gatherCounters(const Program &program, const std::vector<Worker> &workers);

LaunchReport VirtualGpu::launch(const PtxModule &module, std::string_view entry, const LaunchConfig &config,
                                std::span<const std::byte> parameters, const LaunchOptions &options) {
  LaunchReport report;
  const EntryInfo *info = module.entry(entry);
  if (!info) {
    report.status = {StatusCode::NotFound, fmt::format("launch: the module has no entry `{}`", entry)};
    return report;
  }
  const Program &program = *module.content()->programs[static_cast<std::size_t>(info - module.entries().data())];
  report.status = state->check(*info, program, config);
  if (report.status && parameters.size() != info->parameterBytes)
    report.status = {StatusCode::InvalidArgument,
                     fmt::format("launch of `{}`: {} bytes of parameters, but it takes {}", entry, parameters.size(),
                                 info->parameterBytes)};
  if (!report.status)
    return report;
  auto loaded = state->load(module);
  if (!loaded) {
    report.status = loaded.status();
    return report;
  }
  Launch launch;
  launch.program = &program;
  launch.memory = state->memory.get();
  launch.config = config;
  launch.options = options;
  launch.parameters.assign(parameters.begin(), parameters.end());
  launch.sharedBytes = program.staticSharedBytes + config.dynamicSharedBytes;
  launch.multiprocessors = state->options.multiprocessors;
  launch.registerImage = registerImage(program, (*loaded)->variables);
  launch.checked = options.checks != CheckLevel::Off;
  if (options.checks == CheckLevel::Full)
    launch.globalShadow = std::make_unique<GlobalShadow>(program);

  Grid grid(launch, residentCtas(launch, state->options));
  unsigned threads = options.deterministic ? 1 : options.threads ? options.threads : std::thread::hardware_concurrency();
  threads = static_cast<unsigned>(std::clamp<std::uint64_t>(threads, 1, std::max<std::uint64_t>(grid.size(), 1)));
  std::vector<Worker> workers(threads);
  for (Worker &worker : workers) {
    worker.counts.resize(program.code.size());
    worker.hits.resize(program.origins.size());
    if (options.countMemory)
      worker.memoryCounts.resize(program.origins.size());
  }
  std::vector<std::thread> pool;
  for (unsigned i = 1; i < threads; ++i)
    pool.emplace_back([&, i] { grid.work(workers[i]); });
  grid.work(workers[0]);
  for (std::thread &thread : pool)
    thread.join();
  state->memory->settle(!launch.checked);
  report.findings = std::move(launch.findings);
  report.output = std::move(launch.output);
  report.counters = gatherCounters(program, workers);
  if (!report.findings.empty())
    report.status = {StatusCode::DeviceError, report.findings.front().message};
  return report;
}

LaunchReport VirtualGpu::launch(const PtxModule &module, std::string_view entry, const LaunchConfig &config,
                                std::span<void *const> arguments, const LaunchOptions &options) {
  LaunchReport report;
  const EntryInfo *info = module.entry(entry);
  if (info && arguments.size() != info->parameters.size())
    report.status = {StatusCode::InvalidArgument, fmt::format("launch of `{}`: {} arguments, but it takes {}", entry,
                                                              arguments.size(), info->parameters.size())};
  if (!report.status)
    return report;
  std::vector<std::byte> packed(info ? info->parameterBytes : 0);
  for (std::size_t i = 0; info && i < arguments.size(); ++i)
    std::memcpy(packed.data() + info->parameters[i].offset, arguments[i], info->parameters[i].size);
  return launch(module, entry, config, std::span<const std::byte>(packed), options);
}

} // namespace attn::emulator
