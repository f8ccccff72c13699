// PTX that no one here wrote: CUDA C++ compiled by nvcc (tests/emulator/cuda), its results compared with the CPU's. The
// committed text always runs; where nvcc is installed its fresh output runs too.
#include "runtime/emulator/Emulator.h"

#include "attn/Float.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <unistd.h>

namespace attn::emulator {

namespace {
enum class Source { Committed, Fresh };

/// Device memory of a test, typed.
template <typename T> struct Array {
  VirtualGpu *gpu;
  DeviceAddress address;
  std::size_t count;

  std::vector<T> read() const {
    std::vector<T> values(count);
    EXPECT_TRUE(gpu->copyOut(std::as_writable_bytes(std::span(values)), address));
    return values;
  }
};

class CudaKernels : public ::testing::TestWithParam<Source> {
protected:
  void SetUp() override {
    auto made = VirtualGpu::create();
    ASSERT_TRUE(made) << made.status().message();
    gpu = std::move(*made);
    if (GetParam() == Source::Fresh && !hasNvcc())
      GTEST_SKIP() << "no nvcc on this machine";
  }

  void load(const std::string &name) {
    std::string text = GetParam() == Source::Fresh ? compiled(name) : contents(directory() / (name + ".ptx"));
    auto parsed = PtxModule::parse(text, name + ".ptx");
    ASSERT_TRUE(parsed) << parsed.status().message();
    module = std::move(*parsed);
  }

  template <typename T> Array<T> array(const std::vector<T> &values) {
    DeviceAddress address = *gpu->allocate(values.size() * sizeof(T));
    EXPECT_TRUE(gpu->copyIn(address, std::as_bytes(std::span(values))));
    return {gpu.get(), address, values.size()};
  }
  /// Not written: reading it is a finding.
  template <typename T> Array<T> unwritten(std::size_t count) { return {gpu.get(), *gpu->allocate(count * sizeof(T)), count}; }

  /// Under both extremes of completion; kernels here give the same each time they run on the same data, unless `once`.
  template <typename... Ts> LaunchReport launch(const std::string &entry, Dim3 grid, Dim3 block, std::uint32_t shared, Ts... arguments) {
    LaunchReport report;
    for (AsyncCompletion completion : {AsyncCompletion::Eager, AsyncCompletion::Lazy}) {
      void *pointers[] = {pointerTo(arguments)...};
      report = gpu->launch(*module, entry, {.grid = grid, .block = block, .dynamicSharedBytes = shared}, pointers,
                           {.checks = CheckLevel::Full, .completion = completion, .threads = 2, .stepLimit = 100'000'000});
      EXPECT_TRUE(report.status) << report.status.message();
      if (runsOnce)
        break;
    }
    return report;
  }

  bool runsOnce = false;
  std::unique_ptr<VirtualGpu> gpu;
  std::optional<PtxModule> module;

private:
  template <typename T> static void *pointerTo(T &value) { return &value; }
  template <typename T> static void *pointerTo(Array<T> &array) { return &array.address; }

  static std::filesystem::path directory() { return std::filesystem::path(ATTN_SOURCE_DIR) / "tests/emulator/cuda"; }
  static std::string contents(const std::filesystem::path &path) {
    std::ifstream file(path);
    EXPECT_TRUE(file) << path;
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  static std::string nvcc() { return std::filesystem::exists("/usr/local/cuda/bin/nvcc") ? "/usr/local/cuda/bin/nvcc" : "nvcc"; }
  static bool hasNvcc() {
    static const bool found = std::system((nvcc() + " --version > /dev/null 2>&1").c_str()) == 0;
    return found;
  }
  static std::string compiled(const std::string &name) {
    std::filesystem::path target = std::filesystem::path(::testing::TempDir()) / fmt::format("{}_{}.ptx", name, getpid());
    std::string command = fmt::format("{} -ptx -arch=compute_80 -O3 -o {} {} 2> /dev/null", nvcc(), target.string(), (directory() / (name + ".cu")).string());
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    std::string text = contents(target);
    std::filesystem::remove(target);
    return text;
  }
};
} // namespace

template <typename T> static std::vector<T> randomValues(std::size_t count, unsigned seed, double scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, scale);
  std::vector<T> values(count);
  for (T &value : values)
    value = static_cast<T>(normal(random));
  return values;
}

TEST_P(CudaKernels, Reductions) {
  load("reduce");
  if (HasFatalFailure())
    return;
  auto values = randomValues<float>(5000, 1);
  auto input = array(values);
  auto partial = unwritten<float>(7);
  launch("sumTree", {7, 1, 1}, {256, 1, 1}, 0, input, partial, 5000);
  auto parts = partial.read();
  double exact = std::accumulate(values.begin(), values.end(), 0.0);
  EXPECT_NEAR(std::accumulate(parts.begin(), parts.end(), 0.0), exact, 1e-3);

  auto doubles = randomValues<double>(1000, 2);
  auto inputDoubles = array(doubles);
  auto sum = unwritten<double>(1);
  launch("sumShuffle", {}, {128, 1, 1}, 0, inputDoubles, sum, 1000);
  EXPECT_NEAR(sum.read()[0], std::accumulate(doubles.begin(), doubles.end(), 0.0), 1e-10);

  struct Best {
    float value;
    int index;
  };
  auto best = unwritten<Best>(1);
  launch("argMax", {}, {32, 1, 1}, 0, input, best, 5000);
  auto largest = std::max_element(values.begin(), values.end());
  EXPECT_EQ(best.read()[0].value, *largest);
  EXPECT_EQ(best.read()[0].index, largest - values.begin());
}

TEST_P(CudaKernels, ScansAndVotes) {
  load("reduce");
  if (HasFatalFailure())
    return;
  std::vector<int> numbers(200), sums(200);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<int>(i * i % 37) - 11;
  std::partial_sum(numbers.begin(), numbers.end(), sums.begin());
  auto input = array(numbers);
  auto output = unwritten<int>(200);
  launch("scan", {}, {256, 1, 1}, 0, input, output, 200);
  EXPECT_EQ(output.read(), sums);

  std::vector<unsigned> bits(128);
  for (std::size_t i = 0; i < bits.size(); ++i)
    bits[i] = static_cast<unsigned>(i < 64 ? (i * 2654435761u) | 4 : i * 40503 * 8);
  auto votes = unwritten<unsigned>(128 * 6);
  auto inputBits = array(bits);
  launch("votes", {2, 1, 1}, {64, 1, 1}, 0, inputBits, votes);
  auto rows = votes.read();
  for (unsigned i = 0; i < 128; ++i) {
    unsigned block = i / 64 * 64, warp = i / 32 * 32, count = 0, any = 0, all = 1, least = ~0u, ballot = 0, same = 0;
    for (unsigned j = block; j < block + 64; ++j)
      count += bits[j] & 1, any |= (bits[j] & 2) != 0, all &= (bits[j] & 4) != 0;
    for (unsigned j = warp; j < warp + 32; ++j)
      least = std::min(least, bits[j]), ballot |= (bits[j] & 1) << (j - warp), same |= unsigned((bits[j] & 7) == (bits[i] & 7)) << (j - warp);
    EXPECT_EQ(std::vector<unsigned>(rows.begin() + 6 * i, rows.begin() + 6 * i + 6), (std::vector<unsigned>{count, any, all, least, ballot, same})) << i;
  }
}

TEST_P(CudaKernels, Transposes) {
  load("transpose");
  if (HasFatalFailure())
    return;
  auto check = [&]<typename T>(const char *entry, T) {
    constexpr int kRows = 70, kColumns = 45;
    std::vector<T> values(kRows * kColumns);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<T>(i * 7 + 3);
    auto input = array(values);
    auto output = unwritten<T>(values.size());
    launch(entry, {2, 3, 1}, {32, 8, 1}, 0, input, output, kRows, kColumns);
    auto result = output.read();
    for (int row = 0; row < kRows; ++row)
      for (int column = 0; column < kColumns; ++column)
        ASSERT_EQ(result[column * kRows + row], values[row * kColumns + column]) << entry;
  };
  check("transpose8", std::uint8_t());
  check("transpose16", std::uint16_t());
  check("transpose32", float());
  check("transpose64", double());
  std::vector<std::uint16_t> halves(256);
  std::iota(halves.begin(), halves.end(), std::uint16_t(0));
  auto input = array(halves);
  auto output = unwritten<std::uint16_t>(256);
  launch("transposeMatrices", {}, {32, 1, 1}, 0, input, output);
  auto result = output.read();
  for (unsigned i = 0; i < 256; ++i)
    ASSERT_EQ(result[i % 16 * 16 + i / 16], i);
}

TEST_P(CudaKernels, TensorCoreProducts) {
  load("matmul");
  if (HasFatalFailure())
    return;
  constexpr int kM = 64, kN = 96, kK = 160;
  auto compare = [&](const auto &a, const auto &b, const auto &c, auto decode, double tolerance) {
    for (int row = 0; row < kM; ++row)
      for (int column = 0; column < kN; ++column) {
        double exact = 0;
        for (int k = 0; k < kK; ++k)
          exact += decode(a[row * kK + k]) * decode(b[column * kK + k]);
        ASSERT_NEAR(c[row * kN + column], exact, tolerance) << row << ", " << column;
      }
  };
  auto a = randomValues<float>(kM * kK, 3), b = randomValues<float>(kN * kK, 4);
  std::vector<std::uint16_t> halvesA, halvesB;
  for (float value : a)
    halvesA.push_back(roundToF16(value));
  for (float value : b)
    halvesB.push_back(roundToF16(value));
  auto inputA = array(halvesA), inputB = array(halvesB);
  auto output = unwritten<float>(kM * kN);
  launch("matmulHalf", {kN / 32, kM / 32, 1}, {128, 1, 1}, 0, inputA, inputB, output, kN, kK);
  compare(halvesA, halvesB, output.read(), [](std::uint16_t bits) { return double(widenF16(bits)); }, 1e-4);

  auto singlesA = array(a), singlesB = array(b);
  auto outputSingles = unwritten<float>(kM * kN);
  launch("matmulTf32", {kN / 8, kM / 16, 1}, {32, 1, 1}, 0, singlesA, singlesB, outputSingles, kN, kK);
  compare(a, b, outputSingles.read(), [](float value) { return double(value); }, 0.05); // 2^-11 of 160 products

  std::vector<std::int8_t> bytesA, bytesB;
  for (float value : a)
    bytesA.push_back(static_cast<std::int8_t>(value * 40));
  for (float value : b)
    bytesB.push_back(static_cast<std::int8_t>(value * 40));
  auto inputBytesA = array(bytesA), inputBytesB = array(bytesB);
  auto outputBytes = unwritten<int>(kM * kN);
  launch("matmulBytes", {kN / 8, kM / 16, 1}, {32, 1, 1}, 0, inputBytesA, inputBytesB, outputBytes, kN, kK);
  compare(bytesA, bytesB, outputBytes.read(), [](std::int8_t value) { return double(value); }, 0);
}

TEST_P(CudaKernels, Atomics) {
  load("atomics");
  if (HasFatalFailure())
    return;
  runsOnce = true; // these add to what is there
  std::vector<std::uint8_t> bytes(3000);
  std::vector<unsigned> expected(256, 0);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    ++expected[bytes[i] = static_cast<std::uint8_t>(i * i >> 3)];
  auto input = array(bytes);
  auto bins = array(std::vector<unsigned>(256, 0));
  launch("histogram", {5, 1, 1}, {96, 1, 1}, 0, input, bins, 3000);
  EXPECT_EQ(bins.read(), expected);

  std::vector<int> numbers(500), wanted;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] = static_cast<int>(i * 7919 % 1000); numbers[i] > 600)
      wanted.push_back(numbers[i]);
  auto inputNumbers = array(numbers), list = array(std::vector<int>(500, -1));
  auto length = array(std::vector<unsigned>{0});
  launch("append", {4, 1, 1}, {128, 1, 1}, 0, inputNumbers, list, length, 500, 600);
  auto found = list.read();
  ASSERT_EQ(length.read()[0], wanted.size());
  found.resize(wanted.size());
  std::sort(found.begin(), found.end());
  std::sort(wanted.begin(), wanted.end());
  EXPECT_EQ(found, wanted);

  auto values = randomValues<float>(333, 5);
  auto inputValues = array(values);
  auto results = array(std::vector<int>{-2000000000, 2000000000, 0});
  launch("extremes", {4, 1, 1}, {96, 1, 1}, 0, inputValues, results, 333);
  std::vector<int> extremes = {-2000000000, 2000000000, 0};
  for (float value : values) {
    int scaled = static_cast<int>(std::floor(value * 1000.0f));
    extremes = {std::max(extremes[0], scaled), std::min(extremes[1], scaled), extremes[2] ^ scaled};
  }
  EXPECT_EQ(results.read(), extremes);
}

/// Blocks that wait for each other: a lock, and the last block that adds what the others left.
TEST_P(CudaKernels, BlocksThatWait) {
  load("atomics");
  if (HasFatalFailure())
    return;
  runsOnce = true;
  auto lock = array(std::vector<int>{0});
  auto total = array(std::vector<double>{0});
  launch("locked", {40, 1, 1}, {32, 1, 1}, 0, lock, total);
  double expected = 0;
  for (int i = 0; i < 40; ++i)
    expected = expected * 0.5 + 1;
  EXPECT_EQ(total.read()[0], expected);

  auto values = randomValues<float>(20 * 128, 6);
  auto input = array(values);
  auto partial = unwritten<float>(20), result = unwritten<float>(1);
  auto done = array(std::vector<unsigned>{0});
  launch("sumByLastBlock", {20, 1, 1}, {32, 1, 1}, 0, input, partial, done, result);
  EXPECT_NEAR(result.read()[0], std::accumulate(values.begin(), values.end(), 0.0), 1e-3);
}

TEST_P(CudaKernels, LibraryFunctions) {
  load("functions");
  if (HasFatalFailure())
    return;
  auto values = randomValues<float>(200, 7, 2.0);
  values[0] = 0, values[1] = -0.0f, values[2] = 1e-3f, values[3] = 30, values[4] = -20;
  auto input = array(values);
  auto output = unwritten<float>(200 * 12);
  launch("mathFunctions", {2, 1, 1}, {128, 1, 1}, 0, input, output, 200);
  auto results = output.read();
  for (int i = 0; i < 200; ++i) {
    double x = values[i], exact[] = {std::exp(x), std::log(double(std::abs(values[i]) + 0.5f)), std::sin(x), std::cos(double(3.0f * values[i])), std::tanh(x),
                                     std::erf(x), std::pow(std::abs(x), double(1.3f)), x / 3, std::sqrt(std::abs(x)), std::fmod(x, double(0.7f)), std::cbrt(x),
                                     std::lgamma(double(std::abs(values[i]) + 1.0f))};
    for (int j = 0; j < 12; ++j)
      EXPECT_NEAR(results[12 * i + j], exact[j], 4e-6 * std::max(1.0, std::abs(exact[j]))) << "function " << j << " of " << x;
  }
}

TEST_P(CudaKernels, WideIntegers) {
  load("functions");
  if (HasFatalFailure())
    return;
  std::vector<std::int64_t> values = {7, 3, -7, 3, 1, 0, INT64_MAX, -1, INT64_MIN, 2, 123456789012345, 1000003, -5, INT64_MIN, 0, 5, 1LL << 40, 1LL << 33, -1, 255};
  int count = static_cast<int>(values.size() / 2);
  auto input = array(values);
  auto output = unwritten<std::int64_t>(values.size() * 4);
  launch("integerFunctions", {}, {32, 1, 1}, 0, input, output, count);
  auto results = output.read();
  for (int i = 0; i < count; ++i) {
    std::int64_t a = values[2 * i], b = values[2 * i + 1], reversed = 0;
    for (int bit = 0; bit < 64; ++bit)
      reversed |= static_cast<std::int64_t>(static_cast<std::uint64_t>(a) >> bit & 1) << (63 - bit);
    auto product = static_cast<unsigned __int128>(static_cast<std::uint64_t>(a)) * static_cast<std::uint64_t>(b) + static_cast<std::uint64_t>(a);
    int leading = b == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(b));
    std::vector<std::int64_t> expected = {b ? a / b : 0, b ? a % b : 0, static_cast<std::int64_t>(static_cast<__int128>(a) * b >> 64),
                                          __builtin_popcountll(static_cast<unsigned long long>(a)) + leading + __builtin_ffsll(a),
                                          static_cast<std::int64_t>(product >> 61), reversed,
                                          a == INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(static_cast<double>(a)),
                                          static_cast<int>(a) / 7 + static_cast<int>(b) % 13};
    EXPECT_EQ(std::vector<std::int64_t>(results.begin() + 8 * i, results.begin() + 8 * i + 8), expected) << a << ", " << b;
  }
}

TEST_P(CudaKernels, ControlAndLocalMemory) {
  load("functions");
  if (HasFatalFailure())
    return;
  auto terms = randomValues<float>(16, 8);
  auto input = array(terms);
  auto output = unwritten<float>(32);
  launch("localArrays", {}, {32, 1, 1}, 0, input, output, 11);
  auto results = output.read();
  for (int thread = 0; thread < 32; ++thread) {
    double placed[16] = {}, value = 0;
    for (int i = 0; i < 11; ++i)
      placed[i * 7 % 16] = terms[i];
    for (int i = 16; i-- > 0;)
      value = value * (thread / 32.0) + placed[i];
    EXPECT_NEAR(results[thread], value, 1e-5);
  }
  std::vector<int> choices(32), expected(32);
  for (int i = 0; i < 32; ++i) {
    int value = choices[i] = i % 9 - 1;
    expected[i] = value == 0 ? 11 : value == 1 ? 3 : value == 2 || value == 3 ? 100 + value : value == 4 ? 128 : value == 5 ? ~5 : value == 6 ? i : 0;
  }
  auto inputChoices = array(choices);
  auto outputChoices = unwritten<int>(32);
  launch("switches", {}, {32, 1, 1}, 0, inputChoices, outputChoices);
  EXPECT_EQ(outputChoices.read(), expected);
  LaunchReport report = launch("prints", {}, {32, 1, 1}, 0, 5);
  EXPECT_EQ(report.output, "thread 3 of 32: has 2.500 5497558138880%\n");
  auto quads = randomValues<float>(256, 9);
  auto inputQuads = array(quads);
  auto pairs = unwritten<float>(128);
  launch("vectors", {}, {32, 1, 1}, 0, inputQuads, pairs);
  auto read = pairs.read();
  for (int i = 0; i < 32; ++i) {
    const float *a = &quads[4 * i], *b = &quads[128 + 4 * i];
    EXPECT_EQ((std::vector<float>{read[4 * i], read[4 * i + 1], read[4 * i + 2], read[4 * i + 3]}),
              (std::vector<float>{a[0] + b[3], a[1] * b[2], std::max(a[2], b[1]), std::min(a[3], b[0])}));
  }
}

TEST_P(CudaKernels, Attention) {
  load("attention");
  if (HasFatalFailure())
    return;
  constexpr int kLength = 128, kHeads = 2, kDim = 128;
  std::vector<std::uint16_t> tensors[3];
  std::vector<double> exact[3];
  for (unsigned i = 0; i < 3; ++i)
    for (double value : randomValues<double>(kHeads * kLength * kDim, 10 + i)) {
      tensors[i].push_back(roundToBF16(value));
      exact[i].push_back(widenBF16(tensors[i].back()));
    }
  auto query = array(tensors[0]), key = array(tensors[1]), value = array(tensors[2]);
  auto output = unwritten<float>(kHeads * kLength * kDim);
  float scaleLog2 = static_cast<float>(1.4426950408889634 / std::sqrt(double(kDim)));
  launch("attention", {kLength / 64, kHeads, 1}, {128, 1, 1}, 3 * 64 * 136 * 2, query, key, value, output, kLength, scaleLog2);
  auto results = output.read();
  for (int head = 0; head < kHeads; ++head)
    for (int row = 0; row < kLength; row += 13) {
      const double *q = &exact[0][(head * kLength + row) * kDim];
      std::vector<double> probs(kLength), sums(kDim, 0.0);
      double total = 0;
      for (int j = 0; j < kLength; ++j) {
        double score = std::inner_product(q, q + kDim, &exact[1][(head * kLength + j) * kDim], 0.0) / std::sqrt(double(kDim));
        total += probs[j] = std::exp(score);
      }
      for (int j = 0; j < kLength; ++j)
        for (int d = 0; d < kDim; ++d)
          sums[d] += probs[j] / total * exact[2][(head * kLength + j) * kDim + d];
      for (int d = 0; d < kDim; ++d)
        EXPECT_NEAR(results[(head * kLength + row) * kDim + d], sums[d], 4e-3);
    }
}

INSTANTIATE_TEST_SUITE_P(Ptx, CudaKernels, ::testing::Values(Source::Committed, Source::Fresh),
                         [](const auto &info) { return info.param == Source::Committed ? "committed" : "fresh"; });

} // namespace attn::emulator
