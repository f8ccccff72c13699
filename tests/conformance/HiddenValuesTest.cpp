// What a value row that is not finite reaches: the rows that see its key, and of those that do not at most the rows of the
// same tile (docs/numerics.md, "Edges"). The last row of 300 sees the last key under a causal mask; rows 0 to 255 lie in
// other tiles of queries and must be right.
#include "tests/conformance/SpecialValues.h"

#include "attn/Module.h"
#include "driver/Compiler.h"
#include "dsl/TypedSpec.h"
#include "tools/attnc/Check.h"

#include <gtest/gtest.h>

#include <cmath>

namespace attn::conformance {

namespace {
constexpr std::int64_t kLength = 300, kFirstOfLastTile = 256;

struct HiddenCase {
  std::string target;
  Values values;
  friend void PrintTo(const HiddenCase &hidden, std::ostream *stream) { *stream << hidden.target; }
};
class HiddenValues : public testing::TestWithParam<HiddenCase> {};
} // namespace

TEST_P(HiddenValues, ReachOnlyTheRowsOfTheirTile) {
  driver::CompileRequest request;
  request.source = "attention hidden { dtype: f16;  head_dim: 64;  q_heads: 2;  mask = causal() }\n";
  request.target = GetParam().target;
  auto compiled = driver::compileSpec(request);
  ASSERT_TRUE(compiled) << compiled.status().message();
  auto spec = driver::analyzeSpec(request);
  ASSERT_TRUE(spec) << spec.status().message();
  auto device = Device::open("emulator", {.target = request.target});
  ASSERT_TRUE(device) << device.status().message();
  auto module = Module::fromPtx(*device, compiled->ptx, toJson(compiled->manifest));
  ASSERT_TRUE(module) << module.status().message();
  auto input = makeInput(**spec, "batch=1,q_len=300,kv_len=300", GetParam().values, /*seed=*/1);
  ASSERT_TRUE(input) << input.status().message();
  auto exact = dsl::evaluate(**spec, *input);
  ASSERT_TRUE(exact) << exact.status().message();
  auto outputs = tools::runOnInput(*device, *module->plan(), **spec, *input);
  ASSERT_TRUE(outputs) << outputs.status().message();

  const HostTensor &out = outputs->at("out");
  const std::int64_t rowLength = 2 * 64;
  ASSERT_EQ(out.shape, (std::vector<std::int64_t>{1, kLength, 2, 64}));
  for (std::int64_t i = 0; i < kFirstOfLastTile * rowLength; ++i)
    ASSERT_NEAR(out.get(i), exact->out[static_cast<std::size_t>(i)], 0.01) << "row " << i / rowLength;
  for (std::int64_t i = (kLength - 1) * rowLength; i < kLength * rowLength; ++i)
    ASSERT_FALSE(std::isfinite(out.get(i))) << "the last row sees the key";
}

INSTANTIATE_TEST_SUITE_P(Targets, HiddenValues,
                         testing::Values(HiddenCase{"sm_80", Values::LastValueNan}, HiddenCase{"sm_80", Values::LastValueInf},
                                         HiddenCase{"sm_90a", Values::LastValueNan}, HiddenCase{"sm_90a", Values::LastValueInf}),
                         [](const auto &info) {
                           return info.param.target + (info.param.values == Values::LastValueNan ? "_nan" : "_infinity");
                         });

} // namespace attn::conformance
