// Scales against their definition: stored numbers times their scales, in a specification without any.
#include "SpecFixture.h"
#include "dsl/RandomInputs.h"

#include <gtest/gtest.h>

using namespace attn;
using namespace attn::dsl;

namespace {
class ScalesTest : public attn::test::SpecFixture {
protected:
  static constexpr std::int64_t kBatch = 2, kQueries = 7, kKeys = 11, kHeads = 4, kKeyHeads = 2;

  EvaluationInput random(const TypedSpec &spec) {
    Result<EvaluationInput> input = randomInput(spec, {{{"batch", kBatch}, {"q_len", kQueries}, {"kv_len", kKeys}}, {}, {}});
    EXPECT_TRUE(input) << input.status().message();
    return *input;
  }

  /// The scale of a row: of the tensor, its head's, or of its block of `block` rows.
  static double scaleOf(const EvaluationInput &input, const std::string &name, std::int64_t b, std::int64_t head, std::int64_t row,
                        std::int64_t block) {
    if (auto scalar = input.scalars.find(name); scalar != input.scalars.end())
      return static_cast<float>(scalar->second); // as a launch passes it
    const HostTensor &scale = input.tensors.at(name);
    std::int64_t place = b * scale.shape[1] + head;
    return scale.shape.size() == 2 ? scale.get(place) : scale.get(place * scale.shape[2] + row / block);
  }

  /// The values that the stored numbers of `name` stand for.
  static HostTensor scaled(const EvaluationInput &input, const std::string &name, std::int64_t block) {
    const HostTensor &stored = input.tensors.at(name);
    HostTensor values(ElementType::F64, stored.shape);
    for (std::int64_t i = 0; i < stored.elementCount(); ++i) {
      std::int64_t head = i / stored.shape[3] % stored.shape[2], row = i / stored.shape[3] / stored.shape[2] % stored.shape[1];
      std::int64_t b = i / stored.shape[3] / stored.shape[2] / stored.shape[1];
      values.set(i, stored.get(i) * scaleOf(input, name + "_scale", b, head, row, block));
    }
    return values;
  }

  void compare(const std::string &scales, const std::string &statements, std::int64_t block) {
    std::string head = "q_heads: 4; kv_heads: 2; head_dim: 8\n";
    const TypedSpec *spec = analyzed("attention t { dtype: e4m3; " + head + scales + "\n" + statements + " }");
    ASSERT_TRUE(spec);
    EvaluationInput input = random(*spec);
    Result<EvaluationOutput> own = evaluate(*spec, input);
    ASSERT_TRUE(own) << own.status().message();
    const TypedSpec *plain = analyzed("attention t { dtype: f64; " + head + statements + " }");
    ASSERT_TRUE(plain);
    EvaluationInput values;
    values.extents = input.extents;
    for (const char *name : {"query", "key", "value"})
      values.tensors.emplace(name, scaled(input, name, block));
    Result<EvaluationOutput> other = evaluate(*plain, values);
    ASSERT_TRUE(other) << other.status().message();
    for (std::size_t i = 0; i < own->lse.size(); ++i)
      EXPECT_NEAR(own->lse[i], other->lse[i], 1e-12);
    for (std::size_t i = 0; i < own->out.size(); ++i) {
      auto place = static_cast<std::int64_t>(i);
      std::int64_t row = place / 8 / kHeads % kQueries, b = place / 8 / kHeads / kQueries;
      EXPECT_NEAR(own->out[i] * scaleOf(input, "out_scale", b, place / 8 % kHeads, row, block), other->out[i], 1e-12);
    }
  }
};
} // namespace

static std::string all(const std::string &kind) {
  std::string text;
  for (const char *name : {"query", "key", "value", "out"})
    text += std::string(name) + "_scale: " + kind + "\n";
  return text;
}

TEST_F(ScalesTest, AreFactorsOfStoredNumbers) {
  compare(all("per_tensor"), "mask = causal()", 1);
  compare(all("per_head"), "mask = causal()", 1);
  compare(all("per_block(3)"), "mask = causal()", 3);
  compare(all("per_block(64)"), "", 64);
}

TEST_F(ScalesTest, ComeBeforeEverythingElse) {
  const std::string statements = "query = rope(query * rsqrt(sum(query * query) + 1), q_pos)\nkey = rope(key, kv_pos) + 1\nvalue = relu(value)\nout = out + 0.5";
  compare(all("per_head"), statements, 1);
  compare(all("per_block(2)"), statements, 2);
}

TEST_F(ScalesTest, HaveTheShapesOfTheirTensors) {
  const TypedSpec *spec = analyzed("attention t { q_heads: 4; kv_heads: 2; head_dim: 8; query_scale: per_block(3); key_scale: per_block(4); value_scale: per_head }");
  ASSERT_TRUE(spec);
  EvaluationInput input = random(*spec);
  EXPECT_EQ(input.tensors.at("query_scale").shape, (std::vector<std::int64_t>{kBatch, kHeads, 3}));
  EXPECT_EQ(input.tensors.at("key_scale").shape, (std::vector<std::int64_t>{kBatch, kKeyHeads, 3}));
  EXPECT_EQ(input.tensors.at("value_scale").shape, (std::vector<std::int64_t>{kBatch, kKeyHeads}));
  for (const char *name : {"query_scale", "key_scale", "value_scale"})
    for (std::int64_t i = 0; i < input.tensors.at(name).elementCount(); ++i)
      EXPECT_GT(input.tensors.at(name).get(i), 0) << name;
}

TEST_F(ScalesTest, OfBlocksInPagesLieByPage) {
  const std::string head = "q_heads: 4; kv_heads: 2; head_dim: 8; layout: paged(4); out_dtype: f32\n";
  const TypedSpec *spec = analyzed("attention t { dtype: e4m3; " + head + "key_scale: per_block(2); value_scale: per_block(3); mask = causal() }");
  ASSERT_TRUE(spec);
  EvaluationInput input = random(*spec);
  std::int64_t pages = input.tensors.at("key").shape[0];
  EXPECT_EQ(input.tensors.at("key_scale").shape, (std::vector<std::int64_t>{pages, kKeyHeads, 2}));
  EXPECT_EQ(input.tensors.at("value_scale").shape, (std::vector<std::int64_t>{pages, kKeyHeads, 2}));
  Result<EvaluationOutput> own = evaluate(*spec, input);
  ASSERT_TRUE(own) << own.status().message();
  const TypedSpec *plain = analyzed("attention t { dtype: f64; " + head + "mask = causal() }");
  ASSERT_TRUE(plain);
  EvaluationInput values = input;
  values.tensors.insert_or_assign("key", scaled(input, "key", 2));
  values.tensors.insert_or_assign("value", scaled(input, "value", 3));
  HostTensor query(ElementType::F64, input.tensors.at("query").shape);
  for (std::int64_t i = 0; i < query.elementCount(); ++i)
    query.set(i, input.tensors.at("query").get(i));
  values.tensors.insert_or_assign("query", query);
  Result<EvaluationOutput> other = evaluate(*plain, values);
  ASSERT_TRUE(other) << other.status().message();
  ASSERT_EQ(own->out.size(), other->out.size());
  for (std::size_t i = 0; i < own->out.size(); ++i)
    EXPECT_NEAR(own->out[i], other->out[i], 1e-12);
}
