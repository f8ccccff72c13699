// Kernels for sm_90a by libcu++ and CUTLASS, compiled by nvcc (tests/emulator/hopper): a producer with two consumers that
// take turns, and products with A in shared memory and in registers.
#include "tests/mutation/Subject.h"

#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/TensorMap.h"

#include "attn/Float.h"

#include <fstream>
#include <iterator>
#include <random>

namespace attn::mutation {

using namespace attn::emulator;

namespace {

struct alignas(64) MapBytes {
  std::array<std::byte, kTensorMapBytes> bytes;
};

class ForeignSubject : public Subject {
public:
  ForeignSubject(std::string file, std::string kernel) : file(std::move(file)), kernel(std::move(kernel)), gpu(std::move(*VirtualGpu::create())) {}

  std::string name() const override { return file + "." + kernel; }
  std::string target() const override { return "sm_90a"; }
  std::vector<std::string> entries() const override { return {kernel}; }
  std::string text() const override {
    std::ifstream stream(std::string(ATTN_SOURCE_DIR) + "/tests/emulator/hopper/" + file + ".ptx");
    return std::string(std::istreambuf_iterator<char>(stream), {});
  }

  Outcome run(const std::string &ptx, const Schedule &schedule, std::size_t) override {
    Outcome outcome;
    Result<PtxModule> module = PtxModule::parse(ptx, file + ".ptx");
    if (!module)
      return outcome;
    outcome.isLoaded = true;
    LaunchReport report = launch(*module,
                                 {.checks = CheckLevel::Full, .allowUnfencedReads = true, .completion = static_cast<AsyncCompletion>(schedule.completion),
                                  .seed = schedule.seed, .threads = 1, .stepLimit = 2'000'000},
                                 outcome.output);
    for (const LineCounters &line : report.counters.lines)
      if (line.activeLanes)
        outcome.lines.insert(line.ptxLine);
    if (!report.status)
      outcome.finding = report.status.message();
    return outcome;
  }

protected:
  virtual LaunchReport launch(const PtxModule &module, const LaunchOptions &options, std::string &output) = 0;

  DeviceAddress put(const std::vector<std::uint16_t> &values) {
    DeviceAddress address = *gpu->allocate(values.size() * sizeof(values[0]));
    static_cast<void>(gpu->copyIn(address, std::as_bytes(std::span(values))).isOk());
    return address;
  }
  static MapBytes encode(const TensorMap &map) {
    MapBytes out;
    static_cast<void>(encodeTensorMap(map, out.bytes).isOk());
    return out;
  }
  DeviceAddress zeros(std::size_t bytes) {
    DeviceAddress address = *gpu->allocate(bytes);
    static_cast<void>(gpu->memset(address, std::byte(0), bytes).isOk());
    return address;
  }
  void take(DeviceAddress address, std::size_t bytes, std::string &output) {
    std::string taken(bytes, 0);
    static_cast<void>(gpu->copyOut(std::as_writable_bytes(std::span(taken)), address).isOk());
    static_cast<void>(gpu->free(address).isOk());
    output += taken;
  }

  std::string file, kernel;
  std::unique_ptr<VirtualGpu> gpu;
};

/// copies.cu: twelve tiles through a ring of three.
class Pipeline final : public ForeignSubject {
public:
  Pipeline() : ForeignSubject("copies", "pipeline") {
    std::vector<std::uint16_t> values(kTiles * 32 * 64);
    std::mt19937 random(1);
    for (std::uint16_t &value : values)
      value = random() % 100;
    map = encode({.address = put(values), .rank = 2, .elementBytes = 2, .extents = {64, kTiles * 32}, .strides = {128}, .box = {64, 32}, .swizzle = 128});
  }

private:
  LaunchReport launch(const PtxModule &module, const LaunchOptions &options, std::string &output) override {
    DeviceAddress out = zeros(kTiles * 64 * 4), order = zeros(kTiles * 4);
    std::int32_t tiles = kTiles;
    void *pointers[] = {&map, &out, &order, &tiles};
    LaunchReport report = gpu->launch(module, kernel, {.block = {384, 1, 1}, .dynamicSharedBytes = 3 * 64 * 32 * 2}, pointers, options);
    take(out, kTiles * 64 * 4, output);
    take(order, kTiles * 4, output);
    return report;
  }

  static constexpr unsigned kTiles = 12;
  MapBytes map;
};

/// products.cu: 64 rows, `columns` columns, depth 192 in three steps through one buffer.
class ProductBy final : public ForeignSubject {
public:
  ProductBy(const char *kernel, unsigned columns, bool alongN) : ForeignSubject("products", kernel), columns(columns) {
    std::mt19937 random(2);
    auto matrix = [&](std::size_t count) {
      std::vector<std::uint16_t> values(count);
      for (std::uint16_t &value : values)
        value = roundToF16(static_cast<float>(static_cast<int>(random() % 9) - 4));
      return put(values);
    };
    mapA = encode({.address = matrix(64 * kDepth), .rank = 2, .elementBytes = 2, .extents = {kDepth, 64}, .strides = {kDepth * 2}, .box = {64, 64}, .swizzle = 128});
    mapB = alongN ? encode({.address = matrix(columns * kDepth), .rank = 2, .elementBytes = 2, .extents = {columns, kDepth}, .strides = {columns * 2u}, .box = {64, 64}, .swizzle = 128})
                  : encode({.address = matrix(columns * kDepth), .rank = 2, .elementBytes = 2, .extents = {kDepth, columns}, .strides = {kDepth * 2}, .box = {64, columns}, .swizzle = 128});
  }

private:
  LaunchReport launch(const PtxModule &module, const LaunchOptions &options, std::string &output) override {
    DeviceAddress out = zeros(64 * columns * 4);
    std::int32_t depth = kDepth;
    void *pointers[] = {&mapA, &mapB, &out, &depth};
    LaunchReport report = gpu->launch(module, kernel, {.block = {128, 1, 1}, .dynamicSharedBytes = (64 + columns) * 64 * 2}, pointers, options);
    take(out, 64 * columns * 4, output);
    return report;
  }

  static constexpr unsigned kDepth = 192;
  unsigned columns;
  MapBytes mapA, mapB;
};

} // namespace

std::vector<std::unique_ptr<Subject>> foreignSubjects() {
  std::vector<std::unique_ptr<Subject>> out;
  out.push_back(std::make_unique<Pipeline>());
  out.push_back(std::make_unique<ProductBy>("f16_64_kk_128", 64, false));
  out.push_back(std::make_unique<ProductBy>("f16_64_kn_128_registers", 64, true));
  return out;
}

} // namespace attn::mutation
