// Counters of a launch against figures worked out by hand.
#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/TensorMap.h"

#include <gtest/gtest.h>

#include <string>

namespace attn::emulator {

namespace {

/// Runs `body` with one parameter, `out` (4 KiB of written memory), on one CTA of `warps` warps.
struct Counted {
  explicit Counted(const std::string &body, unsigned warps = 1, bool countMemory = true, const std::string &target = "sm_80",
                   AsyncCompletion completion = AsyncCompletion::Eager, std::uint64_t seed = 0) {
    const std::string version = target == "sm_80" ? "7.8" : "8.6";
    const std::string text = ".version " + version + "\n.target " + target + "\n.address_size 64\n"
                             ".visible .entry kernel(.param .u64 out) {\n"
                             ".reg .b32 %r<32>; .reg .b64 %rd<16>; .reg .pred %p<4>; .reg .b16 %rs<4>;\n"
                             ".shared .align 128 .b8 memory[8192];\n"
                             "ld.param.u64 %rd0, [out]; mov.u32 %r0, %tid.x; mov.u32 %r1, memory;\n" +
                             body + "\nret;\n}\n";
    auto module = PtxModule::parse(text, "counters.ptx");
    EXPECT_TRUE(module) << module.status().message();
    auto gpu = VirtualGpu::create();
    EXPECT_TRUE(gpu);
    DeviceAddress out = *(*gpu)->allocate(4096);
    EXPECT_TRUE((*gpu)->memset(out, std::byte{0}, 4096));
    void *arguments[] = {&out};
    LaunchReport report = (*gpu)->launch(*module, "kernel", {.grid = {2, 1, 1}, .block = {32 * warps, 1, 1}}, arguments,
                                         {.completion = completion, .seed = seed, .threads = 1, .countMemory = countMemory});
    EXPECT_TRUE(report.status) << report.status.message();
    counters = report.counters;
  }
  std::uint64_t of(InstructionClass kind) const { return counters.of(kind) / 2; }

  Counters counters; ///< of two CTAs
};

} // namespace

TEST(Counters, ClassesAreThoseOfTheUnits) {
  Counted run(R"(
    cvt.rn.f32.u32 %r2, %r0;
    fma.rn.f32 %r3, %r2, %r2, %r2;  add.f32 %r3, %r3, %r2;
    max.f32 %r4, %r3, %r2;
    ex2.approx.ftz.f32 %r5, %r4;    tanh.approx.f32 %r5, %r5;
    add.s32 %r6, %r0, 1;            and.b32 %r6, %r6, 7;      shl.b32 %r6, %r6, 2;
    setp.lt.f32 %p0, %r5, %r4;      and.pred %p1, %p0, %p0;
    selp.b32 %r7, %r6, %r0, %p1;
    cvt.rn.f16x2.f32 %r8, %r5, %r4; fma.rn.f16x2 %r8, %r8, %r8, %r8;  ex2.approx.f16x2 %r8, %r8;
    shfl.sync.bfly.b32 %r9, %r8, 1, 31, -1;
    cvt.f64.f32 %rd1, %r4; add.rn.f64 %rd1, %rd1, %rd1; max.f64 %rd1, %rd1, %rd1;
    @%p1 bra done;
  done:
    bar.sync 0;)");
  EXPECT_EQ(run.of(InstructionClass::FloatArithmetic), 2u);
  EXPECT_EQ(run.of(InstructionClass::FloatMinMax), 1u);
  EXPECT_EQ(run.of(InstructionClass::SpecialFunction), 3u);
  EXPECT_EQ(run.counters.specialFunctionOps, 2u * 32 * (1 + 1 + 2));
  EXPECT_EQ(run.of(InstructionClass::Integer), 3u);
  EXPECT_EQ(run.of(InstructionClass::Predicate), 2u);
  EXPECT_EQ(run.of(InstructionClass::Select), 1u);
  EXPECT_EQ(run.of(InstructionClass::DoubleArithmetic), 2u);
  EXPECT_EQ(run.of(InstructionClass::Conversion), 3u);
  EXPECT_EQ(run.of(InstructionClass::PackedHalf), 1u);
  EXPECT_EQ(run.of(InstructionClass::Shuffle), 1u);
  EXPECT_EQ(run.of(InstructionClass::Synchronization), 1u);
  EXPECT_EQ(run.of(InstructionClass::Control), 2u);
  EXPECT_EQ(run.of(InstructionClass::Move), 2u);
  EXPECT_EQ(run.of(InstructionClass::ParameterMemory), 1u);
  EXPECT_EQ(run.counters.totalWarpInstructions, 2u * 25);
  EXPECT_EQ(run.counters.waits, 0u);
}

TEST(Counters, SectorsOfGlobalRequests) {
  // 32 lanes, 4 bytes each: in a row 4 sectors, 128 bytes apart 32, all at one address 1.
  Counted run(R"(
    mad.wide.u32 %rd1, %r0, 4, %rd0;    ld.global.b32 %r2, [%rd1];
    mad.wide.u32 %rd2, %r0, 128, %rd0;  ld.global.b32 %r3, [%rd2];
    ld.global.b32 %r4, [%rd0];
    setp.lt.u32 %p0, %r0, 9;            @%p0 st.global.b32 [%rd1], %r2;)");
  EXPECT_EQ(run.counters.globalSectors, 2u * (4 + 32 + 1 + 2));
  EXPECT_EQ(run.counters.globalBytes, 2u * (128 * 3 + 9 * 4));
  EXPECT_EQ(run.of(InstructionClass::GlobalMemory), 4u);
  EXPECT_EQ(run.counters.sharedWavefronts, 0u);
  // The guarded store has nine lanes, all else 32.
  EXPECT_EQ(run.counters.activeLanes, run.counters.totalWarpInstructions * 32 - 2 * 23);
}

TEST(Counters, WavefrontsAndBankConflicts) {
  // 4 bytes a lane in a row: 1 wavefront. Two words apart: 2. 32 words apart: all in one bank. 16 bytes a lane in a row: 4.
  Counted run(R"(
    mad.lo.u32 %r2, %r0, 4, %r1;    st.shared.b32 [%r2], %r0;
    mad.lo.u32 %r3, %r0, 8, %r1;    st.shared.b32 [%r3], %r0;
    mad.lo.u32 %r4, %r0, 128, %r1;  st.shared.b32 [%r4], %r0;
    mad.lo.u32 %r5, %r0, 16, %r1;   st.shared.v4.b32 [%r5], {%r0, %r0, %r0, %r0};
    ld.shared.b32 %r6, [%r1];)");
  EXPECT_EQ(run.counters.sharedWavefronts, 2u * (1 + 2 + 32 + 4 + 1));
  EXPECT_EQ(run.counters.sharedBankConflicts, 2u * (1 + 31));
  EXPECT_EQ(run.counters.globalSectors, 0u);
}

TEST(Counters, MatricesFromSharedMemory) {
  // Rows of 16 bytes, 16 bytes apart: 8 of them are one wavefront. 128 bytes apart they share their banks.
  Counted run(R"(
    mad.lo.u32 %r2, %r0, 16, %r1;   st.shared.v4.b32 [%r2], {%r0, %r0, %r0, %r0};
    bar.warp.sync -1;
    ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4, %r5, %r6, %r7}, [%r2];
    mad.lo.u32 %r3, %r0, 128, %r1;  st.shared.v4.b32 [%r3], {%r0, %r0, %r0, %r0};
    bar.warp.sync -1;
    ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4, %r5, %r6, %r7}, [%r3];
    mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r8, %r9, %r10, %r11}, {%r4, %r5, %r6, %r7}, {%r4, %r5}, {%r0, %r0, %r0, %r0};)");
  EXPECT_EQ(run.counters.sharedWavefronts, 2u * (4 + 4 + 32 + 32));
  EXPECT_EQ(run.counters.sharedBankConflicts, 2u * 2 * 28);
  EXPECT_EQ(run.counters.tensorMacs, 2u * 16 * 8 * 16);
  EXPECT_EQ(run.of(InstructionClass::Tensor), 1u);
}

TEST(Counters, AsynchronousCopiesReadGlobalAndWriteSharedMemory) {
  Counted run(R"(
    mad.wide.u32 %rd1, %r0, 16, %rd0;  mad.lo.u32 %r2, %r0, 16, %r1;
    cp.async.cg.shared.global [%r2], [%rd1], 16;
    cp.async.commit_group;  cp.async.wait_group 0;)");
  EXPECT_EQ(run.counters.globalBytes, 2u * 512);
  EXPECT_EQ(run.counters.globalSectors, 2u * 16);
  EXPECT_EQ(run.counters.sharedWavefronts, 2u * 4);
  EXPECT_EQ(run.counters.tensorCopyBytes, 0u);
  EXPECT_EQ(run.of(InstructionClass::AsyncCopy), 3u);
}

/// Wider accesses take turns of 16 and 8 lanes, matrices of eight rows each: a stride that is right for one is not for another.
TEST(Counters, PhasesDependOnTheWidth) {
  // 8 bytes a lane: in a row two phases of one wavefront; 16 bytes apart each bank has two words in each phase; all at one
  // address nothing conflicts. A store of a matrix whose rows are 144 bytes apart has none either, one of 256 bytes eight words a bank.
  Counted run(R"(
    mad.lo.u32 %r2, %r0, 8, %r1;    st.shared.b64 [%r2], %rd0;
    mad.lo.u32 %r3, %r0, 16, %r1;   st.shared.b64 [%r3], %rd0;
    ld.shared.b64 %rd2, [%r1];
    setp.lt.u32 %p0, %r0, 16;       @%p0 ld.shared.b64 %rd3, [%r3];
    mad.lo.u32 %r4, %r0, 144, %r1;  stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r4], {%r0};
    mad.lo.u32 %r5, %r0, 256, %r1;  stmatrix.sync.aligned.m8n8.x2.shared.b16 [%r5], {%r0, %r0};)",
              1, true, "sm_90a");
  EXPECT_EQ(run.counters.sharedWavefronts, 2u * (2 + 4 + 2 + 2 + 1 + 16));
  EXPECT_EQ(run.counters.sharedBankConflicts, 2u * (2 + 1 + 14));
}

/// A box of 8 rows of 128 bytes, read whole; from the ninth element on, of which 112 bytes of each row are there; and two rows
/// before the tensor, of which there are six. All of the box arrives, only what is there is read.
TEST(Counters, TensorCopiesReadWhatIsInsideTheTensor) {
  struct Read {
    int column, row;
    std::uint64_t bytes, sectors;
  };
  for (const Read &read : {Read{0, 0, 8 * 128, 8 * 4}, Read{8, 0, 8 * 112, 8 * 4}, Read{16, 0, 8 * 96, 8 * 3}, Read{0, -2, 6 * 128, 6 * 4}, Read{0, 40, 0, 0}}) {
    const std::string text = ".version 8.0\n.target sm_90a\n.address_size 64\n"
                             ".visible .entry kernel(.param .align 64 .b8 map[128]) {\n"
                             ".reg .b32 %r<8>; .reg .b64 %rd<4>; .reg .pred %p<4>;\n"
                             ".shared .align 1024 .b8 tile[1024]; .shared .align 8 .b64 barrier;\n"
                             "mov.b64 %rd0, map; cvta.param.u64 %rd0, %rd0; mov.u32 %r0, tile; mov.u32 %r1, barrier;\n"
                             "mov.u32 %r2, " + std::to_string(read.column) + "; mov.u32 %r3, " + std::to_string(read.row) + ";\n" + R"(
      mbarrier.init.shared.b64 [%r1], 1;
      fence.mbarrier_init.release.cluster;
      mbarrier.arrive.expect_tx.shared.b64 %rd1, [%r1], 1024;
      cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r0], [%rd0, {%r2, %r3}], [%r1];
    WAIT:
      mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0;
      @!%p1 bra WAIT;
      ret;
    })";
    auto module = PtxModule::parse(text, "copies.ptx");
    ASSERT_TRUE(module) << module.status().message();
    auto gpu = VirtualGpu::create();
    ASSERT_TRUE(gpu);
    const DeviceAddress tensor = *(*gpu)->allocate(64 * 32 * 2);
    ASSERT_TRUE((*gpu)->memset(tensor, std::byte{0}, 64 * 32 * 2));
    alignas(64) std::array<std::byte, kTensorMapBytes> map;
    ASSERT_TRUE(encodeTensorMap({.address = tensor, .rank = 2, .elementBytes = 2, .extents = {64, 32}, .strides = {128}, .box = {64, 8}, .swizzle = 128}, map));
    void *arguments[] = {map.data()};
    LaunchReport report = (*gpu)->launch(*module, "kernel", {.block = {1, 1, 1}}, arguments, {.threads = 1, .countMemory = true});
    ASSERT_TRUE(report.status) << report.status.message();
    EXPECT_EQ(report.counters.globalBytes, read.bytes);
    EXPECT_EQ(report.counters.globalSectors, read.sectors);
    EXPECT_EQ(report.counters.tensorCopyBytes, 1024u);
  }
}

/// What waits is counted once, and the wait beside it.
TEST(Counters, WaitsAreNoInstructions) {
  const std::string body = R"(
    setp.ne.u32 %p0, %r0, 0;
    @!%p0 mbarrier.init.shared.b64 [%r1], 1;
    bar.sync 0;
    setp.eq.u32 %p1, %r0, 64;
    @%p1 mbarrier.arrive.shared.b64 %rd1, [%r1];
  again:
    mbarrier.try_wait.parity.shared.b64 %p2, [%r1], 0;
    @!%p2 bra again;)";
  Counted run(body, 4, true, "sm_90");
  // Of four warps three come to the barrier before the last, and three to the phase before warp 2 arrives.
  EXPECT_EQ(run.counters.waits, 2u * (3 + 3));
  EXPECT_EQ(run.of(InstructionClass::Synchronization), 4u * 4);
  EXPECT_EQ(run.of(InstructionClass::Control), 4u * 2);
  // Other turns of the warps: other waits, the same instructions.
  for (std::uint64_t seed : {1, 2, 3}) {
    Counted other(body, 4, true, "sm_90", AsyncCompletion::Random, seed);
    EXPECT_EQ(other.counters.warpInstructions, run.counters.warpInstructions) << seed;
    EXPECT_EQ(other.counters.activeLanes, run.counters.activeLanes) << seed;
  }
}

TEST(Counters, ProductsReadTheirOperandsOnceForFourWarps) {
  const std::string body = R"(
    mad.lo.u32 %r2, %r0, 16, %r1;  st.shared.v4.b32 [%r2], {0, 0, 0, 0};  st.shared.v4.b32 [%r2+2048], {0, 0, 0, 0};
    st.shared.v4.b32 [%r2+4096], {0, 0, 0, 0};
    fence.proxy.async;
    bar.sync 0;
    cvt.u64.u32 %rd2, %r1;  shr.u64 %rd2, %rd2, 4;  mov.u64 %rd3, 0x0000000800080000;  or.b64 %rd2, %rd2, %rd3;
    wgmma.fence.sync.aligned;
    wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 {%r8, %r9, %r10, %r11, %r12, %r13, %r14, %r15}, %rd2, %rd2, 0, 1, 1, 0, 0;
    wgmma.commit_group.sync.aligned;
    wgmma.wait_group.sync.aligned 0;)";
  Counted run(body, 4, true, "sm_90a");
  EXPECT_EQ(run.counters.tensorMacs, 2u * 64 * 16 * 16);
  EXPECT_EQ(run.counters.productSharedBytes, 2u * (64 * 16 * 2 + 16 * 16 * 2));
  EXPECT_EQ(run.of(InstructionClass::Tensor), 4u);
}

TEST(Counters, MemoryIsCountedOnRequest) {
  const std::string body = "ld.global.b32 %r2, [%rd0]; st.shared.b32 [%r1], %r2;";
  Counted run(body, 1, false);
  EXPECT_EQ(run.counters.globalBytes + run.counters.globalSectors + run.counters.sharedWavefronts, 0u);
  EXPECT_EQ(run.of(InstructionClass::GlobalMemory), 1u);
}

TEST(Counters, Add) {
  WorkCounters sum, one;
  one.warpInstructions[3] = 5;
  one.totalWarpInstructions = 5;
  one.tensorMacs = 7;
  one.productSharedBytes = 9;
  sum += one;
  sum += one;
  EXPECT_EQ(sum.warpInstructions[3], 10u);
  EXPECT_EQ(sum.totalWarpInstructions, 10u);
  EXPECT_EQ(sum.tensorMacs, 14u);
  EXPECT_EQ(sum.productSharedBytes, 18u);
}

} // namespace attn::emulator
