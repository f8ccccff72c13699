// The mask analysis against brute force, from text to key ranges: random masks of the language at random sizes and values,
// each looked at point by point by the float64 evaluation, which shares nothing with the analysis but the parser. No
// visible key may lie outside of the ranges that a tile of rows visits, no hidden one in those that it takes as full.
//
//   random_masks_test [--masks=N] [--seed=N] [--report]
//
// `--report` prints how tight the analysis is: which share of the key blocks that could be skipped is skipped, and of those
// that need no mask goes without, by what the masks hold.
#include "MaskWriter.h"
#include "NumberOption.h"

#include "driver/Compiler.h"
#include "dsl/Evaluate.h"
#include "dsl/RandomInputs.h"
#include "support/HostTensor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace attn::test {
namespace {

struct TestOptions {
  unsigned masks = 300, seed = 1;
  bool report = false;
} options;

constexpr std::int64_t kBlockM = 16, kBlockN = 16, kHeads = 2;
constexpr std::int64_t kChannels = 8, kBitsOfChannel = 12;       ///< of `value`: a power of two for each key
constexpr std::int64_t kMaxKeys = kChannels * kBitsOfChannel;

/// Key blocks of the tiles: how many are as they are, how many of them the analysis found.
struct Tightness {
  std::int64_t masks = 0, hidden = 0, skipped = 0, visible = 0, full = 0;

  Tightness &operator+=(const Tightness &other) {
    masks += other.masks;
    hidden += other.hidden;
    skipped += other.skipped;
    visible += other.visible;
    full += other.full;
    return *this;
  }
};

/// One mask at one input: what every point shows.
struct Visibility {
  std::int64_t batch = 0, qLen = 0, kvLen = 0;
  std::vector<bool> points;                                      ///< [batch, q_len, heads, kv_len]

  bool at(std::int64_t b, std::int64_t row, std::int64_t head, std::int64_t key) const {
    return points[static_cast<std::size_t>(((b * qLen + row) * kHeads + head) * kvLen + key)];
  }
  bool any() const { return std::find(points.begin(), points.end(), true) != points.end(); }
};

class MaskRun {
public:
  explicit MaskRun(const WrittenMask &mask) : mask(mask) {}
  /// Fails the running test where the analysis is wrong.
  Tightness run(unsigned seed);

private:
  driver::CompileRequest request(const std::string &definitions) const;
  driver::CompileRequest request() const { return request("mask = " + mask.condition); }
  void look(unsigned seed);
  void classify();
  void compareTile(const driver::TileRanges &tile, std::int64_t b, std::int64_t head);
  void count(const driver::TileRanges &tile, std::int64_t b, std::int64_t head);
  std::string describe() const;

  const WrittenMask &mask;
  dsl::EvaluationInput input;
  Visibility visibility;
  Tightness tightness;
};

bool contains(const std::vector<std::pair<std::int64_t, std::int64_t>> &ranges, std::int64_t key) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const auto &range) { return range.first <= key && key < range.second; });
}

} // namespace

/// The mask's attention; `definitions` stand in the place of its mask.
driver::CompileRequest MaskRun::request(const std::string &definitions) const {
  driver::CompileRequest request;
  request.source = fmt::format("attention random{} {{\n  q_heads: {};  kv_heads: 1;  head_dim: 8\n  {}\n  {}\n}}\n",
                               mask.parameters.empty() ? "" : "(" + mask.parameters + ")", kHeads, mask.positions, definitions);
  request.fileName = "random.attn";
  request.schedule = fmt::format("block_m={},block_n={},warps=1", kBlockM, kBlockN);
  return request;
}

std::string MaskRun::describe() const {
  std::string text = request().source;
  for (const auto &[name, value] : input.extents)
    text += fmt::format("{}={} ", name, value);
  for (const auto &[name, value] : input.scalars)
    text += fmt::format("{}={} ", name, value);
  return text;
}

/// Draws sizes and values, and asks the evaluation for every point: weights of 0 and 1, values of powers of two, so that
/// the digits of `out` are the visible keys.
void MaskRun::look(unsigned seed) {
  Result<std::unique_ptr<dsl::TypedSpec>> spec = driver::analyzeSpec(request(fmt::format("dtype: f32;  probs = if {} then 1.0 else 0.0", mask.condition)));
  ASSERT_TRUE(spec) << spec.status().message();
  std::mt19937 random(seed);
  auto between = [&](int low, int high) { return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1)); };
  dsl::EvaluationInput bound;
  bound.extents = {{"batch", between(1, 2)}, {"q_len", between(1, 50)}, {"kv_len", between(1, kMaxKeys)}};
  Result<dsl::EvaluationInput> drawn = dsl::randomInput(**spec, bound, {.seed = seed, .varyScalars = true});
  ASSERT_TRUE(drawn) << drawn.status().message();
  input = std::move(*drawn);
  visibility = {input.extents["batch"], input.extents["q_len"], input.extents["kv_len"], {}};
  HostTensor value(ElementType::F32, {visibility.batch, visibility.kvLen, 1, kChannels});
  for (std::int64_t b = 0; b < visibility.batch; ++b)
    for (std::int64_t key = 0; key < visibility.kvLen; ++key)
      value.set((b * visibility.kvLen + key) * kChannels + key / kBitsOfChannel, std::exp2(key % kBitsOfChannel));
  input.tensors["value"] = value;
  Result<dsl::EvaluationOutput> output = dsl::evaluate(**spec, input, {.threads = 1});
  ASSERT_TRUE(output) << output.status().message() << "\n" << describe();
  for (std::size_t row = 0; row < output->out.size(); row += kChannels)
    for (std::int64_t key = 0; key < visibility.kvLen; ++key) {
      auto digits = static_cast<std::uint64_t>(output->out[row + static_cast<std::size_t>(key / kBitsOfChannel)]);
      visibility.points.push_back((digits >> (key % kBitsOfChannel) & 1) != 0);
    }
}

void MaskRun::compareTile(const driver::TileRanges &tile, std::int64_t b, std::int64_t head) {
  for (std::int64_t row = tile.firstRow; row <= tile.lastRow; ++row)
    for (std::int64_t key = 0; key < visibility.kvLen; ++key) {
      bool isVisible = visibility.at(b, row, head, key);
      ASSERT_TRUE(!isVisible || contains(tile.visit, key))
          << "visible and not visited: b " << b << ", h " << head << ", q_idx " << row << ", kv_idx " << key << "\n" << describe();
      ASSERT_TRUE(isVisible || !contains(tile.full, key))
          << "hidden and taken as full: b " << b << ", h " << head << ", q_idx " << row << ", kv_idx " << key << "\n" << describe();
    }
}

void MaskRun::count(const driver::TileRanges &tile, std::int64_t b, std::int64_t head) {
  for (std::int64_t begin = 0; begin < visibility.kvLen; begin += kBlockN) {
    std::int64_t end = begin + kBlockN;
    bool any = false, all = end <= visibility.kvLen;               // the end of a ragged last block is masked anyway
    for (std::int64_t row = tile.firstRow; row <= tile.lastRow; ++row)
      for (std::int64_t key = begin; key < std::min(end, visibility.kvLen); ++key)
        (visibility.at(b, row, head, key) ? any : all) = visibility.at(b, row, head, key);
    bool isVisited = std::any_of(tile.visit.begin(), tile.visit.end(),
                                 [&](const auto &range) { return range.first < std::min(end, range.second) && begin < range.second; });
    bool isFull = std::any_of(tile.full.begin(), tile.full.end(),
                              [&](const auto &range) { return range.first <= begin && end <= range.second; });
    tightness.hidden += !any;
    tightness.skipped += !any && !isVisited;
    tightness.visible += all;
    tightness.full += all && isFull;
  }
}

void MaskRun::classify() {
  std::map<std::string, double> values(input.scalars.begin(), input.scalars.end());
  for (const auto &[name, value] : input.extents)
    values[name] = static_cast<double>(value);
  Result<driver::TileClasses> classes = driver::classifyTiles(request(), values, [&](std::string_view name) {
    auto found = input.tensors.find(name);
    return found == input.tensors.end() ? nullptr : &found->second;
  });
  if (!classes && classes.status().message().find("hides every key") != std::string::npos) {
    EXPECT_FALSE(visibility.any()) << "refused, but shows a key\n" << describe();
    return;
  }
  ASSERT_TRUE(classes) << classes.status().message() << "\n" << describe();
  ASSERT_EQ(classes->schedule.blockM, kBlockM);
  for (std::int64_t b = 0; b < visibility.batch; ++b)
    for (std::int64_t head = 0; head < kHeads; ++head) {
      std::size_t index = static_cast<std::size_t>((classes->dependsOnRequest ? b : 0) * (classes->dependsOnHead ? kHeads : 1) +
                                                   (classes->dependsOnHead ? head : 0));
      for (const driver::TileRanges &tile : index == 0 ? classes->tiles : classes->others.at(index - 1)) {
        compareTile(tile, b, head);
        if (testing::Test::HasFatalFailure())
          return;
        count(tile, b, head);
      }
    }
  tightness.masks = 1;
}

Tightness MaskRun::run(unsigned seed) {
  look(seed);
  if (!testing::Test::HasFatalFailure())
    classify();
  return tightness;
}

static double share(std::int64_t part, std::int64_t whole) { return whole == 0 ? 1 : static_cast<double>(part) / static_cast<double>(whole); }

static void printReport(const std::map<std::string, Tightness> &kinds) {
  fmt::print("{:<32}{:>7}{:>30}{:>30}\n", "masks with", "masks", "hidden blocks skipped", "full blocks without a mask");
  for (const auto &[kind, found] : kinds)
    fmt::print("{:<32}{:>7}{:>15} of {:<6}{:>4.0f} %{:>15} of {:<6}{:>4.0f} %\n", kind, found.masks, found.skipped, found.hidden,
               100 * share(found.skipped, found.hidden), found.full, found.visible, 100 * share(found.full, found.visible));
}

TEST(RandomMasks, AreClassifiedSoundly) {
  std::map<std::string, Tightness> kinds;
  for (unsigned seed = options.seed; seed < options.seed + options.masks; ++seed) {
    SCOPED_TRACE(fmt::format("--seed={} --masks=1", seed));
    WrittenMask mask = MaskWriter(seed).write();
    Tightness found = MaskRun(mask).run(seed);
    for (const std::string &kind : mask.kinds)
      kinds[kind] += found;
    kinds["~ all"] += found;
    if (testing::Test::HasFailure())
      return;
  }
  if (options.report)
    printReport(kinds);
  // Far below what is reached: a change that loses tightness altogether is noticed.
  EXPECT_GT(share(kinds["~ all"].skipped, kinds["~ all"].hidden), 0.5);
  EXPECT_GT(share(kinds["~ all"].full, kinds["~ all"].visible), 0.5);
  EXPECT_GT(kinds["~ all"].masks, options.masks / 2);
}

} // namespace attn::test

int main(int argc, char **argv) {
  using attn::test::options, attn::test::readNumber;
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (argument == "--report") {
      options.report = true;
    } else if (!readNumber(argument, "--masks=", options.masks) && !readNumber(argument, "--seed=", options.seed)) {
      fmt::print(stderr, "{}: unknown option; expects --masks=N, --seed=N or --report\n", argument);
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}
