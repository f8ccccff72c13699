// Branches, calls, special registers, carries: control flow and state that is not in operands (PTX ISA 9.7.12, 9.7.2, 10).
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace attn::emulator::testing {

/// The number of steps of the Collatz sequence differs by lane: lanes leave the loop one after another and meet behind it.
static void divergentLoops() {
  Words out = run({.body = "  add.u32 %r0, %thread, 1;\n  mov.u32 %r1, 0;\nLOOP:\n  setp.eq.u32 %p0, %r0, 1;\n  @%p0 bra END;\n"
                           "  and.b32 %r2, %r0, 1;\n  setp.eq.u32 %p1, %r2, 0;\n  @%p1 bra EVEN;\n  mad.lo.u32 %r0, %r0, 3, 1;\n  bra.uni NEXT;\n"
                           "EVEN:\n  shr.u32 %r0, %r0, 1;\nNEXT:\n  add.u32 %r1, %r1, 1;\n  bra LOOP;\nEND:\n  activemask.b32 %r3;\n"
                           "  st.v2.u32 [%mine8], {%r1, %r3};\n",
                   .outputs = 64});
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned n = lane + 1, steps = 0;
    for (; n != 1; ++steps)
      n = n % 2 ? 3 * n + 1 : n / 2;
    EXPECT_EQ(out[2 * lane], steps);
    EXPECT_EQ(out[2 * lane + 1], 0xFFFFFFFFu) << "the lanes did not meet again";
  }
}

static void indexedBranches() {
  for (const std::string &opcode : expand("brx.idx{.uni|}")) {
    bool uniform = opcode.ends_with("uni");
    Words out = run({.body = fmt::format("  {0};\n TABLE: .branchtargets A, B, C;\n  {1} %r0, TABLE;\nA:\n  mov.u32 %r1, 10;\n  bra END;\nB:\n"
                                         "  mov.u32 %r1, 20;\n  bra END;\nC:\n  mov.u32 %r1, 30;\nEND:\n  st.u32 [%mine], %r1;\n",
                                         uniform ? "mov.u32 %r0, 1" : "rem.u32 %r0, %thread, 3", opcode)});
    EXPECT_EQ(out, lanes([&](unsigned lane) { return uniform ? 20 : 10 * (lane % 3 + 1); }));
  }
}

static void calls() {
  const std::string twice = ".func (.param .b32 result) twice(.param .b32 value)\n{\n  .reg .b32 %r<4>;\n  .reg .pred %p<2>;\n"
                            "  ld.param.b32 %r0, [value];\n  setp.lt.u32 %p0, %r0, 8;\n  @%p0 bra SMALL;\n  shl.b32 %r1, %r0, 1;\n"
                            "  st.param.b32 [result], %r1;\n  ret;\nSMALL:\n  st.param.b32 [result+0], 1;\n  ret.uni;\n}\n";
  for (const std::string &opcode : expand("call{.uni|}")) {
    Words out = run({.body = fmt::format("  {{\n  .param .b32 p0;\n  .param .b32 r0;\n  st.param.b32 [p0], %thread;\n  {} (r0), twice, (p0);\n"
                                         "  ld.param.b32 %r5, [r0];\n  }}\n  st.u32 [%mine], %r5;\n",
                                         opcode),
                     .declarations = twice});
    EXPECT_EQ(out, lanes([](unsigned lane) { return lane < 8 ? 1 : 2 * lane; })) << opcode;
  }
  // A call without result, inlined twice; the space may be named in full.
  Words out = run({.body = "  {\n  .param .b64 p0;\n  st.param::func.b64 [p0], %mine;\n  call.uni bump, (p0);\n  call.uni bump, (p0);\n  }\n",
                   .declarations = ".func bump(.param .b64 address)\n{\n  .reg .b64 %d<2>;\n  .reg .b32 %r<2>;\n  ld.param::func.b64 %d0, [address];\n"
                                   "  ld.u32 %r0, [%d0];\n  add.u32 %r0, %r0, 21;\n  st.u32 [%d0], %r0;\n  ret;\n}\n"});
  EXPECT_EQ(out, Words(32, 42));
}

static void exits() {
  Words out = run({.body = "  setp.ge.u32 %p0, %thread, 20;\n  @%p0 exit;\n  st.u32 [%mine], 1;\n  setp.ge.u32 %p1, %thread, 10;\n  @%p1 ret;\n"
                           "  nanosleep.u32 100;\n  st.u32 [%mine], 2;\n  bra.uni END;\n  st.u32 [%mine], 3;\n  brkpt;\n  trap;\nEND:\n  exit;\n"});
  EXPECT_EQ(out, lanes([](unsigned lane) { return lane < 10 ? 2 : lane < 20 ? 1 : 0; }));
}

/// A lane that spins on what another lane of its warp does later must not starve it.
static void spinningLanes() {
  Words out = run({.body = "  .shared .u32 flag;\n  st.shared.u32 [flag], 0;\n  bar.warp.sync -1;\n  setp.eq.u32 %p0, %thread, 31;\n  @%p0 bra SET;\nSPIN:\n"
                           "  ld.volatile.shared.u32 %r0, [flag];\n  setp.eq.u32 %p1, %r0, 0;\n  @%p1 bra SPIN;\n  bra END;\nSET:\n"
                           "  st.volatile.shared.u32 [flag], 7;\n  mov.u32 %r0, 7;\nEND:\n  st.u32 [%mine], %r0;\n"});
  EXPECT_EQ(out, Words(32, 7));
}

static void specialRegisters() {
  struct Special {
    const char *name;
    std::uint32_t (*value)(unsigned block, unsigned thread);
  };
  const Special registers[] = {
      {"%tid.x", [](unsigned, unsigned thread) { return thread % 8; }},
      {"%tid.y", [](unsigned, unsigned thread) { return thread / 8 % 4; }},
      {"%tid.z", [](unsigned, unsigned thread) { return thread / 32; }},
      {"%ntid.x", [](unsigned, unsigned) { return 8u; }},
      {"%ntid.y", [](unsigned, unsigned) { return 4u; }},
      {"%ntid.z", [](unsigned, unsigned) { return 2u; }},
      {"%ctaid.x", [](unsigned block, unsigned) { return block % 2; }},
      {"%ctaid.y", [](unsigned block, unsigned) { return block / 2 % 3; }},
      {"%ctaid.z", [](unsigned block, unsigned) { return block / 6; }},
      {"%nctaid.x", [](unsigned, unsigned) { return 2u; }},
      {"%nctaid.y", [](unsigned, unsigned) { return 3u; }},
      {"%nctaid.z", [](unsigned, unsigned) { return 2u; }},
      {"%laneid", [](unsigned, unsigned thread) { return thread % 32; }},
      {"%warpid", [](unsigned, unsigned thread) { return thread / 32; }},
      {"%nwarpid", [](unsigned, unsigned) { return 2u; }},
      {"%lanemask_eq", [](unsigned, unsigned thread) { return 1u << thread % 32; }},
      {"%lanemask_lt", [](unsigned, unsigned thread) { return (1u << thread % 32) - 1; }},
      {"%lanemask_le", [](unsigned, unsigned thread) { return (2u << thread % 32) - 1; }},
      {"%lanemask_gt", [](unsigned, unsigned thread) { return ~((2u << thread % 32) - 1); }},
      {"%lanemask_ge", [](unsigned, unsigned thread) { return ~((1u << thread % 32) - 1); }},
      {"%dynamic_smem_size", [](unsigned, unsigned) { return 256u; }},
      {"%cluster_nctaid.x", [](unsigned, unsigned) { return 1u; }},
      {"%cluster_ctarank", [](unsigned, unsigned) { return 0u; }},
  };
  for (const Special &special : registers) {
    std::string body = fmt::format("  mov.u32 %r0, %ctaid.z;\n  mov.u32 %r1, %nctaid.y;\n  mov.u32 %r2, %ctaid.y;\n  mad.lo.u32 %r0, %r0, %r1, %r2;\n"
                                   "  mov.u32 %r1, %nctaid.x;\n  mov.u32 %r2, %ctaid.x;\n  mad.lo.u32 %r0, %r0, %r1, %r2;\n  mov.u32 %r3, %tid.z;\n"
                                   "  mov.u32 %r4, %tid.y;\n  mad.lo.u32 %r3, %r3, 4, %r4;\n  mov.u32 %r4, %tid.x;\n  mad.lo.u32 %r3, %r3, 8, %r4;\n"
                                   "  mad.lo.u32 %r0, %r0, 64, %r3;\n  mad.wide.u32 %d0, %r0, 4, %out;\n  mov.u32 %r5, {};\n  st.u32 [%d0], %r5;\n",
                                   special.name);
    Words out = run({.body = body, .outputs = 12 * 64, .grid = {2, 3, 2}, .block = {8, 4, 2}, .dynamicShared = 256});
    for (unsigned i = 0; i < out.size(); ++i)
      ASSERT_EQ(out[i], special.value(i / 64, i % 64)) << special.name << " block " << i / 64 << " thread " << i % 64;
  }
  // Clocks go forward.
  Words out = run({.body = "  mov.u64 %d0, %clock64;\n  mov.u32 %r0, %clock;\n  nanosleep.u32 20;\n  mov.u64 %d1, %clock64;\n  mov.u32 %r1, %clock;\n"
                           "  mov.u64 %d2, %globaltimer;\n  setp.lt.u64 %p0, %d0, %d1;\n  setp.lt.and.u32 %p0, %r0, %r1, %p0;\n  selp.u32 %r2, 1, 0, %p0;\n"
                           "  st.u32 [%mine], %r2;\n"});
  EXPECT_EQ(out, Words(32, 1));
}

using Wide = unsigned __int128;

/// 128-bit sums, differences and products from chains of 32- or 64-bit pieces.
static void carries() {
  const std::vector<Word> &values = valuesOf("u64");
  Words input;
  for (unsigned i = 0; i < 128; ++i)
    for (unsigned j = 0; j < 4; ++j) {
      Word value = values[(i * (2 * j + 1) + j * i / 7) % values.size()];
      input.push_back(static_cast<std::uint32_t>(value)), input.push_back(static_cast<std::uint32_t>(value >> 32));
    }
  auto word = [&](unsigned i, unsigned j) { return input[8 * i + 2 * j] | Word(input[8 * i + 2 * j + 1]) << 32; };
  const std::string load = "  mad.wide.u32 %d40, %thread, 32, %in0;\n  mad.wide.u32 %d41, %thread, 16, %out;\n  ld.v2.u64 {%d0, %d1}, [%d40];\n"
                           "  ld.v2.u64 {%d2, %d3}, [%d40+16];\n  mov.b64 {%r0, %r1}, %d0;\n  mov.b64 {%r2, %r3}, %d1;\n  mov.b64 {%r4, %r5}, %d2;\n"
                           "  mov.b64 {%r6, %r7}, %d3;\n";
  const std::string store32 = "  st.v4.u32 [%d41], {%r10, %r11, %r12, %r13};\n", store64 = "  st.v2.u64 [%d41], {%d10, %d11};\n";
  auto check = [&](const std::string &body, auto expected) {
    Words out = run({.body = load + body, .inputs = {input}, .outputs = 512, .block = {128, 1, 1}});
    for (unsigned i = 0; i < 128; ++i) {
      Wide wanted = expected(Wide(word(i, 1)) << 64 | word(i, 0), Wide(word(i, 3)) << 64 | word(i, 2));
      for (unsigned part = 0; part < 4; ++part)
        ASSERT_EQ(out[4 * i + part], static_cast<std::uint32_t>(wanted >> (32 * part))) << body << " of tuple " << i;
    }
  };
  for (const char *type : {"u32", "s32"})
    for (auto [add, next] : {std::pair("add", "addc"), std::pair("sub", "subc")})
      check(fmt::format("  {0}.cc.{2} %r10, %r0, %r4;\n  {1}.cc.{2} %r11, %r1, %r5;\n  {1}.cc.{2} %r12, %r2, %r6;\n  {1}.{2} %r13, %r3, %r7;\n", add, next, type) + store32,
            [&](Wide a, Wide b) { return std::string(add) == "add" ? a + b : a - b; });
  for (const char *type : {"u64", "s64"})
    for (auto [add, next] : {std::pair("add", "addc"), std::pair("sub", "subc")}) {
      check(fmt::format("  {0}.cc.{2} %d10, %d0, %d2;\n  {1}.{2} %d11, %d1, %d3;\n", add, next, type) + store64,
            [&](Wide a, Wide b) { return std::string(add) == "add" ? a + b : a - b; });
      check(fmt::format("  {0}.cc.{2} %d10, %d0, %d2;\n  {1}.cc.{2} %d11, %d1, %d3;\n  {1}.{2} %d11, 0, 0;\n", add, next, type) + store64, [&](Wide a, Wide b) {
        bool carry = std::string(add) == "add" ? a + b < a : a < b;
        Word low = std::string(add) == "add" ? Word(a) + Word(b) : Word(a) - Word(b);
        Word high = std::string(add) == "add" ? Word(carry) : 0 - Word(carry);
        return Wide(high) << 64 | low;
      });
    }
  // a · b + c, with a and b of 32 bits in %r0 and %r4 and c in %d1, and its 64-bit brother: lo.cc, then hi with the carry.
  for (const char *end : {"madc.hi.u32 %r11, %r0, %r4, %r3;", "madc.hi.cc.u32 %r11, %r0, %r4, %r3;"})
    check(fmt::format("  mad.lo.cc.u32 %r10, %r0, %r4, %r2;\n  {}\n  mov.u32 %r12, 0;\n  mov.u32 %r13, 0;\n", end) + store32,
          [](Wide a, Wide b) { return Wide(Word(std::uint32_t(a)) * Word(std::uint32_t(b)) + Word(a >> 64)); });
  check("  mad.lo.cc.u64 %d10, %d0, %d2, %d1;\n  madc.hi.u64 %d11, %d0, %d2, 0;\n" + store64,
        [](Wide a, Wide b) { return Wide(Word(a)) * Word(b) + Word(a >> 64); });
  check("  mad.hi.cc.u64 %d10, %d0, %d2, %d1;\n  madc.lo.u64 %d11, 0, 0, 0;\n" + store64, [](Wide a, Wide b) {
    Word high = static_cast<Word>(Wide(Word(a)) * Word(b) >> 64), sum = high + Word(a >> 64);
    return Wide(sum < high) << 64 | sum;
  });
  check("  mad.lo.cc.s64 %d10, %d0, %d2, %d1;\n  madc.lo.cc.s64 %d11, %d0, %d2, %d1;\n" + store64, [](Wide a, Wide b) {
    Word product = Word(a) * Word(b), low = product + Word(a >> 64);
    return Wide(product + Word(a >> 64) + (low < product)) << 64 | low;
  });
  auto signedHigh = [](Word a, Word b) { return static_cast<Word>(static_cast<__int128>(static_cast<std::int64_t>(a)) * static_cast<std::int64_t>(b) >> 64); };
  check("  mad.hi.cc.s64 %d10, %d0, %d2, %d1;\n  madc.hi.s64 %d11, %d0, %d2, %d1;\n" + store64, [&](Wide a, Wide b) {
    Word high = signedHigh(Word(a), Word(b)), sum = high + Word(a >> 64);
    return Wide(sum + (sum < high)) << 64 | sum;
  });
  check("  mad.hi.cc.s32 %r10, %r0, %r4, %r2;\n  madc.lo.s32 %r11, %r0, %r4, 0;\n  mad.lo.cc.s32 %r12, %r1, %r5, %r3;\n  madc.hi.s32 %r13, 0, 0, 0;\n" + store32,
        [](Wide a, Wide b) {
          auto part = [](Wide value, unsigned i) { return static_cast<std::uint32_t>(value >> (32 * i)); };
          std::uint32_t high = static_cast<std::uint32_t>(std::int64_t(std::int32_t(part(a, 0))) * std::int32_t(part(b, 0)) >> 32), sum = high + part(a, 2);
          std::uint32_t low = part(a, 0) * part(b, 0) + (sum < high), product = part(a, 1) * part(b, 1), last = product + part(a, 3);
          return Wide(last < product) << 96 | Wide(last) << 64 | Wide(low) << 32 | sum;
        });
}

std::vector<ProgramCase> controlCases() {
  return {{"divergent_loops", divergentLoops}, {"indexed_branches", indexedBranches}, {"calls", calls}, {"exits", exits},
          {"spinning_lanes", spinningLanes}, {"special_registers", specialRegisters}, {"carries", carries}};
}

} // namespace attn::emulator::testing
