// The virtual GPU: runs PTX text on the CPU, checks it more strictly than hardware does, and counts what it executes.
//
//     Result<PtxModule> module = PtxModule::parse(text, "kernel.ptx");
//     Result<std::unique_ptr<VirtualGpu>> gpu = VirtualGpu::create();
//     Result<DeviceAddress> x = (*gpu)->allocate(bytes);
//     Status copied = (*gpu)->copyIn(*x, source);
//     LaunchReport report = (*gpu)->launch(*module, "kernel", {.grid = {4, 1, 1}, .block = {128, 1, 1}}, arguments);
//     if (!report.status) … report.findings says which line, CTA, warp and lanes
#pragma once

#include "attn/Counters.h"
#include "attn/Result.h"
#include "attn/Status.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::emulator {

using DeviceAddress = std::uint64_t;

struct Dim3 {
  std::uint32_t x = 1, y = 1, z = 1;
};

/// One parameter of an entry, in the packed parameter block.
struct EntryParameter {
  std::string name;
  std::uint32_t offset = 0, size = 0, alignment = 1;
};

/// What a launch of an entry needs to know.
struct EntryInfo {
  std::string name;
  std::vector<EntryParameter> parameters;
  std::uint32_t parameterBytes = 0;
  /// `.reqntid`; all zero when the entry has none.
  Dim3 requiredBlock = {0, 0, 0};
  /// `.maxntid` as a number of threads; 0 when the entry has none.
  std::uint32_t maxThreads = 0;
  std::uint32_t staticSharedBytes = 0;
};

/// A parsed and checked PTX module. An immutable handle: copies share the text and the decoded code; thread-safe.
class PtxModule {
public:
  /// Parses and checks `text`. A failure is a `CompileError` whose message has the form `name:line: message`; an
  /// instruction outside the supported set reads `name:line: X01 unsupported instruction …`. Never throws.
  static Result<PtxModule> parse(std::string_view text, std::string_view name = "module.ptx");

  const std::vector<EntryInfo> &entries() const;
  /// Null when there is none of that name.
  const EntryInfo *entry(std::string_view name) const;
  /// `sm_80`, as written in `.target`.
  std::string_view target() const;
  /// PTX version times ten: 78 for `.version 7.8`.
  unsigned version() const;
  /// The module printed again from its syntax tree: equal meaning, canonical spacing.
  std::string print() const;

  struct Content;
  const std::shared_ptr<const Content> &content() const { return shared; }

private:
  explicit PtxModule(std::shared_ptr<const Content> shared) : shared(std::move(shared)) {}
  std::shared_ptr<const Content> shared;
};

enum class CheckLevel : std::uint8_t {
  Off,    ///< only what keeps the process safe
  Memory, ///< bounds, alignment, spaces, uninitialised data, barriers, deadlock
  Full,   ///< the order of accesses to shared memory too: races, proxies (sanitizer/)
};

/// When asynchronous work is done: cp.async, tensor copies, wgmma. Correct kernels compute the same under all three.
enum class AsyncCompletion : std::uint8_t {
  Eager,  ///< at issue
  Lazy,   ///< when a wait needs it, not before: a missing wait shows
  Random, ///< at a time drawn from the seed; so are the turns of the warps
};

struct LaunchOptions {
  CheckLevel checks = CheckLevel::Memory;
  /// Level `full`: lanes may read what a tensor copy then overwrites without fence.proxy.async in between (no P02), as main
  /// loops of CUTLASS do.
  bool allowUnfencedReads = false;
  AsyncCompletion completion = AsyncCompletion::Eager;
  std::uint64_t seed = 0;
  /// CPU threads to run CTAs on; 0 means one for each core.
  unsigned threads = 0;
  /// One thread, CTAs in order.
  bool deterministic = false;
  /// Goes on after a finding, as far as that is possible, and reports each kind once for each instruction.
  bool keepGoing = false;
  /// Warp instructions of one CTA before X02; 0 means no limit.
  std::uint64_t stepLimit = 0;
  /// Counts bytes, sectors and bank conflicts too (slower).
  bool countMemory = false;
};

struct LaunchConfig {
  Dim3 grid = {}, block = {};
  std::uint32_t dynamicSharedBytes = 0;
};

/// A source position that `.loc` gave; `line` 0 when unknown.
struct SourcePosition {
  std::string file;
  unsigned line = 0;
};

/// One thing the checks found: M01…M05, U01, R01…R04, P01, P02, B01…B04, A01…A08, T01…T06, W01…W09, D01…D03, X02, X03 (trap).
/// See docs/emulator.md.
struct Finding {
  std::string id;
  /// The whole sentence, with all of the below in it.
  std::string message;
  unsigned ptxLine = 0;
  std::string ptxText;
  SourcePosition source;
  Dim3 cta;
  unsigned warp = 0;
  /// Bit i: lane i took part.
  std::uint32_t lanes = 0;
};

/// Counts of one PTX instruction over the whole launch.
struct LineCounters {
  unsigned ptxLine = 0;
  std::string opcode;
  /// The row of Instructions.def that decoded it.
  std::string_view row;
  std::uint64_t warpInstructions = 0;
  std::uint64_t activeLanes = 0;
  std::uint64_t waits = 0; ///< times a warp had to wait here
  /// With `countMemory`: bytes asked for, 32-byte sectors touched, shared wavefronts, and those above the minimum.
  std::uint64_t globalBytes = 0, sharedBytes = 0, sectors = 0, wavefronts = 0, bankConflicts = 0;
};

struct Counters : WorkCounters {
  /// In the order of the text; only instructions that ran.
  std::vector<LineCounters> lines;
};

struct LaunchReport {
  /// `DeviceError` with the first finding's message when a check failed; `InvalidArgument` when nothing was launched.
  Status status;
  std::vector<Finding> findings;
  Counters counters;
  /// What `vprintf` wrote.
  std::string output;
};

struct GpuOptions {
  /// Device memory; address space is reserved at once, pages are taken when used.
  std::uint64_t memoryBytes = std::uint64_t(16) << 30;
  std::uint32_t sharedBytesPerBlock = 227 * 1024;
  std::uint32_t multiprocessors = 108;
};

/// Device memory and launches. Owns all allocations; freed with the object. Thread-safe, except that it is the caller's
/// task not to free or copy memory that a running launch uses. Allocations hold undefined bytes until written.
class VirtualGpu {
public:
  static Result<std::unique_ptr<VirtualGpu>> create(const GpuOptions &options = {});
  ~VirtualGpu();

  /// 512-byte aligned; `bytes` may be 0 (then 1 is taken).
  Result<DeviceAddress> allocate(std::size_t bytes);
  Status free(DeviceAddress address);
  Status copyIn(DeviceAddress destination, std::span<const std::byte> source);
  Status copyOut(std::span<std::byte> destination, DeviceAddress source);
  /// Also makes the destination as defined as the source.
  Status copyWithin(DeviceAddress destination, DeviceAddress source, std::size_t bytes);
  Status memset(DeviceAddress destination, std::byte value, std::size_t bytes);
  /// The host pointer behind [address, address + bytes); writing through it needs `markDefined` afterwards.
  Result<std::byte *> hostPointer(DeviceAddress address, std::size_t bytes);
  Status markDefined(DeviceAddress address, std::size_t bytes);

  /// Address and size of a `.global` or `.const` variable of `module`, which lives until `unload` or the end.
  Result<std::pair<DeviceAddress, std::size_t>> symbol(const PtxModule &module, std::string_view name);
  void unload(const PtxModule &module);

  /// Runs to the end and returns what happened. `parameters` is the packed block laid out as `EntryInfo` says.
  LaunchReport launch(const PtxModule &module, std::string_view entry, const LaunchConfig &config,
                      std::span<const std::byte> parameters, const LaunchOptions &options = {});
  /// The same with one pointer for each parameter, as cuLaunchKernel takes them.
  LaunchReport launch(const PtxModule &module, std::string_view entry, const LaunchConfig &config,
                      std::span<void *const> arguments, const LaunchOptions &options = {});

private:
  struct State;
  explicit VirtualGpu(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace attn::emulator
