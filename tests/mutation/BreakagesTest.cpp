// The language of edits that Breakages.def is written in.
#include "tests/mutation/Breakages.h"

#include "runtime/emulator/Emulator.h"

#include <gtest/gtest.h>

namespace attn::mutation {

static const char *const kKernel = R"(.version 8.0
.target sm_90a
.address_size 64
.visible .entry kernel(.param .u64 out)
{
  .reg .pred %p<4>;
  .reg .b32 %r<8>;
  .reg .b64 %d<2>;
  ld.param.u64 %d0, [out];
  mov.u32 %r1, 0;
  @%p1 st.global.u32 [%d0+8], %r1;
  st.global.v2.u32 [%d0], {%r1, %r2};
  elect.sync %r3|%p2, -1;
  ret;
}
)";

static std::string printed() { return emulator::PtxModule::parse(kKernel)->print(); }

/// What an edit makes of the only instruction that has `place` in it: the lines that are not in the kernel.
static std::string edited(std::string_view place, std::string_view edit) {
  const std::string text = printed();
  const Breakage breakage{"", "", place, edit, ""};
  const std::vector<unsigned> places = placesOf(breakage, text, {});
  EXPECT_EQ(places.size(), 1u);
  const std::string broken = applied(breakage, text, places.at(0));
  if (broken.empty())
    return "does not fit";
  EXPECT_TRUE(emulator::PtxModule::parse(broken)) << broken;
  const std::size_t begin = broken.find("setp.ne.u32 %odd"), end = broken.find("\tret;");
  std::string body = broken.substr(begin, end - begin), found;
  for (std::size_t at = body.find('\n') + 1; at < body.size();) {
    const std::size_t next = body.find('\n', at);
    const std::string line = body.substr(at, next - at + 1);
    if (text.find(line) == std::string::npos)
      found += line.substr(1, line.size() - 2);
    at = next + 1;
  }
  return found;
}

TEST(Breakages, EditsNameTheParts) {
  EXPECT_EQ(edited("[%d0+8]", "{bare}"), "st.global.u32 [%d0+8], %r1;");
  EXPECT_EQ(edited("[%d0+8]", "{guard}{op} {0+-4}, {1}"), "@%p1 st.global.u32 [%d0+4], %r1;");
  EXPECT_EQ(edited("[%d0+8]", "mov.u32 %broken0, 7; {op} {0}, %broken0"), "mov.u32 %broken0, 7;st.global.u32 [%d0+8], %broken0;");
  EXPECT_EQ(edited("st.global.v2", "{op:.v2>} {0}, {1.2}"), "st.global.u32 [%d0], %r2;");
  EXPECT_EQ(edited("st.global.v2", "{op} {0}, {1.2=%broken7}"), "st.global.v2.u32 [%d0], {%r1, %broken7};");
  EXPECT_EQ(edited("st.global.v2", "add.s64 %wide0, {0*}, 8; {op} [%wide0], {1}"), "add.s64 %wide0, %d0, 8;st.global.v2.u32 [%wide0], {%r1, %r2};");
  EXPECT_EQ(edited("elect.sync", "setp.eq.u32 {0|}, 0, 0"), "setp.eq.u32 %p2, 0, 0;");
  EXPECT_EQ(edited("elect.sync", "@%odd bra BROKEN; {bare}; BROKEN:").substr(0, 16), "@%odd bra BROKEN");
  EXPECT_EQ(edited("elect.sync", ""), "");
}

TEST(Breakages, EditsThatDoNotFitAreRefused) {
  EXPECT_EQ(edited("elect.sync", "{7}"), "does not fit");
  EXPECT_EQ(edited("elect.sync", "{op:none>} {1}"), "does not fit");
  EXPECT_EQ(edited("st.global.v2", "{1.3}"), "does not fit");
  EXPECT_EQ(edited("[%d0+8]", "{0*}"), "does not fit");
}

TEST(Breakages, PlacesAreThoseThatWereExecuted) {
  const std::string text = printed();
  const Breakage breakage{"", "", "st.global&[%d0", "", ""};
  const std::vector<unsigned> places = placesOf(breakage, text, {});
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(placesOf(breakage, text, {places[1]}), std::vector<unsigned>{places[1]});
}

} // namespace attn::mutation
