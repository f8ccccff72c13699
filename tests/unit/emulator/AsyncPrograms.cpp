// cp.async and its groups (PTX ISA 9.7.9.25.3).
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

namespace attn::emulator::testing {

static Words source() {
  return lanes([](unsigned i) { return i * 0x01030507u + 0x11223344u; }, 512);
}

static const std::string kDeclare = "  .shared .align 16 .b8 tile[2048];\n  mov.u32 %r1, tile;\n  mad.lo.u32 %r2, %thread, 16, %r1;\n"
                                    "  mad.wide.u32 %d0, %thread, 16, %in0;\n  mad.wide.u32 %d1, %thread, 16, %out;\n";
static const std::string kFinish = "  ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r2];\n  st.v4.u32 [%d1], {%r4, %r5, %r6, %r7};\n";
static const std::string kClear = "  mov.u32 %r9, 0x5A5A5A5A;\n  st.shared.v4.u32 [%r2], {%r9, %r9, %r9, %r9};\n";

/// The 16 bytes of a lane after a copy of `bytes`, of which `taken` come from the source and the rest are zero.
static Words expected(unsigned bytes, unsigned taken, unsigned threads = 32) {
  Words from = source(), out(4 * threads, 0x5A5A5A5A);
  for (unsigned thread = 0; thread < threads; ++thread) {
    char *target = reinterpret_cast<char *>(out.data()) + 16 * thread;
    std::memset(target, 0, bytes);
    std::memcpy(target, reinterpret_cast<const char *>(from.data()) + 16 * thread, taken);
  }
  return out;
}

static void check(const std::string &copy, unsigned bytes, unsigned taken) {
  for (const char *wait : {"  cp.async.wait_all;\n", "  cp.async.commit_group;\n  cp.async.wait_group 0;\n"})
    EXPECT_EQ(run({.body = kDeclare + kClear + copy + wait + kFinish, .inputs = {source()}, .outputs = 128}), expected(bytes, taken)) << copy;
}

static void sizes() {
  for (unsigned bytes : {4u, 8u, 16u})
    for (const std::string &space : expand("{shared|shared::cta}"))
      check(fmt::format("  cp.async.ca.{}.global [%r2], [%d0], {};\n", space, bytes), bytes, bytes);
  for (const std::string &space : expand("{shared|shared::cta}"))
    check(fmt::format("  cp.async.cg.{}.global [%r2], [%d0], 16;\n", space), 16, 16);
  check("  cp.async.ca.shared.global [%r2+4], [%d0], 4;\n  cp.async.ca.shared.global [%r2], [%d0], 4;\n"
        "  cp.async.ca.shared.global [%r2+4], [%d0+4], 4;\n", 8, 8);
}

static void sourceSizes() {
  for (unsigned bytes : {4u, 8u, 16u})
    for (unsigned taken = 0; taken <= bytes; taken += bytes == 4 ? 1 : 3) {
      check(fmt::format("  cp.async.ca.shared.global [%r2], [%d0], {}, {};\n", bytes, taken), bytes, taken);
      check(fmt::format("  mov.u32 %r8, {1};\n  cp.async.ca.shared.global [%r2], [%d0], {0}, %r8;\n", bytes, taken), bytes, taken);
    }
  check("  cp.async.cg.shared.global [%r2], [%d0], 16, 0;\n", 16, 0);
  // A size of zero does not look at the address.
  check("  mov.u64 %d5, 0;\n  cp.async.cg.shared.global [%r2], [%d5], 16, 0;\n", 16, 0);
}

static void ignoredSources() {
  check("  setp.eq.u32 %p0, %r1, %r1;\n  cp.async.cg.shared.global [%r2], [%d0], 16, %p0;\n", 16, 0);
  check("  setp.ne.u32 %p0, %r1, %r1;\n  cp.async.ca.shared.global [%r2], [%d0], 8, %p0;\n", 8, 8);
}

static void hints() {
  for (const std::string &size : expand("{.L2::64B|.L2::128B|.L2::256B|}"))
    check(fmt::format("  cp.async.cg.shared.global{} [%r2], [%d0], 16;\n", size), 16, 16);
  check("  createpolicy.fractional.L2::evict_last.b64 %d9, 1.0;\n  cp.async.cg.shared.global.L2::cache_hint [%r2], [%d0], 16, %d9;\n", 16, 16);
  check("  createpolicy.fractional.L2::evict_last.b64 %d9, 1.0;\n"
        "  cp.async.cg.shared.global.L2::cache_hint.L2::128B [%r2], [%d0], 16, 8, %d9;\n", 16, 8);
}

/// Three groups in flight; `wait_group n` waits for all but the n newest, and only then are they read.
static void groups() {
  std::string body = "  .shared .align 16 .b8 ring[1536];\n  mov.u32 %r1, ring;\n  mad.lo.u32 %r2, %thread, 16, %r1;\n  mad.wide.u32 %d0, %thread, 16, %in0;\n"
                     "  mad.wide.u32 %d1, %thread, 48, %out;\n";
  for (unsigned group = 0; group < 3; ++group)
    body += fmt::format("  cp.async.cg.shared.global [%r2+{0}], [%d0+{0}], 16;\n  cp.async.commit_group;\n", 512 * group);
  for (unsigned group = 0; group < 3; ++group)
    body += fmt::format("  cp.async.wait_group {};\n  ld.shared.v4.u32 {{%r4, %r5, %r6, %r7}}, [%r2+{}];\n  st.v4.u32 [%d1+{}], {{%r4, %r5, %r6, %r7}};\n",
                        2 - group, 512 * group, 16 * group);
  Words out = run({.body = body, .inputs = {source()}, .outputs = 384}), from = source();
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned group = 0; group < 3; ++group)
      for (unsigned word = 0; word < 4; ++word)
        ASSERT_EQ(out[12 * lane + 4 * group + word], from[128 * group + 4 * lane + word]);
}

/// Empty groups count; a copy after the last commit belongs to none.
static void emptyGroups() {
  Words out = run({.body = kDeclare + "  cp.async.cg.shared.global [%r2], [%d0], 16;\n  cp.async.commit_group;\n  cp.async.commit_group;\n"
                                      "  cp.async.commit_group;\n  cp.async.wait_group 2;\n" + kFinish,
                   .inputs = {source()},
                   .outputs = 128});
  EXPECT_EQ(out, expected(16, 16));
}

/// Lanes that commit apart have groups of their own.
static void groupsOfLanes() {
  Words out = run({.body = kDeclare + "  setp.lt.u32 %p0, %thread, 16;\n  cp.async.cg.shared.global [%r2], [%d0], 16;\n  @%p0 cp.async.commit_group;\n"
                                      "  cp.async.commit_group;\n  cp.async.wait_group 0;\n" + kFinish,
                   .inputs = {source()},
                   .outputs = 128});
  EXPECT_EQ(out, expected(16, 16));
}

std::vector<ProgramCase> asyncCases() {
  return {{"copy_sizes", sizes}, {"copy_source_sizes", sourceSizes}, {"copy_ignored_sources", ignoredSources}, {"copy_hints", hints},
          {"copy_groups", groups}, {"copy_empty_groups", emptyGroups}, {"copy_groups_of_lanes", groupsOfLanes}};
}

} // namespace attn::emulator::testing
