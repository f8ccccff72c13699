// Extents that no dimension is by itself: what a launch makes of the sizes they stand in. On the null device.
#include "attn/Attn.h"

#include <gtest/gtest.h>

namespace attn {

static constexpr std::string_view kManifest = R"json({
  "format": 1, "name": "tables", "target": "sm_80",
  "tensors": [
    {"name": "near", "type": "f32", "role": "input", "dims": ["2 * span + 1"], "alignment": 4},
    {"name": "far", "type": "f32", "role": "input", "dims": ["reach - span"], "alignment": 4},
    {"name": "grid", "type": "f32", "role": "input", "dims": ["rows * columns"], "alignment": 4}],
  "scalars": [], "checks": [],
  "kernels": [{"name": "tables", "grid": ["reach", "1", "1"], "threads": 32, "sharedBytes": 0,
               "params": [{"kind": "extent", "name": "span"}, {"kind": "extent", "name": "rows"}]}],
  "source": ""
})json";

namespace {

class SolvedExtentsTest : public ::testing::Test {
protected:
  void SetUp() override {
    auto opened = Device::open("null");
    ASSERT_TRUE(opened) << opened.status().message();
    device = *opened;
    auto module = Module::fromPtx(*device, ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry tables() { ret; }\n", std::string(kManifest));
    ASSERT_TRUE(module) << module.status().message();
    auto loaded = module->plan();
    ASSERT_TRUE(loaded) << loaded.status().message();
    plan = *loaded;
    buffer = std::move(*Buffer::allocate(*device, 4096));
  }

  /// The message of a launch with tables of these lengths; empty if it is right.
  std::string message(std::int64_t near, std::int64_t far, std::int64_t grid, std::vector<Argument> numbers) {
    auto view = [&](std::int64_t length) { return buffer->view(ElementType::F32, {length}); };
    std::vector<Argument> arguments{{"near", view(near)}, {"far", view(far)}, {"grid", view(grid)}};
    arguments.insert(arguments.end(), numbers.begin(), numbers.end());
    return std::string(plan->launch(Stream::defaultOf(*device), arguments).message());
  }

  std::optional<Device> device;
  std::optional<Plan> plan;
  std::optional<Buffer> buffer;
};

} // namespace

TEST_F(SolvedExtentsTest, OneUnknownFollowsFromTheSizeAndGivesOthers) {
  EXPECT_EQ(message(21, 5, 12, {{"rows", 3}}), ""); // span = 10, reach = 15, columns = 4
  EXPECT_EQ(message(21, 5, 12, {{"rows", 3}, {"span", 10}}), "");
}

TEST_F(SolvedExtentsTest, TwoUnknownsAreAskedFor) {
  EXPECT_NE(message(21, 5, 12, {}).find("no tensor's shape gives this extent, so pass it as a number"), std::string::npos);
}

TEST_F(SolvedExtentsTest, SizesThatNoExtentGivesAreRefused) {
  EXPECT_NE(message(20, 5, 12, {{"rows", 3}}).find("`near`: dimension 0 is `2 * span + 1`, which is 20 for no `span`"), std::string::npos);
  EXPECT_NE(message(21, 5, 12, {{"rows", 5}}).find("`grid`: dimension 0 is `rows * columns`, which is 12 for no `columns` (rows = 5)"), std::string::npos);
  EXPECT_NE(message(21, 5, 12, {{"rows", 3}, {"span", 9}}).find("`near`: dimension 0 must be `2 * span + 1` = 19, but is 21"), std::string::npos);
}

} // namespace attn
