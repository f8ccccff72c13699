// Into how many shares keys are split, and which kernel of a plan runs; and that the manifest keeps what decides it.
#include "runtime/core/SplitChoice.h"

#include <gtest/gtest.h>

namespace attn {

using runtime::chooseSplit;
using runtime::chooseSplits;
using runtime::WorkSize;

static WorkSize work(std::int64_t tiles, std::int64_t keyBlocks, std::int64_t places = 132) {
  return {.tiles = tiles, .keyBlocks = keyBlocks, .places = places, .rows = 64, .keys = 128};
}

TEST(SplitChoice, DoesNotSplitWhereTilesFillTheDevice) {
  EXPECT_EQ(chooseSplits(work(106, 64)), 1);
  EXPECT_EQ(chooseSplits(work(132, 64)), 1);
  EXPECT_EQ(chooseSplits(work(5000, 64)), 1);
}

TEST(SplitChoice, DoesNotSplitFewBlocksOfKeys) {
  EXPECT_EQ(chooseSplits(work(8, 4)), 1);
  EXPECT_GT(chooseSplits(work(8, 5)), 1);
}

TEST(SplitChoice, DoesNotSplitNothing) {
  EXPECT_EQ(chooseSplits(work(0, 64)), 1);
  EXPECT_EQ(chooseSplits(work(8, 0)), 1);
}

TEST(SplitChoice, FillsOneWaveWithTheFewestShares) {
  EXPECT_EQ(chooseSplits(work(8, 1024)), 14);   // 112 of 132 places, within 0.85 of 16 shares' 128
  EXPECT_EQ(chooseSplits(work(1, 1024)), 114);  // of 9 blocks each; of 128 places, the most shares there are
  EXPECT_EQ(chooseSplits(work(64, 1024)), 2);
}

TEST(SplitChoice, MakesNoShareThatSavesNoBlock) {
  // 6 to 8 shares of 9 blocks are of two blocks as 5 are, though they fill more places.
  EXPECT_EQ(chooseSplits(work(20, 9)), 5);
}

TEST(SplitChoice, NeverMakesMoreSharesThanBlocksOrTheLimit) {
  for (std::int64_t tiles : {1, 2, 3, 7, 40, 100})
    for (std::int64_t blocks : {1, 5, 17, 200, 5000})
      for (std::int64_t places : {1, 3, 108, 132, 1000}) {
        std::int64_t splits = chooseSplits(work(tiles, blocks, places));
        EXPECT_GE(splits, 1);
        EXPECT_LE(splits, std::max<std::int64_t>(blocks, 1));
        EXPECT_LE(splits, runtime::kMostSplits);
      }
}

TEST(SplitChoice, TimeCountsWavesOfShares) {
  WorkSize size = work(8, 64);
  EXPECT_EQ(size.waves(1), 1);
  EXPECT_EQ(size.waves(16), 1);
  EXPECT_EQ(size.waves(17), 2);
  EXPECT_EQ(size.time(16), (4.0 + 1) * 128 * 64);
}

TEST(SplitChoice, SumsOfManyBytesMakeFewerShares) {
  // Latent attention of 128 heads in two tiles: 64 rows of 512 sums are the bytes of 3.6 blocks of 32 keys of 576 channels, and a block of
  // the merge reads a quarter of that from each share.
  WorkSize latent = work(2, 1024);
  EXPECT_EQ(chooseSplits(latent), 54);
  latent.sums = 131072.0 / 36864;
  EXPECT_NEAR(latent.merge(20), 131072.0 / 36864 * (1 + 20 / 4.0), 1e-9);
  EXPECT_EQ(latent.merge(1), 0);
  std::int64_t splits = chooseSplits(latent);
  EXPECT_EQ(splits, 19);
  for (std::int64_t other = 1; other <= 66; ++other)
    EXPECT_LE(0.85 * latent.time(splits), latent.time(other)) << other;
}

TEST(SplitChoice, MergesThatFillTheDeviceTakeTurns) {
  WorkSize many = work(100, 1024);
  many.sums = 1;
  EXPECT_NEAR(many.merge(2), 2 + 2 / 4.0 * (400 / 132.0), 1e-9); // two waves write; 400 blocks merge on 132 places
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

static SizeExpr size(std::string_view text) { return *SizeExpr::parse(text); }

/// Eight heads of keys with eight heads of queries each.
static PlanManifest splitPlan() {
  PlanManifest plan;
  plan.name = "decode";
  plan.target = "sm_90a";
  plan.keys = size("kv_len");
  KernelManifest whole{"decode", {size("ceildiv(q_len, 128) * 64 * batch"), size("1"), size("1")}, 384, 1024, {}, 1};
  whole.use = KernelUse::Whole;
  whole.work = TileWork{128, 128, size("ceildiv(q_len, 128) * 64 * batch"), 1};
  KernelManifest few{"decode_few_rows", {size("ceildiv(q_len, 8) * splits * 8 * batch"), size("1"), size("1")}, 256, 1024, {}, 1};
  few.use = KernelUse::FewRows;
  few.work = TileWork{64, 128, size("ceildiv(q_len, 8) * 8 * batch"), 1};
  KernelManifest merge{"decode_merge", {size("1"), size("1"), size("1")}, 32, 1024, {}};
  merge.use = KernelUse::Merge;
  plan.kernels = {whole, few, merge};
  return plan;
}

static runtime::SplitChoice choice(std::int64_t batch, std::int64_t queries, std::int64_t keys, std::uint32_t asked = 0) {
  auto extents = [&](std::string_view name) -> std::optional<std::int64_t> {
    return name == "batch" ? batch : name == "q_len" ? queries : name == "kv_len" ? std::optional(keys) : std::nullopt;
  };
  auto chosen = chooseSplit(splitPlan(), extents, 132, asked);
  EXPECT_TRUE(chosen);
  return chosen.value_or(runtime::SplitChoice());
}

TEST(SplitChoice, OneQueryOfOneRequestIsSplit) {
  runtime::SplitChoice one = choice(1, 1, 32768);
  EXPECT_TRUE(one.isForFewRows);
  EXPECT_EQ(one.splits, 14);
  EXPECT_EQ(one.fewRows.tiles, 8);
}

TEST(SplitChoice, OneQueryOfManyRequestsIsNotSplitButSharesTiles) {
  runtime::SplitChoice one = choice(64, 1, 32768);
  EXPECT_TRUE(one.isForFewRows);
  EXPECT_EQ(one.splits, 1);
}

TEST(SplitChoice, ManyQueriesTakeTheKernelForAll) {
  EXPECT_FALSE(choice(1, 4096, 4096).isForFewRows);
  EXPECT_FALSE(choice(16, 512, 512).isForFewRows);
  EXPECT_EQ(choice(1, 4096, 4096).splits, 1);
}

TEST(SplitChoice, WhatTheCallerAsksForIsDone) {
  for (std::uint32_t asked : {1u, 2u, 1000u}) {
    EXPECT_TRUE(choice(1, 4096, 4096, asked).isForFewRows);
    EXPECT_EQ(choice(1, 4096, 4096, asked).splits, asked);
  }
}

//===----------------------------------------------------------------------===//
// What the mask lets tiles see
//===----------------------------------------------------------------------===//

/// The plan above with a window whose width is given at launch.
static PlanManifest windowedPlan() {
  PlanManifest plan = splitPlan();
  plan.scalars = {{.name = "width", .type = ElementType::I32, .defaultValue = {}, .range = {}}};
  plan.kernels[0].work->visible = size("min(kv_len, width + 127)");
  plan.kernels[1].work->visible = size("min(kv_len, width + 7)");
  plan.kernels[1].work->blockBytes = 65536;
  plan.kernels[1].work->sumBytes = 32768;
  return plan;
}

static runtime::SplitChoice choiceInWindow(std::int64_t batch, std::int64_t queries, std::int64_t keys, std::optional<std::int64_t> width) {
  auto numbers = [&](std::string_view name) -> std::optional<std::int64_t> {
    return name == "batch" ? batch : name == "q_len" ? queries : name == "kv_len" ? keys : name == "width" ? width : std::nullopt;
  };
  auto chosen = chooseSplit(windowedPlan(), numbers, 132, 0);
  EXPECT_TRUE(chosen);
  return chosen.value_or(runtime::SplitChoice());
}

TEST(SplitChoice, BlocksThatTheMaskHidesDoNotCount) {
  EXPECT_EQ(choiceInWindow(1, 1, 32768, 1024).fewRows.keyBlocks, 10);   // 1031 keys that begin anywhere in a block of 128
  EXPECT_EQ(choiceInWindow(1, 1, 32768, 1024).splits, 5);
  EXPECT_EQ(choiceInWindow(1, 1, 32768, 32768).fewRows.keyBlocks, 256); // all
  EXPECT_EQ(choiceInWindow(1, 1, 32768, 32768).splits, 14);
}

TEST(SplitChoice, AShortWindowIsNotSplit) { EXPECT_EQ(choiceInWindow(1, 1, 1 << 20, 256).splits, 1); }

TEST(SplitChoice, AWindowThatHidesAllHasABlock) {
  EXPECT_EQ(choiceInWindow(1, 1, 32768, -100).fewRows.keyBlocks, 1);
  EXPECT_EQ(choiceInWindow(1, 1, 32768, -100).splits, 1);
}

TEST(SplitChoice, ABoundWithoutAValueBoundsNothing) { EXPECT_EQ(choiceInWindow(1, 1, 32768, std::nullopt).fewRows.keyBlocks, 256); }

TEST(SplitChoice, WithoutASizeThereIsNone) {
  EXPECT_FALSE(chooseSplit(splitPlan(), [](std::string_view) { return std::nullopt; }, 132, 0));
}

//===----------------------------------------------------------------------===//
// In the manifest
//===----------------------------------------------------------------------===//

TEST(SplitManifest, RoundTrips) {
  const std::string json = toJson(splitPlan());
  std::string error;
  auto plan = parseManifest(json, &error);
  ASSERT_TRUE(plan) << error;
  EXPECT_EQ(toJson(*plan), json);
  EXPECT_EQ(plan->keys, size("kv_len"));
  ASSERT_NE(plan->kernel(KernelUse::FewRows), nullptr);
  EXPECT_EQ(plan->kernel(KernelUse::FewRows)->name, "decode_few_rows");
  EXPECT_EQ(plan->kernel(KernelUse::FewRows)->work->tiles, size("ceildiv(q_len, 8) * 8 * batch"));
  EXPECT_EQ(plan->kernel(KernelUse::Always), nullptr);
}

TEST(SplitManifest, KeepsWhatTheMaskLetsTilesSee) {
  const std::string json = toJson(windowedPlan());
  std::string error;
  auto plan = parseManifest(json, &error);
  ASSERT_TRUE(plan) << error;
  EXPECT_EQ(toJson(*plan), json);
  EXPECT_EQ(plan->kernels[1].work->visible, size("min(kv_len, width + 7)"));
  EXPECT_EQ(plan->kernels[1].work->blockBytes, 65536U);
  EXPECT_EQ(plan->kernels[1].work->sumBytes, 32768U);
}

TEST(SplitManifest, KernelsMayPrepareForTheOneForAllRowsAndForTheOneForFew) {
  PlanManifest given = splitPlan();
  KernelManifest states{"decode_states", {size("1"), size("1"), size("1")}, 32, 1024, {}}, carries = states;
  states.use = KernelUse::Whole;
  carries.name = "decode_carries";
  carries.use = KernelUse::Ahead;
  given.kernels.insert(given.kernels.begin(), states);
  given.kernels.insert(given.kernels.begin() + 2, carries);
  std::string error;
  auto plan = parseManifest(toJson(given), &error);
  ASSERT_TRUE(plan) << error;
  EXPECT_EQ(plan->kernel(KernelUse::Whole)->name, "decode"); // the one that attends
  EXPECT_EQ(plan->kernel(KernelUse::Ahead)->name, "decode_carries");
}

static std::string errorOf(const PlanManifest &plan) {
  std::string error;
  EXPECT_FALSE(parseManifest(toJson(plan), &error));
  return error;
}

TEST(SplitManifest, RefusesPlansWithoutAKernelOfEachUse) {
  PlanManifest plan = splitPlan();
  plan.kernels.pop_back();
  EXPECT_EQ(errorOf(plan), "manifest: /kernels: expects one of use `merge`, but got 0");
  plan = splitPlan();
  plan.kernels.push_back(plan.kernels[1]);
  EXPECT_EQ(errorOf(plan), "manifest: /kernels: expects one of use `few_rows`, but got 2");
  plan = splitPlan();
  plan.keys.reset();
  EXPECT_EQ(errorOf(plan), "manifest: /kernels: expects none, without `keys`, of use `whole`, but got 1");
  plan = splitPlan();
  plan.kernels.push_back(plan.kernels[2]);
  plan.kernels.back().use = KernelUse::Ahead;
  plan.kernels.push_back(plan.kernels.back());
  EXPECT_EQ(errorOf(plan), "manifest: /kernels: expects at most one of use `ahead`, but got 2");
}

TEST(SplitManifest, RefusesKernelsThatDoNotSayHowTheyCut) {
  PlanManifest plan = splitPlan();
  plan.kernels[1].work.reset();
  EXPECT_EQ(errorOf(plan), "manifest: /kernels/1/work: stands with the kernels for all and for few rows");
  plan = splitPlan();
  plan.kernels[0].work->keys = 0;
  EXPECT_EQ(errorOf(plan), "manifest: /kernels/0/work: a tile has rows and keys, and a multiprocessor a block");
}

} // namespace attn
