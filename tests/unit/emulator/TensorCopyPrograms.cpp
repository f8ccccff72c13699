// Every form of cp.async.bulk.tensor in tile mode and its groups. What boxes, clipping and swizzles do is tested with
// kernels of others (HopperKernelsTest.cpp).
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace attn::emulator::testing {

static Words source() { return lanes([](unsigned i) { return i + 1; }, 256); }

/// A tensor of 4-byte elements, 16 × 2 × 2 × 2 × 2 as far as `rank` goes, whose box of 16 elements in a row is copied.
static TensorMap mapOf(std::uint64_t buffer, unsigned rank) {
  TensorMap map{.address = buffer, .rank = rank, .elementBytes = 4, .extents = {16, 2, 2, 2, 2}, .strides = {64, 128, 256, 512}, .box = {16, 1, 1, 1, 1}};
  if (rank == 1)
    map.extents[0] = 32;
  return map;
}

static const std::string kDeclare = "  .shared .align 128 .b8 tile[128];\n  .shared .align 8 .b64 full;\n  mov.u32 %r1, tile;\n  mov.u32 %r2, full;\n"
                                    "  setp.eq.u32 %p0, %thread, 0;\n  mov.u32 %r3, 1;\n  mov.u32 %r4, 0;\n"
                                    "  createpolicy.fractional.L2::evict_first.b64 %d9, 1.0;\n";

static std::string coordinates(unsigned rank) {
  static const char *const kLists[] = {"{16}", "{0, %r3}", "{%r4, 1, 0}", "{0, 1, %r4, 0}", "{%r4, %r3, 0, 0, 0}"};
  return kLists[rank - 1];
}

/// Loads the second row of 16 elements and stores it at the same place of the output.
static void everyForm() {
  for (unsigned rank = 1; rank <= 5; ++rank)
    for (const std::string &tile : expand("{.tile|}"))
      for (const std::string &hint : expand("{.L2::cache_hint|}")) {
        const std::string policy = hint.empty() ? "" : ", %d9", at = coordinates(rank);
        std::string body = kDeclare + fmt::format(
            "  @!%p0 bra WAIT;\n  mbarrier.init.shared.b64 [%r2], 1;\n  mbarrier.arrive.expect_tx.shared.b64 _, [%r2], 64;\n"
            "  prefetch.tensormap [%map0];\n  cp.async.bulk.prefetch.tensor.{0}d.L2.global{1}{2} [%map0, {3}]{4};\n"
            "  cp.async.bulk.tensor.{0}d.shared::cluster.global{1}.mbarrier::complete_tx::bytes{2} [%r1], [%map0, {3}], [%r2]{4};\n"
            "WAIT:\n  bar.warp.sync -1;\nLOOP:\n  mbarrier.try_wait.parity.shared.b64 %p1, [%r2], 0;\n  @!%p1 bra LOOP;\n"
            "  @%p0 cp.async.bulk.tensor.{0}d.global.shared::cta{1}.bulk_group{2} [%map1, {3}], [%r1]{4};\n"
            "  cp.async.bulk.commit_group;\n  cp.async.bulk.wait_group{5} 0;\n",
            rank, tile, hint, at, policy, tile.empty() ? ".read" : "");
        Words out = run({.body = body, .inputs = {source()}, .outputs = 256, .maps = {mapOf(0, rank), mapOf(1, rank)}});
        for (unsigned i = 0; i < 256; ++i)
          ASSERT_EQ(out[i], i >= 16 && i < 32 ? i + 1 : 0) << body;
      }
}

/// wait_group n leaves the n newest groups of the lane; each lane has its own.
static void groups() {
  std::string body = kDeclare + "  mad.lo.u32 %r5, %thread, 4, %r1;\n  st.shared.u32 [%r5], %thread;\n  fence.proxy.async.shared::cta;\n  bar.warp.sync -1;\n"
                                "  @!%p0 bra END;\n";
  for (unsigned row = 0; row < 4; ++row)
    body += fmt::format("  cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%map0, {{0, {}}}], [%r1];\n  cp.async.bulk.commit_group;\n", row);
  body += "  cp.async.bulk.wait_group.read 2;\n  cp.async.bulk.wait_group 1;\n  cp.async.bulk.wait_group 0;\nEND:\n";
  TensorMap map = mapOf(0, 2);
  map.extents[1] = 4;
  Words out = run({.body = body, .outputs = 64, .maps = {map}});
  EXPECT_EQ(out, lanes([](unsigned i) { return i % 16; }, 64));
}

std::vector<ProgramCase> tensorCopyCases() { return {{"tensor_copy_forms", everyForm}, {"tensor_copy_groups", groups}}; }

} // namespace attn::emulator::testing
