// wgmma in every shape, with A from shared memory and from registers; stmatrix, elect.sync, setmaxnreg. Layouts other than
// the plain one are tested with kernels of others (HopperKernelsTest.cpp).
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include "attn/Float.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

namespace attn::emulator::testing {

static int valueOfA(unsigned row, unsigned k) { return static_cast<int>((row * 7 + k * 3) % 11) - 5; }
static int valueOfB(unsigned column, unsigned k) { return static_cast<int>((column * 5 + k) % 9) - 4; }

static bool isFloat8(const std::string &type) { return type[0] == 'e'; }

/// The words of a K-major tile without swizzle: blocks of 8 rows of 16 bytes, those along k first (LBO 128, SBO 256).
template <typename F> static Words plainTile(const std::string &type, unsigned extent, F value) {
  Words words(extent * 8);
  auto *halves = reinterpret_cast<std::uint16_t *>(words.data());
  auto *bytes = reinterpret_cast<std::uint8_t *>(words.data());
  for (unsigned x = 0; x < extent; ++x) {
    for (unsigned k = 0; k < 16 && !isFloat8(type); ++k)
      halves[x / 8 * 128 + k / 8 * 64 + x % 8 * 8 + k % 8] = type == "bf16" ? roundToBF16(value(x, k)) : roundToF16(value(x, k));
    for (unsigned k = 0; k < 32 && isFloat8(type); ++k)
      bytes[x / 8 * 256 + k / 16 * 128 + x % 8 * 16 + k % 16] = type == "e4m3" ? roundToE4M3(value(x, k)) : roundToE5M2(value(x, k));
  }
  return words;
}

static std::string registers(const char *name, unsigned first, unsigned count) {
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += fmt::format("{}%{}{}", i ? ", " : "", name, first + i);
  return text + "}";
}

/// Copies `words` words from a generic address to shared memory, 128 threads together.
static std::string copyToShared(const char *from, const char *to, unsigned words, const char *label) {
  return fmt::format("  mov.u32 %r10, %thread;\n{3}:\n  setp.ge.u32 %p0, %r10, {2};\n  @%p0 bra {3}_END;\n  mad.wide.u32 %d10, %r10, 4, {0};\n"
                     "  ld.u32 %r11, [%d10];\n  mad.lo.u32 %r12, %r10, 4, {1};\n  st.shared.u32 [%r12], %r11;\n  add.u32 %r10, %r10, 128;\n  bra {3};\n{3}_END:\n",
                     from, to, words, label);
}

/// %d, a descriptor without swizzle of the tile at the 32-bit shared address `from`.
static std::string descriptor(const char *into, const char *from) {
  const std::uint64_t fields = std::uint64_t(128 >> 4) << 16 | std::uint64_t(256 >> 4) << 32;
  return fmt::format("  shr.u32 %r13, {1}, 4;\n  cvt.u64.u32 {0}, %r13;\n  or.b64 {0}, {0}, {2};\n", into, from, fields);
}

struct Shape {
  unsigned columns;
  std::string typeA, typeB;
  bool registerA;
  int scaleA = 1, scaleB = 1;
};

/// Two products: the first overwrites the sums, the second adds to them.
static void product(const Shape &shape) {
  const unsigned columns = shape.columns, sums = columns / 2;
  std::string body = fmt::format("  .shared .align 128 .b8 tiles[{}];\n  .reg .b32 %a<4>;\n  .reg .f32 %s<{}>;\n  mov.u32 %r1, tiles;\n  add.u32 %r2, %r1, 2048;\n",
                                 2048 + columns * 32, sums);
  body += copyToShared("%in0", "%r1", 512, "COPY_A") + copyToShared("%in1", "%r2", columns * 8, "COPY_B");
  body += "  fence.proxy.async.shared::cta;\n  bar.sync 0;\n" + descriptor("%d1", "%r1") + descriptor("%d2", "%r2");
  for (unsigned i = 0; i < sums; ++i)
    body += fmt::format("  mov.f32 %s{}, 0f7FC00000;\n", i);
  // A register r of lane 4g + t holds row 16w + g + 8(r & 1), k = 2t + 8(r >> 1).
  body += "  shr.u32 %r3, %thread, 5;\n  and.b32 %r4, %thread, 31;\n  shl.b32 %r5, %r3, 9;\n  shr.u32 %r6, %r4, 2;\n  and.b32 %r7, %r4, 3;\n"
          "  mad.lo.u32 %r5, %r6, 16, %r5;\n  mad.lo.u32 %r5, %r7, 4, %r5;\n  add.u32 %r5, %r5, %r1;\n";
  for (unsigned r = 0; r < 4; ++r)
    body += fmt::format("  ld.shared.u32 %a{}, [%r5+{}];\n", r, (r & 1) * 256 + (r >> 1) * 128);
  body += "  wgmma.fence.sync.aligned;\n  setp.ne.u32 %p1, %r1, %r1;\n";
  const unsigned depth = isFloat8(shape.typeA) ? 32 : 16;
  const char *transpositions = isFloat8(shape.typeA) ? "" : shape.registerA ? ", 0" : ", 0, 0";
  for (unsigned i = 0; i < 2; ++i)
    body += fmt::format("  wgmma.mma_async.sync.aligned.m64n{}k{}.f32.{}.{} {}, {}, %d2, {}%p1, {}, {}{};\n", columns, depth, shape.typeA, shape.typeB,
                        registers("s", 0, sums), shape.registerA ? registers("a", 0, 4) : "%d1", i == 0 ? "" : "!", shape.scaleA, shape.scaleB, transpositions);
  body += "  wgmma.commit_group.sync.aligned;\n  wgmma.wait_group.sync.aligned 0;\n";
  body += fmt::format("  mad.wide.u32 %d3, %thread, {}, %out;\n", sums * 4);
  for (unsigned i = 0; i < sums; ++i)
    body += fmt::format("  st.f32 [%d3+{}], %s{};\n", 4 * i, i);
  Words out = run({.body = body,
                   .inputs = {plainTile(shape.typeA, 64, valueOfA), plainTile(shape.typeB, columns, valueOfB)},
                   .outputs = 128 * sums,
                   .block = {128, 1, 1},
                   .target = "sm_90a"});
  for (unsigned thread = 0; thread < 128; ++thread)
    for (unsigned i = 0; i < sums; ++i) {
      const unsigned g = thread % 32 / 4, t = thread % 4;
      const unsigned row = 16 * (thread / 32) + g + 8 * (i / 2 % 2), column = 8 * (i / 4) + 2 * t + i % 2;
      int sum = 0;
      for (unsigned k = 0; k < depth; ++k)
        sum += 2 * shape.scaleA * shape.scaleB * valueOfA(row, k) * valueOfB(column, k);
      float value;
      std::memcpy(&value, &out[thread * sums + i], sizeof(value));
      ASSERT_EQ(value, static_cast<float>(sum)) << columns << " columns, thread " << thread << ", register " << i;
    }
}

static void shapes() {
  for (unsigned columns = 8; columns <= 256; columns += 8)
    for (bool brain : {false, true}) {
      const std::string type = brain ? "bf16" : "f16", narrow = brain ? "e4m3" : "e5m2";
      const bool registerA = (columns / 8 + brain) % 2 == 0;
      product({columns, type, type, registerA});
      product({columns, narrow, columns % 48 == 0 ? "e5m2" : narrow, registerA});
    }
}

static void scales() {
  for (bool registerA : {false, true})
    for (int scaleA : {1, -1})
      for (int scaleB : {1, -1})
        for (const char *type : {"f16", "e4m3"})
          product({16, type, type, registerA, scaleA, scaleB});
}

/// x1, x2, x4; lane 4g + t brings row g, columns 2t and 2t + 1, or transposed rows 2t and 2t + 1 of column g.
static void storeMatrix() {
  for (unsigned count : {1u, 2u, 4u})
    for (bool transpose : {false, true})
      for (const std::string &space : expand("{.shared|.shared::cta|}")) {
        std::string body = "  .shared .align 16 .b8 tile[512];\n  mov.u32 %r1, tile;\n  mad.lo.u32 %r2, %thread, 16, %r1;\n  cvt.u64.u32 %d1, %r2;\n"
                           "  cvta.shared.u64 %d2, %d1;\n";
        for (unsigned i = 0; i < 4; ++i)
          body += fmt::format("  mad.lo.u32 %r{0}, %thread, 2, {1};\n  mad.lo.u32 %r{0}, %r{0}, 65536, %r{0};\n  add.u32 %r{0}, %r{0}, 65536;\n", 4 + i, 64 * i);
        body += "  mov.u32 %r9, 0;\n  st.shared.v4.u32 [%r2], {%r9, %r9, %r9, %r9};\n  bar.warp.sync -1;\n";
        body += fmt::format("  stmatrix.sync.aligned.m8n8.x{}{}{}.b16 [{}], {};\n  bar.warp.sync -1;\n", count, transpose ? ".trans" : "", space,
                            space.empty() ? "%d2" : "%r2", registers("r", 4, count));
        body += "  ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r2];\n  mad.wide.u32 %d3, %thread, 16, %out;\n  st.v4.u32 [%d3], {%r10, %r11, %r12, %r13};\n";
        Words out = run({.body = body, .outputs = 128});
        const auto *halves = reinterpret_cast<const std::uint16_t *>(out.data());
        for (unsigned matrix = 0; matrix < 4; ++matrix)
          for (unsigned row = 0; row < 8; ++row)
            for (unsigned column = 0; column < 8; ++column) {
              const unsigned g = transpose ? column : row, other = transpose ? row : column;
              const unsigned expected = matrix < count ? 64 * matrix + 8 * g + other : 0;
              ASSERT_EQ(halves[64 * matrix + 8 * row + column], expected) << body;
            }
      }
}

static void elect() {
  Words out = run({.body = "  elect.sync %r1|%p1, 0xFFFFFFFF;\n  selp.u32 %r2, 100, 0, %p1;\n  add.u32 %r2, %r2, %r1;\n  st.u32 [%mine], %r2;\n"});
  EXPECT_EQ(out, lanes([](unsigned lane) { return lane == 0 ? 100 : 0; }));
  out = run({.body = "  setp.lt.u32 %p0, %thread, 12;\n  mov.u32 %r1, 0;\n  @%p0 bra END;\n  elect.sync _|%p1, 0xFFFFF000;\n  @%p1 mov.u32 %r1, 1;\nEND:\n"
                     "  st.u32 [%mine], %r1;\n"});
  EXPECT_EQ(out, lanes([](unsigned lane) { return lane == 12; }));
}

static void maxRegisters() {
  EXPECT_EQ(run({.body = "  setmaxnreg.dec.sync.aligned.u32 24;\n  setmaxnreg.inc.sync.aligned.u32 240;\n  st.u32 [%mine], 1;\n", .outputs = 128,
                 .block = {128, 1, 1}, .target = "sm_90a"}),
            lanes([](unsigned) { return 1; }, 128));
}

std::vector<ProgramCase> warpgroupCases() {
  return {{"product_shapes", shapes}, {"product_scales", scales}, {"store_matrix", storeMatrix}, {"elect", elect}, {"max_registers", maxRegisters}};
}

} // namespace attn::emulator::testing
