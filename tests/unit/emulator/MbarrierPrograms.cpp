// Transaction barriers (PTX ISA 9.7.13.15), the fences around them, and cp.async that arrives on them.
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace attn::emulator::testing {

/// %r1 the barrier in shared memory, %d1 its generic address, %p0 true in lane 0.
static const std::string kDeclare = "  .shared .align 8 .b64 barrier;\n  mov.u32 %r1, barrier;\n  cvt.u64.u32 %d0, %r1;\n  cvta.shared.u64 %d1, %d0;\n"
                                    "  setp.eq.u32 %p0, %thread, 0;\n";

/// How the address of a barrier is written in a space; none: generic.
static std::string addressIn(const std::string &space) { return space.empty() ? "[%d1]" : "[%r1]"; }

/// 32 arrivals and bytes that one lane announces and completes; each lane writes what was pending when it arrived.
static void arrivals() {
  for (const std::string &space : expand("{.shared|.shared::cta|}"))
    for (const std::string &scope : expand("{.release.cta|.release.cluster|}")) {
      const std::string at = addressIn(space);
      std::string body = kDeclare + fmt::format("  @%p0 mbarrier.init{0}.b64 {1}, 33;\n  bar.warp.sync -1;\n  mbarrier.arrive{2}{0}.b64 %d3, {1};\n"
                                                "  @%p0 mbarrier.arrive.expect_tx{2}{0}.b64 _, {1}, 64;\n  bar.warp.sync -1;\n",
                                                space, at, scope);
      body += fmt::format("  mbarrier.test_wait{0}.b64 %p1, {1}, %d3;\n  @%p1 trap;\n  @%p0 mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%r1], 64;\n"
                          "WAIT:\n  mbarrier.try_wait{0}.b64 %p2, {1}, %d3;\n  @!%p2 bra WAIT;\n  mbarrier.pending_count.b64 %r2, %d3;\n"
                          "  st.u32 [%mine], %r2;\n  bar.warp.sync -1;\n  @%p0 mbarrier.inval{0}.b64 {1};\n",
                          space, at);
      EXPECT_EQ(run({.body = body}), lanes([](unsigned lane) { return 33 - lane; })) << body;
    }
}

/// Both parities, with every way to wait, over three phases.
static void parities() {
  for (const std::string &wait : expand("{test_wait|try_wait}"))
    for (const std::string &form : expand(".parity{.acquire.cta|.acquire.cluster|}{.shared|.shared::cta|}")) {
      const bool isGeneric = form.find("shared") == std::string::npos;
      std::string body = kDeclare + "  @%p0 mbarrier.init.shared::cta.b64 [%r1], 32;\n  bar.warp.sync -1;\n  mov.u32 %r3, 0;\n";
      // A fresh barrier answers true to the other parity.
      body += fmt::format("  mbarrier.{}{}.b64 %p1, {}, 1;\n  @!%p1 trap;\n", wait, form, isGeneric ? "[%d1]" : "[%r1]");
      for (unsigned phase = 0; phase < 3; ++phase)
        body += fmt::format("  mbarrier.arrive.shared::cta.b64 _, [%r1];\nWAIT{0}:\n  mbarrier.{1}{2}.b64 %p1, {3}, {4};\n  @!%p1 bra WAIT{0};\n"
                            "  add.u32 %r3, %r3, 1;\n",
                            phase, wait, form, isGeneric ? "[%d1]" : "[%r1]", phase & 1);
      EXPECT_EQ(run({.body = body + "  st.u32 [%mine], %r3;\n"}), lanes([](unsigned) { return 3; })) << body;
    }
  // With a time limit.
  EXPECT_EQ(run({.body = kDeclare + "  @%p0 mbarrier.init.shared.b64 [%r1], 1;\n  bar.warp.sync -1;\n  mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0, 100;\n"
                                    "  selp.u32 %r2, 1, 0, %p1;\n  st.u32 [%mine], %r2;\n"}),
            lanes([](unsigned) { return 0; }));
}

/// Counts, dropped arrivals (later phases expect fewer), and waits for a state.
static void counts() {
  for (const std::string &scope : expand("{.release.cta|.release.cluster|}"))
    for (const std::string &space : expand("{.shared|.shared::cta|}"))
      EXPECT_EQ(run({.body = kDeclare + fmt::format("  @!%p0 bra END;\n  mbarrier.init.shared.b64 [%r1], 5;\n  mbarrier.arrive{0}{1}.b64 %d2, {2}, 3;\n"
                                                    "  mbarrier.arrive_drop{0}{1}.b64 %d3, {2};\n  mbarrier.arrive_drop{0}{1}.b64 %d4, {2}, 1;\n"
                                                    "  mbarrier.test_wait.parity.shared.b64 %p1, [%r1], 0;\n  @!%p1 trap;\n"
                                                    "  mbarrier.arrive{0}{1}.b64 %d5, {2}, 3;\n  mbarrier.test_wait.parity.shared.b64 %p1, [%r1], 1;\n"
                                                    "  @!%p1 trap;\n  mbarrier.pending_count.b64 %r2, %d5;\n  st.u32 [%mine], %r2;\nEND:\n",
                                                    scope, space, addressIn(space))})[0],
                3u);
  for (const std::string &scope : expand("{.release.cta|.release.cluster|}"))
    EXPECT_EQ(run({.body = kDeclare + fmt::format("  @!%p0 bra END;\n  mbarrier.init.shared.b64 [%r1], 4;\n  mbarrier.arrive{0}.shared::cluster.b64 _, [%r1];\n"
                                                  "  mbarrier.arrive{0}.shared::cluster.b64 _, [%r1], 2;\n"
                                                  "  mbarrier.arrive.expect_tx{0}.shared::cluster.b64 _, [%r1], 16;\n"
                                                  "  mbarrier.complete_tx.shared::cluster.b64 [%r1], 16;\n"
                                                  "  mbarrier.test_wait.parity.shared.b64 %p1, [%r1], 0;\n  @!%p1 trap;\n  st.u32 [%mine], 7;\nEND:\n",
                                                  scope)})[0],
              7u);
}

/// Bytes may come before they are announced, as long as an arrival is missing.
static void bytes() {
  for (const std::string &form : expand("{.relaxed.cta|.relaxed.cluster|}{.shared|.shared::cta|.shared::cluster|}")) {
    const std::string at = form.find("shared") == std::string::npos ? "[%d1]" : "[%r1]";
    EXPECT_EQ(run({.body = kDeclare + fmt::format("  @!%p0 bra END;\n  mbarrier.init.shared.b64 [%r1], 1;\n  mbarrier.complete_tx{0}.b64 {1}, 48;\n"
                                                  "  mbarrier.expect_tx{0}.b64 {1}, 64;\n  mbarrier.arrive.shared.b64 _, [%r1];\n"
                                                  "  mbarrier.test_wait.parity.shared.b64 %p1, [%r1], 0;\n  @%p1 trap;\n  mbarrier.complete_tx{0}.b64 {1}, 16;\n"
                                                  "  mbarrier.test_wait.parity.shared.b64 %p1, [%r1], 0;\n  @!%p1 trap;\n  st.u32 [%mine], 5;\nEND:\n",
                                                  form, at)})[0],
              5u)
        << form;
  }
}

/// A state names its phase in full.
static void states() {
  for (const std::string &form : expand("{test_wait|try_wait}{.acquire.cta|.acquire.cluster|}{.shared|.shared::cta|}")) {
    const std::string at = form.find("shared") == std::string::npos ? "[%d1]" : "[%r1]";
    EXPECT_EQ(run({.body = kDeclare + fmt::format("  @%p0 mbarrier.init.shared.b64 [%r1], 32;\n  bar.warp.sync -1;\n  mbarrier.arrive.shared.b64 %d2, [%r1];\n"
                                                  "WAIT:\n  mbarrier.{}.b64 %p1, {}, %d2;\n  @!%p1 bra WAIT;\n  st.u32 [%mine], %thread;\n",
                                                  form, at)}),
              lanes([](unsigned lane) { return lane; }))
        << form;
  }
}

/// A warp waits for what another brings, in a loop of tests.
static void betweenWarps() {
  for (const std::string &wait : expand("{test_wait|try_wait}"))
    EXPECT_EQ(run({.body = kDeclare + fmt::format("  .shared .u32 value;\n  @%p0 mbarrier.init.shared.b64 [%r1], 32;\n  fence.mbarrier_init.release.cluster;\n"
                                                  "  bar.sync 0;\n  setp.ge.u32 %p2, %thread, 32;\n  @%p2 bra BRING;\nWAIT:\n"
                                                  "  mbarrier.{}.parity.shared.b64 %p1, [%r1], 0;\n  @!%p1 bra WAIT;\n  ld.shared.u32 %r2, [value];\n"
                                                  "  st.u32 [%mine], %r2;\n  bra END;\nBRING:\n  mov.u32 %r3, 77;\n  st.shared.u32 [value], %r3;\n"
                                                  "  mbarrier.arrive.shared.b64 _, [%r1];\nEND:\n",
                                                  wait),
                   .block = {64, 1, 1}}),
              lanes([](unsigned) { return 77; }));
}

/// cp.async arrives when its copies are done: counted beforehand, or added to what is pending.
static void copies() {
  for (const std::string &form : expand("{.noinc|}{.shared|.shared::cta|}")) {
    const std::string at = form.find("shared") == std::string::npos ? "[%d1]" : "[%r1]";
    const bool counted = form.find("noinc") != std::string::npos;
    Words out = run({.body = kDeclare + fmt::format("  .shared .align 16 .b8 tile[512];\n  mov.u32 %r2, tile;\n  mad.lo.u32 %r2, %thread, 16, %r2;\n"
                                                    "  mad.wide.u32 %d5, %thread, 16, %in0;\n  @%p0 mbarrier.init.shared.b64 [%r1], {};\n  bar.warp.sync -1;\n"
                                                    "  cp.async.cg.shared.global [%r2], [%d5], 16;\n  cp.async.mbarrier.arrive{}.b64 {};\n{}"
                                                    "WAIT:\n  mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0;\n  @!%p1 bra WAIT;\n"
                                                    "  xor.b32 %r3, %thread, 1;\n  mov.u32 %r5, tile;\n  mad.lo.u32 %r3, %r3, 16, %r5;\n  ld.shared.u32 %r4, [%r3];\n  st.u32 [%mine], %r4;\n  cp.async.wait_all;\n",
                                                    32, form, at, counted ? "" : "  mbarrier.arrive.shared.b64 _, [%r1];\n"),
                     .inputs = {lanes([](unsigned i) { return i * 3; }, 128)}});
    EXPECT_EQ(out, lanes([](unsigned lane) { return 4 * (lane ^ 1) * 3; })) << form; // of another lane's copy
  }
}

static void fences() {
  std::string body = "  fence.proxy.async;\n  fence.mbarrier_init.release.cluster;\n";
  for (const std::string &space : expand("{global|shared::cta|shared::cluster}"))
    body += "  fence.proxy.async." + space + ";\n";
  EXPECT_EQ(run({.body = body + "  st.u32 [%mine], 1;\n"}), lanes([](unsigned) { return 1; }));
}

std::vector<ProgramCase> mbarrierCases() {
  return {{"mbarrier_arrivals", arrivals}, {"mbarrier_parities", parities}, {"mbarrier_counts", counts}, {"mbarrier_bytes", bytes},
          {"mbarrier_states", states}, {"mbarrier_between_warps", betweenWarps}, {"mbarrier_copies", copies}, {"proxy_fences", fences}};
}

} // namespace attn::emulator::testing
