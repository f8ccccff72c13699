// The reader of disassemblies, on small texts in the forms that nvdisasm and cuobjdump print.
#include "tools/attnc/Sass.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace attn::tools {

/// A consumer's loop (0x50 to 0x130) with a mask behind a branch and a spin at the end of the kernel, in a loop over
/// tiles; a producer's loop; a called function.
static constexpr std::string_view kHopper = R"(
	.section	.text.kernel,"ax",@progbits
        .size           kernel,(.L_x_9 - kernel)
kernel:
.text.kernel:
        /*0000*/                   S2R R0, SR_TID.X ;
        /*0010*/               @P0 BRA `(.L_x_5) ;
.L_x_0:
        /*0020*/                   HGMMA.64x128x16.F32 R24, gdesc[UR20], RZ, !UPT, gsb0 ;
        /*0030*/                   WARPGROUP.DEPBAR.LE gsb0, 0x0 ;
        /*0040*/                   MUFU.EX2 R25, R25 ;
.L_x_1:
        /*0050*/                   SYNCS.PHASECHK.TRANS64.TRYWAIT P1, [UR22+0x18030], R24 ;
        /*0060*/              @!P1 BRA `(.L_x_7) ;
.L_x_2:
        /*0070*/                   HGMMA.64x128x16.F32.BF16 R24, gdesc[UR20], R24, gsb0 ;
        /*0080*/                   HGMMA.64x64x16.F32 R88, R120, gdesc[UR16].tnspB, R88, gsb0 ;
        /*0090*/                   WARPGROUP.DEPBAR.LE gsb0, 0x1 ;
        /*00a0*/              @!P2 BRA `(.L_x_3) ;
        /*00b0*/                   FSEL R26, R26, -INF , !P3 ;
        /*00c0*/                   ISETP.GE.AND P4, PT, R3, 0x8, PT ;
.L_x_3:
        /*00d0*/                   FMNMX.FTZ R27, R26, R25, !PT ;
        /*00e0*/                   MUFU.EX2 R27, R27 ;
        /*00f0*/                   MUFU.EX2 R28, R28 ;
        /*0100*/                   WARPGROUP.DEPBAR.LE gsb0, 0x0 ;
        /*0110*/                   IMAD.MOV.U32 R30, RZ, RZ, R31 ;
        /*0120*/                   MUFU.EX2 R29, R29 ;
        /*0130*/               @P5 BRA `(.L_x_1) ;
        /*0140*/                   CALL.REL.NOINC `($__internal_0) ;
        /*0150*/               @P6 BRA `(.L_x_0) ;
        /*0160*/                   EXIT ;
.L_x_5:
        /*0170*/                   UTMALDG.4D [UR8], [UR16] ;
        /*0180*/                   UIADD3 UR4, UR4, 0x1, URZ ;
        /*0190*/                   BRA.U UP0, `(.L_x_5) ;
        /*01a0*/                   EXIT ;
.L_x_7:
        /*01b0*/                   SYNCS.PHASECHK.TRANS64.TRYWAIT P1, [UR22+0x18030], R24 ;
        /*01c0*/              @!P1 BRA `(.L_x_7) ;
        /*01d0*/                   BRA `(.L_x_2) ;
$__internal_0:
        /*01e0*/                   MUFU.RCP R2, R24 ;
        /*01f0*/                   RET.REL.NODEC R24 `(kernel) ;
.L_x_9:
)";

/// As cuobjdump prints: addresses instead of labels, encodings beside and below.
static constexpr std::string_view kAmpere = R"(
	code for sm_80
		Function : first
	.headerflags	@"EF_CUDA_SM80"
        /*0000*/                   LDSM.16.M88.4 R4, [R2] ;                /* 0x000000000204783b */
                                                                           /* 0x000fe20000000200 */
        /*0010*/                   HMMA.16816.F32.BF16 R8, R4, R12, R8 ;   /* 0x0000000c0408723c */
        /*0020*/                   LDS.U.64 R6, [R3] ;                     /* 0x0 */
        /*0030*/              @!P0 CALL.REL.NOINC 0x60 ;                   /* 0x0 */
        /*0040*/                   FOO.BAR R1 ;                            /* 0x0 */
        /*0050*/                   BRA 0x0 ;                               /* 0x0 */
        /*0060*/                   EXIT ;                                  /* 0x0 */
		Function : second
        /*0000*/                   EXIT ;                                  /* 0x0 */
)";

static unsigned countOf(const SassFunction &function, const std::vector<std::size_t> &list, InstructionClass kind) {
  return static_cast<unsigned>(std::count_if(list.begin(), list.end(), [&](std::size_t i) { return function.code[i].kind == kind; }));
}

TEST(Sass, FindsTheInnermostLoopWithProducts) {
  auto functions = parseSass(kHopper);
  ASSERT_TRUE(functions) << functions.status().message();
  ASSERT_EQ(functions->size(), 1u);
  const SassFunction &kernel = functions->front();
  EXPECT_EQ(kernel.name, "kernel");
  ASSERT_EQ(kernel.code.size(), 32u);
  std::vector<SassLoop> loops = productLoops(kernel);
  ASSERT_EQ(loops.size(), 1u);
  const SassLoop &loop = loops.front();
  EXPECT_EQ(kernel.code[loop.shortest.front()].address, 0x50u);
  EXPECT_EQ(kernel.code[loop.shortest.back()].address, 0x130u);
  EXPECT_EQ(loop.shortest.size(), 13u);
  // The mask, and the spin that waits for a barrier, stand beside it.
  EXPECT_EQ(loop.longest.size(), 18u);
  EXPECT_EQ(loop.all, loop.longest);
  EXPECT_EQ(countOf(kernel, loop.shortest, InstructionClass::Tensor), 2u);
  EXPECT_EQ(countOf(kernel, loop.shortest, InstructionClass::SpecialFunction), 3u);
  EXPECT_EQ(countOf(kernel, loop.shortest, InstructionClass::Move), 1u);
  EXPECT_EQ(countOf(kernel, loop.shortest, InstructionClass::Select), 0u);
  EXPECT_EQ(countOf(kernel, loop.longest, InstructionClass::Select), 1u);
  EXPECT_EQ(countOf(kernel, loop.longest, InstructionClass::Predicate), 1u);
}

/// A branch with a product on one side only: the way with the product counts, though it is longer.
TEST(Sass, TheShortestWayHasAllProducts) {
  auto functions = parseSass("\tFunction : kernel\n"
                             "/*0000*/ @P0 BRA 0x30 ;\n"
                             "/*0010*/ HMMA.16816.F32 R8, R4, R12, R8 ;\n"
                             "/*0020*/ FADD R1, R1, R2 ;\n"
                             "/*0030*/ @!P1 BRA 0x50 ;\n"
                             "/*0040*/ FMUL R1, R1, R2 ;\n"
                             "/*0050*/ @P2 BRA 0x0 ;\n"
                             "/*0060*/ EXIT ;\n");
  ASSERT_TRUE(functions) << functions.status().message();
  std::vector<SassLoop> loops = productLoops(functions->front());
  ASSERT_EQ(loops.size(), 1u);
  EXPECT_EQ(loops.front().shortest, (std::vector<std::size_t>{0, 1, 2, 3, 5}));
  EXPECT_EQ(loops.front().longest, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5}));
}

TEST(Sass, FindsTheProducersLoop) {
  auto functions = parseSass(kHopper);
  ASSERT_TRUE(functions);
  std::vector<SassLoop> loops = copyLoops(functions->front());
  ASSERT_EQ(loops.size(), 1u);
  EXPECT_EQ(loops.front().shortest.size(), 3u);
  EXPECT_EQ(countOf(functions->front(), loops.front().shortest, InstructionClass::AsyncCopy), 1u);
  EXPECT_EQ(countOf(functions->front(), loops.front().shortest, InstructionClass::Integer), 1u);
}

TEST(Sass, CountsExponentialsBetweenTheWaits) {
  auto functions = parseSass(kHopper);
  ASSERT_TRUE(functions);
  SassLoop loop = productLoops(functions->front()).front();
  SassOverlap overlap = overlapOf(functions->front(), loop);
  EXPECT_TRUE(overlap.hasWaits);
  EXPECT_TRUE(overlap.leavesInFlight);
  EXPECT_FALSE(overlap.isSerialized);
  EXPECT_EQ(overlap.exponentials, 3u);
  EXPECT_EQ(overlap.exponentialsBetween, 2u);

  // As ptxas leaves it when nothing pins the wait: hoisted above the exponentials.
  std::string hoisted(kHopper);
  std::size_t exponential = hoisted.find("MUFU.EX2 R27, R27"), wait = hoisted.find("WARPGROUP.DEPBAR.LE gsb0, 0x0 ;", exponential);
  hoisted.replace(wait, 31, "NOP ;");
  hoisted.replace(exponential, 17, "WARPGROUP.DEPBAR.LE gsb0, 0x0");
  functions = parseSass(hoisted);
  ASSERT_TRUE(functions);
  overlap = overlapOf(functions->front(), productLoops(functions->front()).front());
  EXPECT_EQ(overlap.exponentialsBetween, 0u);

  // As it does when it gives up on asynchrony.
  std::string serialized(kHopper);
  serialized.replace(serialized.find("gsb0, 0x1"), 9, "gsb0, 0x0");
  functions = parseSass(serialized);
  ASSERT_TRUE(functions);
  overlap = overlapOf(functions->front(), productLoops(functions->front()).front());
  EXPECT_FALSE(overlap.leavesInFlight);
  EXPECT_TRUE(overlap.isSerialized);
}

TEST(Sass, ProductsAndTheirOperands) {
  auto functions = parseSass(kHopper);
  ASSERT_TRUE(functions);
  const SassFunction &kernel = functions->front();
  auto at = [&](std::uint32_t address) {
    return *std::find_if(kernel.code.begin(), kernel.code.end(), [&](const auto &each) { return each.address == address; });
  };
  EXPECT_EQ(productOf(at(0x70)).macs, 16 * 128 * 16);
  EXPECT_EQ(productOf(at(0x70)).sharedBytes, (64 * 16 * 2 + 128 * 16 * 2) / 4);
  EXPECT_EQ(productOf(at(0x80)).macs, 16 * 64 * 16);
  EXPECT_EQ(productOf(at(0x80)).sharedBytes, 64 * 16 * 2 / 4);
  EXPECT_EQ(productOf(at(0x90)).macs, 0);
}

TEST(Sass, ReadsAddressesInsteadOfLabels) {
  auto functions = parseSass(kAmpere);
  ASSERT_TRUE(functions) << functions.status().message();
  ASSERT_EQ(functions->size(), 2u);
  const SassFunction &kernel = functions->front();
  EXPECT_EQ(kernel.name, "first");
  EXPECT_EQ(functions->back().code.size(), 1u);
  std::vector<SassLoop> loops = productLoops(kernel);
  ASSERT_EQ(loops.size(), 1u);
  EXPECT_EQ(loops.front().shortest, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(productOf(kernel.code[1]).macs, 16 * 8 * 16);
  EXPECT_EQ(productOf(kernel.code[1]).sharedBytes, 0);
  EXPECT_EQ(sharedWavefrontsOf(kernel.code[0]), 4);
  EXPECT_EQ(sharedWavefrontsOf(kernel.code[2]), 2);
  EXPECT_FALSE(kernel.code[4].isKnown);
  EXPECT_EQ(kernel.code[4].kind, InstructionClass::Other);
}

/// 8-bit factors: half of the time of as many of 16 bits, and half of the bytes.
TEST(Sass, CountsProductsOfBytes) {
  auto functions = parseSass("\t\tFunction : bytes\n"
                             "/*0000*/ QGMMA.64x128x32.F32.E4M3.E5M2 R24, gdesc[UR20], R24, gsb0 ;\n"
                             "/*0010*/ QMMA.16832.F32.E4M3.E4M3 R8, R4, R12, R8 ;\n");
  ASSERT_TRUE(functions) << functions.status().message();
  const SassFunction &kernel = functions->front();
  EXPECT_EQ(productOf(kernel.code[0]).macs, 16 * 128 * 32 / 2);
  EXPECT_EQ(productOf(kernel.code[0]).sharedBytes, (64 * 32 + 128 * 32) / 4);
  EXPECT_EQ(productOf(kernel.code[1]).macs, 16 * 8 * 32 / 2);
}

TEST(Sass, RefusesWhatIsNoDisassembly) {
  EXPECT_FALSE(parseSass(""));
  EXPECT_FALSE(parseSass("nvdisasm fatal : unsupported file"));
  EXPECT_FALSE(parseSass("\t.section\t.text.kernel,\"ax\"\nkernel:\n"));
}

} // namespace attn::tools
