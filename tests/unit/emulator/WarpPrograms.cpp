// Operations between the lanes of a warp (PTX ISA 9.7.9.5, 9.7.9.6, 9.7.13.8 to 9.7.13.10, 9.7.14.5.17).
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <random>

namespace attn::emulator::testing {

static Words randomWords(unsigned count, unsigned seed) {
  std::mt19937 random(seed);
  return lanes([&](unsigned) { return random(); }, count);
}

static const std::string kLoad = "  mad.wide.u32 %d0, %thread, 4, %in0;\n  ld.u32 %r0, [%d0];\n";

/// The pseudocode of shfl (9.7.9.6), for a full member mask.
static std::pair<unsigned, bool> shuffled(const std::string &mode, unsigned lane, unsigned b, unsigned c) {
  unsigned value = b & 31, clamp = c & 31, segment = c >> 8 & 31;
  int maxLane = static_cast<int>((lane & segment) | (clamp & ~segment)), minLane = static_cast<int>(lane & segment), j = 0;
  bool inRange = false;
  if (mode == "up")
    j = static_cast<int>(lane) - static_cast<int>(value), inRange = j >= maxLane;
  else if (mode == "down")
    j = static_cast<int>(lane + value), inRange = j <= maxLane;
  else if (mode == "bfly")
    j = static_cast<int>(lane ^ value), inRange = j <= maxLane;
  else
    j = minLane | static_cast<int>(value & ~segment & 31), inRange = j <= maxLane;
  return {inRange ? static_cast<unsigned>(j) : lane, inRange};
}

static void shuffles() {
  Words input = randomWords(32, 1);
  for (const char *mode : {"up", "down", "bfly", "idx"})
    for (unsigned b : {0u, 1u, 2u, 5u, 8u, 16u, 31u, 33u})
      for (unsigned c : {0u, 31u, 15u, 0x181Fu, 0x1800u, 0x1F00u, 0x100Fu}) {
        Words out = run({.body = kLoad + fmt::format("  shfl.sync.{}.b32 %r1|%p0, %r0, {}, {}, -1;\n  selp.u32 %r2, 1, 0, %p0;\n"
                                                     "  st.v2.u32 [%mine8], {{%r1, %r2}};\n",
                                                     mode, b, c),
                         .inputs = {input},
                         .outputs = 64});
        for (unsigned lane = 0; lane < 32; ++lane) {
          auto [from, inRange] = shuffled(mode, lane, b, c);
          ASSERT_EQ(out[2 * lane], input[from]) << mode << " " << b << " " << c << " lane " << lane;
          ASSERT_EQ(out[2 * lane + 1], inRange ? 1u : 0u) << mode << " " << b << " " << c << " lane " << lane;
        }
      }
}

/// A source lane that differs by lane, a mask of half the warp, and two branches that shuffle apart.
static void shufflesOfHalves() {
  Words input = randomWords(32, 2);
  Words out = run({.body = kLoad + "  xor.b32 %r1, %thread, 9;\n  shfl.sync.idx.b32 %r2, %r0, %r1, 31, 0xFFFFFFFF;\n  st.u32 [%mine], %r2;\n",
                   .inputs = {input}});
  EXPECT_EQ(out, lanes([&](unsigned lane) { return input[lane ^ 9]; }));
  out = run({.body = kLoad + "  setp.lt.u32 %p0, %thread, 16;\n  @%p0 bra LOW;\n  shfl.sync.bfly.b32 %r2, %r0, 4, 31, 0xFFFF0000;\n"
                             "  bra DONE;\nLOW:\n  shfl.sync.bfly.b32 %r2, %r0, 8, 31, 0x0000FFFF;\nDONE:\n  st.u32 [%mine], %r2;\n",
             .inputs = {input}});
  EXPECT_EQ(out, lanes([&](unsigned lane) { return input[lane ^ (lane < 16 ? 8 : 4)]; }));
}

static void votes() {
  for (std::uint32_t held : {0u, 0xFFFFFFFFu, 1u, 0x80000000u, 0x12345678u})
    for (std::uint32_t members : {0xFFFFFFFFu, 0x0000FFFFu}) {
      std::uint32_t present = held & members;
      for (bool negated : {false, true}) {
        std::uint32_t truth = negated ? ~held & members : present;
        std::string p = negated ? "!%p0" : "%p0";
        Words out = run({.body = fmt::format("  ld.u32 %r0, [%in0];\n  shr.u32 %r0, %r0, %thread;\n  and.b32 %r0, %r0, 1;\n"
                                             "  setp.ne.u32 %p0, %r0, 0;\n  shr.u32 %r1, {0:#x}, %thread;\n  and.b32 %r1, %r1, 1;\n"
                                             "  setp.eq.u32 %p5, %r1, 0;\n  @%p5 exit;\n"
                                             "  vote.sync.all.pred %p1, {1}, {0:#x};\n  vote.sync.any.pred %p2, {1}, {0:#x};\n"
                                             "  vote.sync.uni.pred %p3, {1}, {0:#x};\n  vote.sync.ballot.b32 %r4, {1}, {0:#x};\n"
                                             "  selp.u32 %r1, 1, 0, %p1;\n  selp.u32 %r2, 2, 0, %p2;\n  selp.u32 %r3, 4, 0, %p3;\n"
                                             "  or.b32 %r1, %r1, %r2;\n  or.b32 %r1, %r1, %r3;\n  st.v2.u32 [%mine8], {{%r1, %r4}};\n",
                                             members, p),
                         .inputs = {{held}},
                         .outputs = 64});
        bool all = truth == members, any = truth != 0;
        EXPECT_EQ(out[0], (all ? 1u : 0) | (any ? 2u : 0) | (all || !any ? 4u : 0)) << held << " " << members;
        EXPECT_EQ(out[1], truth) << held << " " << members;
      }
    }
}

static void matches() {
  Words values = lanes([](unsigned lane) { return lane % 5 == 4 ? 77u : lane % 3; });
  for (const char *type : {"b32", "b64"}) {
    bool wide = std::string(type) == "b64";
    std::string value = wide ? "%d1" : "%r0", widen = wide ? "  cvt.u64.u32 %d1, %r0;\n  shl.b64 %d1, %d1, 30;\n" : "";
    Words out = run({.body = kLoad + widen + fmt::format("  match.any.sync.{} %r1, {}, -1;\n  st.u32 [%mine], %r1;\n", type, value),
                     .inputs = {values}});
    EXPECT_EQ(out, lanes([&](unsigned lane) {
                std::uint32_t same = 0;
                for (unsigned other = 0; other < 32; ++other)
                  same |= std::uint32_t(values[other] == values[lane]) << other;
                return same;
              }));
    for (bool equal : {true, false}) {
      out = run({.body = kLoad + widen + fmt::format("  match.all.sync.{} %r1|%p0, {}, -1;\n  selp.u32 %r2, 1, 0, %p0;\n"
                                                     "  st.v2.u32 [%mine8], {{%r1, %r2}};\n",
                                                     type, value),
                 .inputs = {equal ? Words(32, 5) : values},
                 .outputs = 64});
      EXPECT_EQ(out[6], equal ? 0xFFFFFFFF : 0);
      EXPECT_EQ(out[7], equal ? 1u : 0u);
    }
  }
}

static void reductions() {
  Words input = randomWords(32, 3);
  input[7] = 0x80000000;
  for (const std::string &text : expand("redux.sync.{add|min|max}.{u32|s32}")) {
    std::uint32_t total = input[0];
    bool isSigned = text.ends_with("s32");
    for (unsigned i = 1; i < 32; ++i) {
      bool less = isSigned ? static_cast<std::int32_t>(input[i]) < static_cast<std::int32_t>(total) : input[i] < total;
      total = text.find("add") != std::string::npos ? total + input[i] : less == (text.find("min") != std::string::npos) ? input[i] : total;
    }
    EXPECT_EQ(run({.body = kLoad + "  " + text + " %r1, %r0, -1;\n  st.u32 [%mine], %r1;\n", .inputs = {input}}), Words(32, total)) << text;
  }
  for (const std::string &text : expand("redux.sync.{and|or|xor}.b32")) {
    std::uint32_t total = input[0] | 1;
    for (unsigned i = 1; i < 32; ++i)
      total = text.find("and") != std::string::npos ? total & (input[i] | 1) : text.find(".or") != std::string::npos ? total | (input[i] | 1) : total ^ (input[i] | 1);
    EXPECT_EQ(run({.body = kLoad + "  or.b32 %r0, %r0, 1;\n  " + text + " %r1, %r0, -1;\n  st.u32 [%mine], %r1;\n", .inputs = {input}}),
              Words(32, total)) << text;
  }
}

/// activemask sees the lanes of its branch; bar.warp.sync brings the branches together and orders memory.
static void masksAndWarpBarriers() {
  Words out = run({.body = "  setp.lt.u32 %p0, %thread, 12;\n  @%p0 bra LOW;\n  activemask.b32 %r0;\n  bra DONE;\nLOW:\n  activemask.b32 %r0;\nDONE:\n"
                           "  st.u32 [%mine], %r0;\n"});
  EXPECT_EQ(out, lanes([](unsigned lane) { return lane < 12 ? 0xFFFu : 0xFFFFF000u; }));
  out = run({.body = "  .shared .u32 cells[32];\n  mov.u32 %r1, cells;\n  mad.lo.u32 %r1, %thread, 4, %r1;\n  setp.lt.u32 %p0, %thread, 12;\n"
                     "  @%p0 bra LOW;\n  st.shared.u32 [%r1], %thread;\n  bar.warp.sync 0xFFFFFFFF;\n  bra DONE;\nLOW:\n  add.u32 %r2, %thread, 100;\n"
                     "  st.shared.u32 [%r1], %r2;\n  bar.warp.sync 0xFFFFFFFF;\nDONE:\n  xor.b32 %r3, %thread, 31;\n  mov.u32 %r1, cells;\n"
                     "  mad.lo.u32 %r1, %r3, 4, %r1;\n  ld.shared.u32 %r4, [%r1];\n  st.u32 [%mine], %r4;\n"});
  EXPECT_EQ(out, lanes([](unsigned lane) { return (lane ^ 31) < 12 ? 100 + (lane ^ 31) : lane ^ 31; }));
}

/// Element (row, column) of a 16-bit 8×8 fragment is half column % 2 of lane 4 · row + column / 2.
static void transposedMatrix() {
  Words input = randomWords(32, 4);
  auto element = [](const Words &words, unsigned row, unsigned column) { return words[4 * row + column / 2] >> (16 * (column % 2)) & 0xFFFF; };
  Words out = run({.body = kLoad + "  movmatrix.sync.aligned.m8n8.trans.b16 %r1, %r0;\n  st.u32 [%mine], %r1;\n", .inputs = {input}});
  for (unsigned row = 0; row < 8; ++row)
    for (unsigned column = 0; column < 8; ++column)
      ASSERT_EQ(element(out, row, column), element(input, column, row));
}

std::vector<ProgramCase> warpCases() {
  return {{"shuffles", shuffles}, {"shuffles_of_halves", shufflesOfHalves}, {"votes", votes}, {"matches", matches},
          {"reductions", reductions}, {"masks_and_warp_barriers", masksAndWarpBarriers}, {"transposed_matrix", transposedMatrix}};
}

} // namespace attn::emulator::testing
