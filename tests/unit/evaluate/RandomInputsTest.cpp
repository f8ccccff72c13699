// Generated data keep what the specification promises.
#include "SpecFixture.h"
#include "dsl/RandomInputs.h"

#include <gtest/gtest.h>
#include <set>

using namespace attn;
using namespace attn::dsl;

namespace {
class RandomInputsTest : public attn::test::SpecFixture {};
} // namespace

TEST_F(RandomInputsTest, KeepsPromises) {
  const TypedSpec *spec = analyzed(R"(
    attention t(document: i32[batch, kv_len] in 3..9 ascending, end: i32[batch, q_len] in 1..q_len,
                window_size: i32 in 5..8, bias: f32[q_heads] in 0..1) {
      head_dim: 8
      mask = document[b, kv_idx] > 4 and end[b, q_idx] > kv_idx and kv_idx < window_size
      score = score + bias[h]
    })");
  ASSERT_TRUE(spec);
  Result<EvaluationInput> input = randomInput(*spec, {{{"batch", 3}, {"q_len", 11}, {"kv_len", 50}, {"q_heads", 5}}, {}, {}});
  ASSERT_TRUE(input) << input.status().message();
  const HostTensor &document = input->tensors.at("document"), &end = input->tensors.at("end"), &bias = input->tensors.at("bias");
  ASSERT_EQ(document.shape, (std::vector<std::int64_t>{3, 50}));
  std::set<double> seen;
  for (int i = 0; i < 150; ++i) {
    EXPECT_TRUE(document.get(i) >= 3 && document.get(i) <= 9);
    EXPECT_TRUE(i % 50 == 0 || document.get(i) >= document.get(i - 1));
    seen.insert(document.get(i));
  }
  EXPECT_GT(seen.size(), 2U);
  for (int i = 0; i < 33; ++i)
    EXPECT_TRUE(end.get(i) >= 1 && end.get(i) <= 11);
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(bias.get(i) >= 0 && bias.get(i) <= 1);
  EXPECT_TRUE(input->scalars.at("window_size") >= 5 && input->scalars.at("window_size") <= 8);
}

TEST_F(RandomInputsTest, FollowsTheSeed) {
  const TypedSpec *spec = analyzed("attention t { head_dim: 8 }");
  ASSERT_TRUE(spec);
  EvaluationInput bound{{{"batch", 1}, {"q_len", 4}, {"kv_len", 4}, {"q_heads", 2}}, {}, {}};
  auto query = [&](std::uint64_t seed) { return randomInput(*spec, bound, {.seed = seed})->tensors.at("query").bytes; };
  EXPECT_EQ(query(5), query(5));
  EXPECT_NE(query(5), query(6));
}

TEST_F(RandomInputsTest, FillsInWhatIsNotGiven) {
  const TypedSpec *spec = analyzed("attention t(table: f32[span, q_heads]) { kv_heads: 2; head_dim: 8; softmax_scale: runtime; score = score + table[kv_idx, h] }");
  ASSERT_TRUE(spec);
  Result<EvaluationInput> input = randomInput(*spec, {{{"batch", 1}, {"q_len", 4}, {"kv_len", 9}}, {}, {}});
  ASSERT_TRUE(input) << input.status().message();
  EXPECT_EQ(input->extents.at("q_heads"), 4);
  EXPECT_EQ(input->extents.at("span"), 9);
  EXPECT_TRUE(input->scalars.contains("softmax_scale"));
  EXPECT_TRUE(evaluate(*spec, *input));
}

TEST_F(RandomInputsTest, HostileShapesRun) {
  for (std::string heads : {"", "q_heads: 32; kv_heads: 8; ", "kv_heads: 1; "}) {
    const TypedSpec *spec = analyzed("attention t { " + heads + "head_dim: 8; mask = causal() }");
    ASSERT_TRUE(spec);
    std::vector<EvaluationInput> shapes = hostileShapes(*spec);
    EXPECT_GE(shapes.size(), 5U);
    bool hasHiddenRows = false;
    for (const EvaluationInput &shape : shapes) {
      Result<EvaluationInput> input = randomInput(*spec, shape);
      ASSERT_TRUE(input) << input.status().message();
      hasHiddenRows |= input->extents.at("q_len") > input->extents.at("kv_len");
      EXPECT_TRUE(evaluate(*spec, *input));
    }
    EXPECT_TRUE(hasHiddenRows);
  }
}
