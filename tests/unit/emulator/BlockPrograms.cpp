// Barriers and fences of a CTA (PTX ISA 9.7.13.1 to 9.7.13.4).
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace attn::emulator::testing {

/// Each thread stores its index, synchronises, and reads the cell of a thread of another warp.
static std::string exchange(const std::string &synchronise) {
  return "  .shared .u32 cells[128];\n  mov.u32 %r1, cells;\n  mad.lo.u32 %r2, %thread, 4, %r1;\n  st.shared.u32 [%r2], %thread;\n" +
         synchronise + "  xor.b32 %r3, %thread, 96;\n  mad.lo.u32 %r2, %r3, 4, %r1;\n  ld.shared.u32 %r4, [%r2];\n  st.u32 [%mine], %r4;\n";
}

static void synchronisation() {
  Words expected = lanes([](unsigned thread) { return thread ^ 96; }, 128);
  for (const char *text : {"bar.sync 0;", "bar.sync 15;", "bar.sync 3, 128;", "bar.cta.sync 1;", "barrier.sync 0;", "barrier.sync.aligned 2, 128;",
                           "barrier.cta.sync.aligned 0;", "barrier.cta.sync 0, 128;", "mov.u32 %r9, 5; bar.sync %r9;",
                           "mov.u32 %r9, 5; mov.u32 %r10, 128; barrier.sync %r9, %r10;"})
    EXPECT_EQ(run({.body = exchange(fmt::format("  {}\n", text)), .outputs = 128, .block = {128, 1, 1}}), expected) << text;
  // barrier.sync without .aligned may be reached on both sides of a branch.
  EXPECT_EQ(run({.body = exchange("  and.b32 %r9, %thread, 1;\n  setp.eq.u32 %p0, %r9, 0;\n  @%p0 bra EVEN;\n  barrier.sync 0;\n  bra JOIN;\n"
                                  "EVEN:\n  barrier.sync 0;\nJOIN:\n"),
                 .outputs = 128,
                 .block = {128, 1, 1}}),
            expected);
}

/// Warps 0 and 1 produce and arrive; warps 2 and 3 wait and read.
static void arrival() {
  for (const std::string &kind : expand("{bar|bar.cta|barrier|barrier.cta}")) {
    std::string aligned = kind.starts_with("barrier") ? ".aligned" : "";
    Words out = run({.body = fmt::format("  .shared .u32 cells[64];\n  mov.u32 %r1, cells;\n  setp.ge.u32 %p0, %thread, 64;\n  @%p0 bra READ;\n"
                                         "  mad.lo.u32 %r2, %thread, 4, %r1;\n  st.shared.u32 [%r2], %thread;\n  {0}.arrive{1} 1, 128;\n  bra DONE;\n"
                                         "READ:\n  {0}.sync{1} 1, 128;\n  sub.u32 %r3, %thread, 64;\n  mad.lo.u32 %r2, %r3, 4, %r1;\n"
                                         "  ld.shared.u32 %r4, [%r2];\n  st.u32 [%mine], %r4;\nDONE:\n",
                                         kind, aligned),
                     .outputs = 128,
                     .block = {128, 1, 1}});
    EXPECT_EQ(out, lanes([](unsigned thread) { return thread < 64 ? 0 : thread - 64; }, 128)) << kind;
  }
}

static void reductions() {
  for (unsigned bound : {0u, 1u, 40u, 96u})
    for (const std::string &kind : expand("{bar|bar.cta|barrier|barrier.cta}"))
      for (const std::string &count : expand("{|, 96}"))
        for (const std::string &aligned : expand(kind.starts_with("barrier") ? "{.aligned|}" : "{}")) {
          Words out = run({.body = fmt::format("  setp.lt.u32 %p0, %thread, {0};\n  {1}.red.popc{3}.u32 %r0, 2{2}, %p0;\n"
                                               "  {1}.red.and{3}.pred %p1, 3{2}, %p0;\n  {1}.red.or{3}.pred %p2, 4{2}, !%p0;\n"
                                               "  selp.u32 %r1, 1, 0, %p1;\n  selp.u32 %r2, 2, 0, %p2;\n  add.u32 %r1, %r1, %r2;\n"
                                               "  st.v2.u32 [%mine8], {{%r0, %r1}};\n",
                                               bound, kind, count, aligned),
                           .outputs = 192,
                           .block = {96, 1, 1}});
          for (unsigned thread = 0; thread < 96; ++thread) {
            ASSERT_EQ(out[2 * thread], bound) << kind << count;
            ASSERT_EQ(out[2 * thread + 1], (bound == 96 ? 1u : 0u) + (bound < 96 ? 2u : 0u)) << kind << count;
          }
        }
}

/// Exited threads do not count for a barrier without a count.
static void exitedThreads() {
  Words out = run({.body = "  setp.ge.u32 %p0, %thread, 64;\n  @%p0 exit;\n  bar.sync 0;\n  st.u32 [%mine], 5;\n", .outputs = 128, .block = {128, 1, 1}});
  EXPECT_EQ(out, lanes([](unsigned thread) { return thread < 64 ? 5 : 0; }, 128));
}

/// One thread's write, a fence, a flag; others wait for the flag. Fences order nothing more here, since there are no caches.
static void fences() {
  std::vector<std::string> texts = expand("membar.{cta|gl|sys}");
  for (const char *pattern : {"fence{.sc|.acq_rel|}.{cta|cluster|gpu|sys}", "fence.{acquire|release}.{cta|cluster|gpu|sys}"})
    for (const std::string &text : expand(pattern))
      texts.push_back(text);
  for (const std::string &text : texts)
    EXPECT_EQ(run({.body = exchange("  " + text + ";\n  bar.sync 0;\n"), .outputs = 128, .block = {128, 1, 1}}),
              lanes([](unsigned thread) { return thread ^ 96; }, 128)) << text;
}

std::vector<ProgramCase> blockCases() {
  return {{"synchronisation", synchronisation}, {"arrival", arrival}, {"block_reductions", reductions}, {"exited_threads", exitedThreads}, {"fences", fences}};
}

} // namespace attn::emulator::testing
