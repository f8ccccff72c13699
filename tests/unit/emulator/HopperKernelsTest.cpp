// Kernels for sm_90a that no one here wrote (tests/emulator/hopper): tensor maps, transaction barriers and products of
// warpgroups by libcu++ and CUTLASS, compiled by nvcc. CuTe derives layouts and descriptors by its own algebra, so that an
// error in ours shows. Each runs under early, late and random completion; the results must be those of the CPU.
#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/TensorMap.h"

#include "attn/Float.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>
#include <random>
#include <sstream>

namespace attn::emulator {

namespace {

struct alignas(64) MapBytes {
  std::array<std::byte, kTensorMapBytes> bytes;
};

class HopperKernels : public ::testing::Test {
protected:
  void SetUp() override { gpu = std::move(*VirtualGpu::create()); }

  void load(const std::string &name) {
    auto parsed = PtxModule::parse(textOf(name), name + ".ptx");
    ASSERT_TRUE(parsed) << parsed.status().message();
    module = std::move(*parsed);
  }
  template <typename T> DeviceAddress put(const std::vector<T> &values) {
    DeviceAddress address = *gpu->allocate(values.size() * sizeof(T));
    EXPECT_TRUE(gpu->copyIn(address, std::as_bytes(std::span(values))));
    return address;
  }
  template <typename T> std::vector<T> get(DeviceAddress address, std::size_t count) {
    std::vector<T> values(count);
    EXPECT_TRUE(gpu->copyOut(std::as_writable_bytes(std::span(values)), address));
    return values;
  }
  static MapBytes encode(const TensorMap &map) {
    MapBytes out;
    Status status = encodeTensorMap(map, out.bytes);
    EXPECT_TRUE(status) << status.message();
    return out;
  }
  std::string textOf(const std::string &name) {
    std::ifstream file(std::string(ATTN_SOURCE_DIR) + "/tests/emulator/hopper/" + name + ".ptx");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  template <typename... Ts>
  LaunchReport launch(const std::string &entry, Dim3 block, std::uint32_t shared, const LaunchOptions &options, Ts... arguments) {
    void *pointers[] = {&arguments...};
    LaunchReport report = gpu->launch(*module, entry, {.block = block, .dynamicSharedBytes = shared}, pointers, options);
    EXPECT_TRUE(report.status) << entry << ": " << report.status.message();
    return report;
  }
  static std::vector<LaunchOptions> schedules() {
    std::vector<LaunchOptions> all;
    for (auto [completion, seed] : {std::pair{AsyncCompletion::Eager, 0}, {AsyncCompletion::Lazy, 0}, {AsyncCompletion::Random, 1},
                                    {AsyncCompletion::Random, 2}, {AsyncCompletion::Random, 3}})
      all.push_back({.checks = CheckLevel::Full, .allowUnfencedReads = true, .completion = completion, .seed = static_cast<std::uint64_t>(seed),
                     .threads = 1, .stepLimit = 10'000'000});
    return all;
  }

  std::unique_ptr<VirtualGpu> gpu;
  std::optional<PtxModule> module;
};

/// PTX ISA 5.5.7, figures and tables of the swizzling modes: which 16-byte unit of each 128-byte line lies at which place.
constexpr unsigned kSwizzle128[8][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {1, 0, 3, 2, 5, 4, 7, 6}, {2, 3, 0, 1, 6, 7, 4, 5},
                                        {3, 2, 1, 0, 7, 6, 5, 4}, {4, 5, 6, 7, 0, 1, 2, 3}, {5, 4, 7, 6, 1, 0, 3, 2},
                                        {6, 7, 4, 5, 2, 3, 0, 1}, {7, 6, 5, 4, 3, 2, 1, 0}};
constexpr unsigned kSwizzle64[4][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {1, 0, 3, 2, 5, 4, 7, 6}, {2, 3, 0, 1, 6, 7, 4, 5}, {3, 2, 1, 0, 7, 6, 5, 4}};
constexpr unsigned kSwizzle32[2][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {1, 0, 3, 2, 5, 4, 7, 6}};

unsigned unitAt(unsigned swizzle, unsigned line, unsigned place) {
  switch (swizzle) {
  case 128: return kSwizzle128[line % 8][place];
  case 64: return kSwizzle64[line % 4][place];
  case 32: return kSwizzle32[line % 2][place];
  default: return place;
  }
}

struct Coordinates {
  std::int32_t from[5] = {}, to[5] = {};
};

} // namespace

TEST_F(HopperKernels, TilesLieInSharedMemoryAsTheIsaDrawsThem) {
  load("copies");
  const unsigned rows = 24;
  std::vector<std::uint16_t> values(64 * 100);
  std::iota(values.begin(), values.end(), 1);
  for (unsigned swizzle : {0u, 32u, 64u, 128u}) {
    const unsigned width = (swizzle ? swizzle : 48) / 2;
    TensorMap from{.address = put(values), .rank = 2, .elementBytes = 2, .extents = {64, 100}, .strides = {128}, .box = {width, rows}, .swizzle = swizzle};
    for (const LaunchOptions &options : schedules()) {
      TensorMap to = from;
      to.address = put(std::vector<std::uint16_t>(values.size(), 0));
      const std::uint32_t bytes = width * rows * 2;
      DeviceAddress raw = *gpu->allocate(bytes);
      launch("copy_2d", {64, 1, 1}, bytes, options, encode(from), encode(to), raw, bytes, Coordinates{{0, 40}, {0, 70}});
      const auto shared = get<std::uint16_t>(raw, bytes / 2);
      for (unsigned i = 0; i < bytes / 16; ++i)
        for (unsigned e = 0; e < 8; ++e) {
          const unsigned linear = (i / 8 * 8 + unitAt(swizzle, i / 8, i % 8)) * 8 + e; // element of the box
          ASSERT_EQ(shared[8 * i + e], values[(40 + linear / width) * 64 + linear % width]) << "swizzle " << swizzle << " unit " << i;
        }
      const auto stored = get<std::uint16_t>(to.address, values.size());
      for (unsigned row = 0; row < 100; ++row)
        for (unsigned column = 0; column < 64; ++column)
          ASSERT_EQ(stored[row * 64 + column], row >= 70 && row < 70 + rows && column < width ? values[(row - 30) * 64 + column] : 0);
    }
  }
}

TEST_F(HopperKernels, BoxesOfAnyRankAreClippedAtTheTensor) {
  load("copies");
  const std::array<std::uint64_t, 5> extents = {20, 7, 5, 4, 3};
  const std::array<std::uint32_t, 5> box = {16, 3, 4, 2, 2};
  const std::array<std::int32_t, 5> starts[] = {{0, 0, 0, 0, 0}, {4, 4, 1, 2, 1}, {12, 5, 3, 3, 2}, {-4, -1, -2, -1, -1}, {20, 0, 0, 0, 0}, {0, 7, 0, 0, 0}};
  for (unsigned rank = 1; rank <= 5; ++rank)
    for (const auto &start : starts)
      for (const LaunchOptions &options : schedules()) {
        TensorMap from{.rank = rank, .elementBytes = 4};
        std::uint64_t stride = 96, elements = 1; // bytes; rows are padded
        for (unsigned i = 0; i < rank; ++i) {
          from.extents[i] = extents[i], from.box[i] = box[i];
          elements *= box[i];
          if (i > 0) {
            from.strides[i - 1] = stride;
            stride *= extents[i] + i;
          }
        }
        std::vector<std::uint32_t> values(stride / 4);
        std::iota(values.begin(), values.end(), 100);
        from.address = put(values);
        TensorMap to = from;
        to.address = put(std::vector<std::uint32_t>(values.size(), 0));
        Coordinates at;
        std::copy(start.begin(), start.end(), at.from);
        for (unsigned i = 0; i < 5; ++i)
          at.to[i] = std::max(start[i], 0); // stores start inside
        const auto bytes = static_cast<std::uint32_t>(elements * 4);
        DeviceAddress raw = *gpu->allocate(bytes);
        launch(fmt::format("copy_{}d", rank), {32, 1, 1}, bytes, options, encode(from), encode(to), raw, bytes, at);
        const auto shared = get<std::uint32_t>(raw, elements), stored = get<std::uint32_t>(to.address, values.size());
        std::vector<std::uint32_t> expectedStore(values.size(), 0);
        for (std::uint64_t linear = 0; linear < elements; ++linear) {
          bool inside = true, targetInside = true;
          std::int64_t source = 0, target = 0;
          std::uint64_t rest = linear;
          for (unsigned i = 0; i < rank; ++i) {
            const std::int64_t index = static_cast<std::int64_t>(rest % box[i]), x = at.from[i] + index, y = at.to[i] + index;
            const std::int64_t step = i == 0 ? 4 : static_cast<std::int64_t>(from.strides[i - 1]);
            rest /= box[i];
            inside &= x >= 0 && x < static_cast<std::int64_t>(extents[i]);
            targetInside &= y < static_cast<std::int64_t>(extents[i]);
            source += x * step, target += y * step;
          }
          const std::uint32_t expected = inside ? values[static_cast<std::size_t>(source) / 4] : 0;
          ASSERT_EQ(shared[linear], expected) << "rank " << rank << ", element " << linear;
          if (targetInside)
            expectedStore[static_cast<std::size_t>(target) / 4] = expected;
        }
        ASSERT_EQ(stored, expectedStore) << "rank " << rank;
      }
}

TEST_F(HopperKernels, AProducerFeedsConsumersThatTakeTurns) {
  load("copies");
  for (std::int32_t tiles : {1, 2, 5, 12})
    for (const LaunchOptions &options : schedules()) {
      const auto rows = static_cast<std::size_t>(tiles) * 32;
      std::vector<std::uint16_t> values(rows * 64);
      std::mt19937 random(static_cast<unsigned>(tiles));
      for (std::uint16_t &value : values)
        value = random() % 100;
      TensorMap map{.address = put(values), .rank = 2, .elementBytes = 2, .extents = {64, rows}, .strides = {128}, .box = {64, 32}, .swizzle = 128};
      DeviceAddress out = put(std::vector<float>(static_cast<std::size_t>(tiles) * 64, 0)), order = *gpu->allocate(static_cast<std::size_t>(tiles) * 4);
      launch("pipeline", {384, 1, 1}, 3 * 64 * 32 * 2, options, encode(map), out, order, tiles);
      const auto sums = get<float>(out, static_cast<std::size_t>(tiles) * 64);
      for (std::size_t tile = 0; tile < static_cast<std::size_t>(tiles); ++tile)
        for (std::size_t column = 0; column < 64; ++column) {
          float expected = 0;
          for (std::size_t row = 0; row < 32; ++row)
            expected += static_cast<float>(values[(tile * 32 + row) * 64 + column] * (row + 1));
          ASSERT_EQ(sums[tile * 64 + column], expected) << tile << ", " << column;
        }
      const auto turns = get<std::uint32_t>(order, static_cast<std::size_t>(tiles));
      for (std::size_t tile = 0; tile < turns.size(); ++tile)
        EXPECT_EQ(turns[tile], tile);
    }
}

namespace {
struct ProductCase {
  bool brain = false;
  unsigned columns = 0;
  bool aAlongM = false, bAlongN = false;
  unsigned swizzleA = 0, swizzleB = 0;
};
} // namespace

/// `bf16_128_kn_64`: see products.cu.
static ProductCase readName(const std::string &name) {
  ProductCase read;
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t end = std::min(name.find('_', at), name.size());
    parts.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  read.brain = parts[0] == "bf16";
  read.columns = static_cast<unsigned>(std::stoul(parts[1]));
  read.aAlongM = parts[2][0] == 'm', read.bAlongN = parts[2][1] == 'n';
  read.swizzleA = static_cast<unsigned>(std::stoul(parts[3]));
  read.swizzleB = parts.size() > 4 && std::isdigit(parts[4][0]) ? static_cast<unsigned>(std::stoul(parts[4])) : read.swizzleA;
  return read;
}

TEST_F(HopperKernels, ProductsByCutlassAgreeWithTheCpu) {
  load("products");
  ASSERT_TRUE(module);
  ASSERT_GE(module->entries().size(), 12u);
  const unsigned depth = 192;
  for (const EntryInfo &entry : module->entries()) {
    const ProductCase run = readName(entry.name);
    std::mt19937 random(run.columns);
    auto makeMatrix = [&](std::size_t count, std::vector<double> &exact) {
      std::vector<std::uint16_t> bits(count);
      for (std::size_t i = 0; i < count; ++i) {
        const float value = static_cast<float>(random() % 2001) / 1000 - 1;
        bits[i] = run.brain ? roundToBF16(value) : roundToF16(value);
        exact.push_back(run.brain ? widenBF16(bits[i]) : widenF16(bits[i]));
      }
      return bits;
    };
    std::vector<double> a, b;
    auto mapOf = [&](const std::vector<std::uint16_t> &bits, unsigned extent, bool along, unsigned swizzle) {
      const unsigned width = (swizzle ? swizzle : 16) / 2;
      return along ? TensorMap{.address = put(bits), .rank = 2, .elementBytes = 2, .extents = {extent, depth}, .strides = {extent * 2u}, .box = {width, 64}, .swizzle = swizzle}
                   : TensorMap{.address = put(bits), .rank = 2, .elementBytes = 2, .extents = {depth, extent}, .strides = {depth * 2u}, .box = {width, extent}, .swizzle = swizzle};
    };
    const TensorMap mapA = mapOf(makeMatrix(64 * depth, a), 64, run.aAlongM, run.swizzleA);
    const TensorMap mapB = mapOf(makeMatrix(run.columns * depth, b), run.columns, run.bAlongN, run.swizzleB);
    std::vector<float> first;
    for (const LaunchOptions &options : schedules()) {
      DeviceAddress out = *gpu->allocate(64 * run.columns * 4);
      launch(entry.name, {128, 1, 1}, (64 + run.columns) * 64 * 2, options, encode(mapA), encode(mapB), out, static_cast<std::int32_t>(depth));
      const auto result = get<float>(out, 64 * run.columns);
      if (first.empty())
        first = result;
      ASSERT_EQ(result, first) << entry.name; // whatever the schedule
      ASSERT_TRUE(gpu->free(out));
    }
    for (unsigned m = 0; m < 64; ++m)
      for (unsigned n = 0; n < run.columns; ++n) {
        double sum = 0;
        for (unsigned k = 0; k < depth; ++k)
          sum += (run.aAlongM ? a[k * 64 + m] : a[m * depth + k]) * (run.bAlongN ? b[k * run.columns + n] : b[n * depth + k]);
        ASSERT_NEAR(first[m * run.columns + n], sum, 1e-4) << entry.name << " " << m << ", " << n;
      }
  }
}

/// Where a line of `entry` synchronises: what stands there, without operands.
static std::map<std::size_t, std::string> synchronisations(const std::vector<std::string> &lines, const std::string &entry) {
  static constexpr std::string_view kRoots[] = {"mbarrier.", "bar.", "barrier.", "fence.", "wgmma.fence", "wgmma.commit", "wgmma.wait", "cp.async.bulk."};
  std::map<std::size_t, std::string> found;
  bool inside = false;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    inside = lines[i].find(".entry ") == std::string::npos ? inside : lines[i].find(".entry " + entry + "(") != std::string::npos;
    const std::size_t first = lines[i].find_first_not_of(" \t");
    if (!inside || first == std::string::npos)
      continue;
    const std::string opcode = lines[i].substr(first, lines[i].find_first_of(" ;\t", first) - first);
    for (std::string_view root : kRoots)
      if (opcode.starts_with(root) && lines[i].find(';') != std::string::npos)
        found[i] = opcode;
  }
  return found;
}

/// Removes one synchronisation after the other. `run(module, options)` is whether the launch was clean and its results right.
template <typename Run>
static std::vector<std::string> unnoticed(const std::string &text, const std::string &entry, const std::vector<LaunchOptions> &schedules, Run run) {
  std::vector<std::string> lines, missed;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  const auto places = synchronisations(lines, entry);
  EXPECT_GE(places.size(), 8u);
  for (const auto &[place, opcode] : places) {
    std::string mutated;
    for (std::size_t i = 0; i < lines.size(); ++i)
      mutated += (i == place ? "" : lines[i]) + "\n";
    auto module = PtxModule::parse(mutated, "mutated.ptx");
    EXPECT_TRUE(module) << module.status().message();
    if (module && std::all_of(schedules.begin(), schedules.end(), [&](const LaunchOptions &options) { return run(*module, options); }))
      missed.push_back(opcode);
  }
  return missed;
}

/// What is missed: the last bar.sync, which takes a turn that no one needs.
TEST_F(HopperKernels, AMissingSynchronisationShowsInThePipeline) {
  const std::int32_t tiles = 12;
  std::vector<std::uint16_t> values(12 * 32 * 64);
  std::mt19937 random(1);
  for (std::uint16_t &value : values)
    value = random() % 100;
  const TensorMap map{.address = put(values), .rank = 2, .elementBytes = 2, .extents = {64, 12 * 32}, .strides = {128}, .box = {64, 32}, .swizzle = 128};
  MapBytes encoded = encode(map);
  auto run = [&](const PtxModule &mutated, const LaunchOptions &options) {
    DeviceAddress out = put(std::vector<float>(12 * 64, 0)), order = put(std::vector<std::uint32_t>(12, 99));
    std::int32_t count = tiles;
    void *pointers[] = {&encoded, &out, &order, &count};
    LaunchReport report = gpu->launch(mutated, "pipeline", {.block = {384, 1, 1}, .dynamicSharedBytes = 3 * 64 * 32 * 2}, pointers, options);
    bool right = report.status.isOk();
    const auto sums = get<float>(out, 12 * 64);
    const auto turns = get<std::uint32_t>(order, 12);
    for (std::size_t tile = 0; tile < 12; ++tile) {
      right &= turns[tile] == tile;
      for (std::size_t column = 0; column < 64; ++column) {
        float expected = 0;
        for (std::size_t row = 0; row < 32; ++row)
          expected += static_cast<float>(values[(tile * 32 + row) * 64 + column] * (row + 1));
        right &= sums[tile * 64 + column] == expected;
      }
    }
    return right;
  };
  const std::string text = textOf("copies");
  auto unchanged = PtxModule::parse(text, "copies.ptx");
  ASSERT_TRUE(unchanged);
  for (const LaunchOptions &options : schedules())
    ASSERT_TRUE(run(*unchanged, options));
  EXPECT_EQ(unnoticed(text, "pipeline", schedules(), run),
            (std::vector<std::string>{"bar.sync"}));
}

/// Missed: the barrier after the last step, which guards a buffer that is not filled again.
TEST_F(HopperKernels, AMissingSynchronisationShowsInAProduct) {
  const unsigned depth = 192;
  const std::string name = "f16_64_kn_128_registers";
  std::vector<std::uint16_t> a(64 * depth), b(64 * depth);
  std::mt19937 random(2);
  for (std::size_t i = 0; i < a.size(); ++i)
    a[i] = roundToF16(static_cast<int>(random() % 9) - 4), b[i] = roundToF16(static_cast<int>(random() % 9) - 4);
  MapBytes mapA = encode({.address = put(a), .rank = 2, .elementBytes = 2, .extents = {depth, 64}, .strides = {depth * 2}, .box = {64, 64}, .swizzle = 128});
  MapBytes mapB = encode({.address = put(b), .rank = 2, .elementBytes = 2, .extents = {64, depth}, .strides = {128}, .box = {64, 64}, .swizzle = 128});
  std::vector<float> expected(64 * 64, 0);
  for (unsigned m = 0; m < 64; ++m)
    for (unsigned n = 0; n < 64; ++n)
      for (unsigned k = 0; k < depth; ++k)
        expected[m * 64 + n] += widenF16(a[m * depth + k]) * widenF16(b[k * 64 + n]);
  auto run = [&](const PtxModule &mutated, const LaunchOptions &options) {
    DeviceAddress out = put(std::vector<float>(64 * 64, -1));
    std::int32_t count = depth;
    void *pointers[] = {&mapA, &mapB, &out, &count};
    LaunchReport report = gpu->launch(mutated, name, {.block = {128, 1, 1}, .dynamicSharedBytes = 2 * 64 * 64 * 2}, pointers, options);
    return report.status.isOk() && get<float>(out, 64 * 64) == expected;
  };
  const std::string text = textOf("products");
  auto unchanged = PtxModule::parse(text, "products.ptx");
  ASSERT_TRUE(unchanged);
  for (const LaunchOptions &options : schedules())
    ASSERT_TRUE(run(*unchanged, options));
  EXPECT_EQ(unnoticed(text, name, schedules(), run), (std::vector<std::string>{"bar.sync"}));
}

} // namespace attn::emulator
