// The float64 reference against plain loops, against what PyTorch computed from real activations, and at the edges of
// the language: hidden rows, lazy evaluation, infinities, integers, random numbers.
#include "SpecFixture.h"
#include "dsl/Philox.h"
#include "dsl/RandomInputs.h"
#include "support/Tolerances.h"
#include "tools/attnc/TensorFile.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace attn;
using namespace attn::dsl;
using attn::test::SpecFixture;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

namespace {
class EvaluateTest : public SpecFixture {
protected:
  /// One request, one head, one row and key, value 1: `out` is the weight. The specification's `probs` is `weight`.
  Result<EvaluationOutput> weight(const std::string &text, EvaluationInput input = {}) {
    const TypedSpec *spec = analyzed("attention t" + text);
    if (!spec)
      return Status(StatusCode::CompileError, "the front end refused it");
    for (const char *name : {"batch", "q_len", "kv_len", "q_heads"})
      input.extents.try_emplace(name, 1);
    HostTensor ones(ElementType::BF16, {input.extents["batch"], input.extents["kv_len"], input.extents["q_heads"], 8});
    for (std::int64_t i = 0; i < ones.elementCount(); ++i)
      ones.set(i, 1);
    input.tensors.emplace("value", ones);
    return evaluate(*spec, input);
  }
  /// The number that an expression of constants and indices at the point (0, 0) stands for.
  double number(const std::string &expression) {
    Result<EvaluationOutput> output = weight("(zero: i32) { head_dim: 8; probs = " + expression + " }", {{}, {{"zero", 0}}, {}});
    EXPECT_TRUE(output) << output.status().message();
    return output ? output->out[0] : NAN;
  }
  std::string problem(const std::string &expression) {
    Result<EvaluationOutput> output = weight("(zero: i32) { head_dim: 8; probs = " + expression + " }", {{}, {{"zero", 0}}, {}});
    return output ? "" : output.status().message();
  }
  EvaluationInput random(const TypedSpec &spec, EvaluationInput bound) {
    Result<EvaluationInput> input = randomInput(spec, bound);
    EXPECT_TRUE(input) << input.status().message();
    return *input;
  }
};
} // namespace

TEST_F(EvaluateTest, MatchesPlainLoops) {
  const TypedSpec *spec = analyzed("attention t { q_heads: 4; kv_heads: 2; head_dim: 16; head_dim_v: 8; mask = causal() }");
  ASSERT_TRUE(spec);
  EvaluationInput input = random(*spec, {{{"batch", 2}, {"q_len", 5}, {"kv_len", 9}}, {}, {}});
  Result<EvaluationOutput> output = evaluate(*spec, input);
  ASSERT_TRUE(output) << output.status().message();
  ASSERT_EQ(output->outShape, (std::vector<std::int64_t>{2, 5, 4, 8}));
  const HostTensor &query = input.tensors["query"], &key = input.tensors["key"], &value = input.tensors["value"];
  for (int b = 0; b < 2; ++b)
    for (int h = 0; h < 4; ++h)
      for (int i = 0; i < 5; ++i) {
        std::vector<double> scores;
        double sum = 0;
        for (int j = 0; j <= i + 4; ++j) {
          double dot = 0;
          for (int c = 0; c < 16; ++c)
            dot += query.get(((b * 5 + i) * 4 + h) * 16 + c) * key.get(((b * 9 + j) * 2 + h / 2) * 16 + c);
          scores.push_back(std::exp(dot / 4));
          sum += scores.back();
        }
        EXPECT_NEAR(output->lse[(b * 4 + h) * 5 + i], std::log(sum), 1e-12);
        for (int c = 0; c < 8; ++c) {
          double expected = 0;
          for (std::size_t j = 0; j < scores.size(); ++j)
            expected += scores[j] / sum * value.get(((b * 9 + static_cast<int>(j)) * 2 + h / 2) * 8 + c);
          EXPECT_NEAR(output->out[((b * 5 + i) * 4 + h) * 8 + c], expected, 1e-12);
        }
      }
}

TEST_F(EvaluateTest, MatchesPyTorchOnRealActivations) {
  std::string folder = ATTN_SOURCE_DIR "/examples/";
  Result<tools::NamedTensors> inputs = tools::readTensors(folder + "data/smollm2_layer14.safetensors");
  Result<tools::NamedTensors> expected = tools::readTensors(folder + "data/smollm2_layer14_expected.safetensors");
  ASSERT_TRUE(inputs) << inputs.status().message();
  ASSERT_TRUE(expected) << expected.status().message();
  for (std::string variant : {"attention", "window", "softcap", "alibi", "t5"}) {
    SCOPED_TRACE(variant);
    const TypedSpec *spec = analyzedFile(folder + "smollm2_" + variant + ".attn");
    ASSERT_TRUE(spec);
    EvaluationInput input;
    input.extents = {{"batch", 1}, {"q_len", 233}, {"kv_len", 233}};
    for (const auto &[name, tensor] : *inputs)
      input.tensors[name] = tensor;
    Result<EvaluationOutput> output = evaluate(*spec, input);
    ASSERT_TRUE(output) << output.status().message();
    const HostTensor &out = expected->at("out_" + variant), &lse = expected->at("lse_" + variant);
    double worst = 0, worstLse = 0;
    for (std::int64_t i = 0; i < out.elementCount(); ++i) // f16 as stored: half a unit in the last place
      worst = std::max(worst, std::fabs(output->out[i] - out.get(i)) - 0x1.01p-11 * std::fabs(out.get(i)));
    for (std::int64_t i = 0; i < lse.elementCount(); ++i)
      worstLse = std::max(worstLse, std::fabs(output->lse[i] - lse.get(i)));
    EXPECT_LT(worst, 1e-7);
    EXPECT_LT(worstLse, 2e-6);
  }
}

TEST_F(EvaluateTest, RowsWithoutAVisibleKey) {
  const TypedSpec *spec = analyzed("attention t { head_dim: 8; outputs: out, lse, max_score; mask = causal() }");
  ASSERT_TRUE(spec);
  EvaluationInput input = random(*spec, {{{"batch", 1}, {"q_len", 5}, {"kv_len", 2}, {"q_heads", 1}}, {}, {}});
  Result<EvaluationOutput> output = evaluate(*spec, input);
  ASSERT_TRUE(output) << output.status().message();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(output->out[i * 8], 0);
    EXPECT_EQ(output->lse[i], -kInfinity);
    EXPECT_EQ(output->maxScore[i], -kInfinity);
  }
  EXPECT_TRUE(std::isfinite(output->lse[3]));
}

TEST_F(EvaluateTest, SinkTakesPartInTheSoftmax) {
  Result<EvaluationOutput> output =
      weight("(s: f32) { head_dim: 8; mask = q_idx == kv_idx; probs = softmax(1.5 + 0 * dot(key, key), sink = s) }",
             {{{"q_len", 2}}, {{"s", 0.25}}, {{"key", HostTensor(ElementType::BF16, {1, 1, 1, 8})}}});
  ASSERT_TRUE(output) << output.status().message();
  EXPECT_NEAR(output->out[0], std::exp(1.5) / (std::exp(1.5) + std::exp(0.25)), 1e-14);
  EXPECT_NEAR(output->lse[0], std::log(std::exp(1.5) + std::exp(0.25)), 1e-14);
  EXPECT_EQ(output->out[8], 0);                  // the second row sees no key
  EXPECT_EQ(output->lse[1], 0.25);
}

TEST_F(EvaluateTest, ScoresOfMinusInfinityHide) {
  const TypedSpec *spec = analyzed("attention t { head_dim: 8; score = score + (if kv_idx > q_idx then -inf else 0.0) }");
  const TypedSpec *masked = analyzed("attention t { head_dim: 8; mask = kv_idx <= q_idx }");
  ASSERT_TRUE(spec && masked);
  EvaluationInput input = random(*spec, {{{"batch", 1}, {"q_len", 3}, {"kv_len", 3}, {"q_heads", 1}}, {}, {}});
  EXPECT_EQ(evaluate(*spec, input)->out, evaluate(*masked, input)->out);
}

TEST_F(EvaluateTest, NanAndInfinityStayInTheirRow) {
  const TypedSpec *spec = analyzed("attention t(bias: f32[q_len, kv_len]) { head_dim: 8; score = score + bias[q_idx, kv_idx] }");
  ASSERT_TRUE(spec);
  EvaluationInput input = random(*spec, {{{"batch", 1}, {"q_len", 3}, {"kv_len", 3}, {"q_heads", 1}}, {}, {}});
  input.tensors["bias"].set(1, NAN);
  input.tensors["bias"].set(5, kInfinity);
  Result<EvaluationOutput> output = evaluate(*spec, input, {.emulateKernel = true});
  ASSERT_TRUE(output);
  EXPECT_TRUE(std::isnan(output->out[0]) && std::isnan(output->lse[0]));
  EXPECT_TRUE(std::isnan(output->out[8]) && std::isnan(output->lse[1]));
  EXPECT_TRUE(std::isfinite(output->out[16]) && std::isfinite(output->lse[2]));
  EXPECT_TRUE(std::isnan(output->emulatedOut[0]) && std::isnan(output->emulatedOut[8]));
}

TEST_F(EvaluateTest, EvaluatesOnlyWhatIsNeeded) {
  // The table has one entry: reading beyond it is an error wherever it is evaluated.
  auto run = [&](const std::string &definitions) {
    EvaluationInput input{{{"kv_len", 3}}, {}, {{"t", HostTensor(ElementType::F32, {1})}}};
    Result<EvaluationOutput> output = weight("(t: f32[1]) { head_dim: 8; " + definitions + " }", input);
    return output ? std::string() : output.status().message();
  };
  EXPECT_EQ(run("mask = kv_idx < 1; probs = t[kv_idx] + 1"), "");
  EXPECT_EQ(run("probs = if kv_idx < 1 then t[kv_idx] else 2.0"), "");
  EXPECT_EQ(run("mask = kv_idx < 1 and t[kv_idx] == 0; probs = 1.0"), "");
  EXPECT_EQ(run("mask = kv_idx >= 1 or t[kv_idx] == 0; probs = 1.0"), "");
  EXPECT_EQ(run("let x = t[kv_idx]; probs = if kv_idx < 1 then x else 2.0"), "");
  std::string message = run("probs = t[kv_idx]");
  EXPECT_NE(message.find("index 1 of dimension 0 of `t` is not within 0..0"), std::string::npos) << message;
  EXPECT_NE(message.find("kv_idx=1"), std::string::npos) << message;
  EXPECT_EQ(message.find(":1:"), message.find(':')) << message; // file:line:column first
}

TEST_F(EvaluateTest, Integers) {
  EXPECT_EQ(number("(zero - 7) // 2"), -4);
  EXPECT_EQ(number("(zero - 7) % 2"), 1);
  EXPECT_EQ(number("(zero + 7) // (zero - 2)"), -4);
  EXPECT_EQ(number("(zero + 7) % (zero - 2)"), -1);
  EXPECT_EQ(number("(zero + 7) / 2"), 3.5);
  EXPECT_EQ(number("round(zero + 2.5)"), 2);
  EXPECT_EQ(number("round(zero + 3.5)"), 4);
  EXPECT_EQ(number("floor(zero - 0.5)"), -1);
  EXPECT_EQ(number("ceil(zero - 0.5)"), 0);
  EXPECT_EQ(number("(zero + 5) << 3"), 40);
  EXPECT_EQ(number("(zero - 5) >> 1"), -3);
  EXPECT_EQ(number("(zero + 12) & 10 | 1 ^ (zero + 4)"), 13);
  EXPECT_EQ(number("clamp(zero + 9, 1, 4)"), 4);
  EXPECT_EQ(number("abs(zero - 3)"), 3);
  EXPECT_NE(problem("(zero + 2147483647) + 1").find("does not fit in i32"), std::string::npos);
  EXPECT_NE(problem("(zero + 65536) * 65536").find("does not fit in i32"), std::string::npos);
  EXPECT_NE(problem("floor((zero + 1) * 1e20)").find("does not fit in i32"), std::string::npos);
  EXPECT_NE(problem("1 // zero").find("division by zero"), std::string::npos);
  EXPECT_NE(problem("1 << (zero + 32)").find("shift by 32"), std::string::npos);
}

TEST_F(EvaluateTest, Functions) {
  EXPECT_NEAR(number("sigmoid(zero + 0.5)"), 1 / (1 + std::exp(-0.5)), 1e-15);
  EXPECT_NEAR(number("erf(zero + 0.5)"), std::erf(0.5), 1e-15);
  EXPECT_NEAR(number("rsqrt(zero + 2.0)"), 1 / std::sqrt(2.0), 1e-15);
  EXPECT_NEAR(number("(zero + 3.0) ** -1.5"), std::pow(3, -1.5), 1e-15);
  EXPECT_NEAR(number("tanh(zero + 0.3) * exp2(zero + 0.5) + log2(zero + 3.0)"),
              std::tanh(0.3) * std::sqrt(2) + std::log2(3), 1e-14);
  EXPECT_EQ(number("relu(zero - 2.0) + min(zero + 3.0, 1, 2)"), 1);
}

TEST_F(EvaluateTest, Vectors) {
  EXPECT_EQ(number("sum(vec(4, fn(c) = c * c + zero))"), 14);
  EXPECT_EQ(number("sum(concat(vec(2, fn(c) = c + 1 + zero), vec(3, fn(c) = 10 * c + zero))[1:4])"), 12);
  EXPECT_EQ(number("sum(map(fn(x) = if x > 1 then x else -x, vec(4, fn(c) = c + zero)))"), 4);
  EXPECT_NEAR(number("sum(rotate(vec(4, fn(c) = c + 1 + zero), fn(p) = 0.5 * (p + 1))[0:1])"),
              1 * std::cos(0.5) - 3 * std::sin(0.5), 1e-14);
  EXPECT_NEAR(number("sum(rotate(vec(4, fn(c) = c + 1 + zero), fn(p) = 0.5 * (p + 1), interleaved = true)[3:4])"),
              4 * std::cos(1) + 3 * std::sin(1), 1e-14);
  EXPECT_EQ(number("sum(rotate(vec(4, fn(c) = c + 1 + zero), fn(p) = 1.0, dim = 2)[2:4])"), 7);
  EXPECT_EQ(number("dot(vec(3, fn(c) = c + zero), vec(3, fn(c) = 2 * c + zero) - 1)"), 7);
}

TEST_F(EvaluateTest, SuffixSumRunsOverVisibleKeys) {
  Result<EvaluationOutput> output = weight("{ head_dim: 8; mask = kv_idx != 2; probs = suffix_sum(kv_idx + 1.0) }", {{{"kv_len", 4}}, {}, {}});
  ASSERT_TRUE(output) << output.status().message();
  EXPECT_EQ(output->out[0], 7 + 6 + 4);          // keys 0, 1 and 3 hold 1, 2 and 4
}

TEST_F(EvaluateTest, NormalizeDividesByTheRowsSum) {
  Result<EvaluationOutput> output =
      weight("{ head_dim: 8; mask = kv_idx < 3 - 3 * q_idx; probs = normalize(kv_idx + 1.0, by = kv_idx + 3.0) }", {{{"kv_len", 3}, {"q_len", 2}}, {}, {}});
  ASSERT_TRUE(output) << output.status().message();
  EXPECT_NEAR(output->out[0], 6.0 / 12, 1e-15);
  EXPECT_EQ(output->out[8], 0);
}

TEST(PhiloxTest, KnownAnswers) {
  // Of Random123's known-answer file, philox4x32 with 10 rounds.
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST_F(EvaluateTest, DropoutKeepsTheExpectation) {
  Result<EvaluationOutput> output = weight("{ head_dim: 8; probs = dropout(softmax(0 * dot(key, key)), 0.25, 7, 1) }",
                                           {{{"kv_len", 4000}}, {}, {{"key", HostTensor(ElementType::BF16, {1, 4000, 1, 8})}}});
  ASSERT_TRUE(output) << output.status().message();
  EXPECT_NEAR(output->out[0], 1, 0.03);
  EXPECT_NE(output->out[0], 1);
  EXPECT_NEAR(output->lse[0], std::log(4000), 1e-12);
}

TEST_F(EvaluateTest, RefusesWhatDoesNotFit) {
  const TypedSpec *spec = analyzed("attention t { head_dim: 8 }");
  ASSERT_TRUE(spec);
  EvaluationInput input = random(*spec, {{{"batch", 1}, {"q_len", 2}, {"kv_len", 3}, {"q_heads", 1}}, {}, {}});
  input.extents["kv_len"] = 4;
  Result<EvaluationOutput> output = evaluate(*spec, input);
  ASSERT_FALSE(output);
  EXPECT_NE(output.status().message().find("`key` is [1, 3, 1, 8], but the specification wants [1, 4, 1, 8]"),
            std::string::npos) << output.status().message();
  input.tensors.erase("key");
  EXPECT_NE(evaluate(*spec, input).status().message().find("no tensor `key`"), std::string::npos);
}

//===----------------------------------------------------------------------===//
// The emulated kernel and the tolerance
//===----------------------------------------------------------------------===//

static ToleranceAnswer compareOut(const EvaluationOutput &output, const std::vector<double> &actual) {
  return compareWithTolerance({actual, output.out, output.emulatedOut, output.outNoise,
                               static_cast<std::size_t>(output.outShape.back()),
                               output.isAllF32 ? Tolerance::kNumberFloor : Tolerance::kFloor});
}

TEST_F(EvaluateTest, ToleranceFitsAnotherBlocking) {
  for (std::string dtype : {"bf16", "f16", "f32"})
    for (std::string extra : {"", "query = rope(query, q_pos); key = rope(key, kv_pos)", "score = softcap(score, 5)"}) {
      const TypedSpec *spec = analyzed("attention t { head_dim: 64; mask = causal(); dtype: " + dtype + "; " + extra + " }");
      ASSERT_TRUE(spec);
      for (std::int64_t keys : {1, 7, 130, 300}) {
        EvaluationInput input = random(*spec, {{{"batch", 1}, {"q_len", 33}, {"kv_len", keys}, {"q_heads", 2}}, {}, {}});
        Result<EvaluationOutput> output = evaluate(*spec, input, {.emulateKernel = true, .emulatedBlock = 64});
        Result<EvaluationOutput> other = evaluate(*spec, input, {.emulateKernel = true, .emulatedBlock = 16});
        ASSERT_TRUE(output && other);
        ToleranceAnswer answer = compareOut(*output, other->emulatedOut);
        EXPECT_TRUE(answer.isWithin) << dtype << " " << extra << " " << keys << ": " << answer.problem;
        ToleranceAnswer lse = compareWithTolerance({other->emulatedLse, output->lse, output->emulatedLse, output->lseNoise, 1});
        EXPECT_TRUE(lse.isWithin) << dtype << " " << extra << " " << keys << ": " << lse.problem;
      }
    }
}

TEST_F(EvaluateTest, ToleranceSeesOneWrongMaskElement) {
  const TypedSpec *right = analyzed("attention t { head_dim: 64; mask = causal(); dtype: bf16 }");
  const TypedSpec *wrong = analyzed("attention t { head_dim: 64; mask = causal() and not (q_idx == 20 and kv_idx == 150); dtype: bf16 }");
  ASSERT_TRUE(right && wrong);
  for (std::int64_t keys : {290, 2000}) {
    EvaluationInput input = random(*right, {{{"batch", 1}, {"q_len", 33}, {"kv_len", keys}, {"q_heads", 1}}, {}, {}});
    Result<EvaluationOutput> output = evaluate(*right, input, {.emulateKernel = true});
    Result<EvaluationOutput> other = evaluate(*wrong, input, {.emulateKernel = true});
    ASSERT_TRUE(output && other);
    ToleranceAnswer answer = compareOut(*output, other->emulatedOut);
    EXPECT_FALSE(answer.isWithin);
    EXPECT_EQ(answer.worstRow, 20);
  }
}

/// What f32 is allowed is far below what tf32 does to it, and tf32 has a bar of its own.
TEST_F(EvaluateTest, ToleranceTellsTf32FromF32) {
  for (std::string extra : {"", "query = rope(query, q_pos); key = rope(key, kv_pos)", "score = softcap(score, 5)"}) {
    const TypedSpec *spec = analyzed("attention t { head_dim: 64; mask = causal(); dtype: f32; " + extra + " }");
    ASSERT_TRUE(spec);
    EvaluationInput input = random(*spec, {{{"batch", 1}, {"q_len", 33}, {"kv_len", 300}, {"q_heads", 2}}, {}, {}});
    Result<EvaluationOutput> single = evaluate(*spec, input, {.emulateKernel = true});
    Result<EvaluationOutput> rounded = evaluate(*spec, input, {.emulateKernel = true, .tf32 = true});
    Result<EvaluationOutput> other = evaluate(*spec, input, {.emulateKernel = true, .emulatedBlock = 16, .tf32 = true});
    ASSERT_TRUE(single && rounded && other);
    EXPECT_TRUE(single->isAllF32);
    EXPECT_FALSE(rounded->isAllF32);
    EXPECT_GT(compareOut(*single, rounded->emulatedOut).worstRatio, 10) << extra;
    EXPECT_TRUE(compareOut(*rounded, other->emulatedOut).isWithin) << extra << ": " << compareOut(*rounded, other->emulatedOut).problem;
  }
}

/// A softcap by the instruction has a bar of its own too; what it does to a score without one is nothing.
TEST_F(EvaluateTest, ToleranceTellsApproximateTanh) {
  for (bool isCapped : {true, false}) {
    const TypedSpec *spec = analyzed(std::string("attention t { head_dim: 64; dtype: f32; score = ") + (isCapped ? "softcap(score, 20)" : "score") + " }");
    ASSERT_TRUE(spec);
    EvaluationInput input = random(*spec, {{{"batch", 1}, {"q_len", 33}, {"kv_len", 300}, {"q_heads", 2}}, {}, {}});
    Result<EvaluationOutput> exact = evaluate(*spec, input, {.emulateKernel = true});
    Result<EvaluationOutput> rounded = evaluate(*spec, input, {.emulateKernel = true, .approximateTanh = true});
    Result<EvaluationOutput> other = evaluate(*spec, input, {.emulateKernel = true, .emulatedBlock = 16, .approximateTanh = true});
    ASSERT_TRUE(exact && rounded && other);
    EXPECT_EQ(rounded->isAllF32, !isCapped);
    EXPECT_EQ(compareOut(*exact, rounded->emulatedOut).isWithin, !isCapped);
    EXPECT_TRUE(compareOut(*rounded, other->emulatedOut).isWithin) << compareOut(*rounded, other->emulatedOut).problem;
  }
}

TEST_F(EvaluateTest, ToleranceSeesNan) {
  std::vector<double> exact{1, 2, 3, 4}, actual = exact, noise{0.1, 0.1};
  actual[2] = NAN;
  ToleranceAnswer answer = compareWithTolerance({actual, exact, exact, noise, 2});
  EXPECT_FALSE(answer.isWithin);
  EXPECT_EQ(answer.worstRow, 1);
  EXPECT_FALSE(compareWithTolerance({exact, actual, actual, noise, 2}).isWithin);
  EXPECT_TRUE(compareWithTolerance({actual, actual, actual, noise, 2}).isWithin);
}
