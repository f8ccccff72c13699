// `--checked`: an index out of range stops the kernel, with the line of the specification, where the read counts; where it
// does not count, or cannot be out of range, nothing happens and nothing is there.
#include "dsl/RandomInputs.h"
#include "driver/Compiler.h"
#include "dsl/TypedSpec.h"
#include "tools/attnc/Check.h"

#include "attn/Module.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

namespace attn::conformance {

static constexpr const char *kFileName = "checked.attn";

static driver::CompileRequest requestFor(const std::string &parameters, const std::string &statements, bool checked) {
  driver::CompileRequest request;
  request.source = fmt::format("attention checked({}) {{\n  dtype: f16;  head_dim: 64;  q_heads: 2\n{}\n}}\n", parameters, statements);
  request.fileName = kFileName;
  request.checked = checked;
  return request;
}

static std::string ptxOf(const driver::CompileRequest &request) {
  Result<driver::CompiledPlan> compiled = driver::compileSpec(request);
  EXPECT_TRUE(compiled) << compiled.status().message();
  return compiled ? compiled->ptx : "";
}

using Change = std::function<void(dsl::EvaluationInput &)>;

/// What a checked kernel says on random inputs: success, and then its result is right, or the virtual GPU's finding.
static Status run(const std::string &parameters, const std::string &statements, std::map<std::string, double, std::less<>> scalars = {},
                  const std::string &target = "sm_80", const Change &change = {}) {
  driver::CompileRequest request = requestFor(parameters, statements, /*checked=*/true);
  request.target = target;
  Result<driver::CompiledPlan> compiled = driver::compileSpec(request);
  if (!compiled)
    return compiled.status();
  Result<std::unique_ptr<dsl::TypedSpec>> spec = driver::analyzeSpec(request);
  DeviceOptions options;
  options.target = target;
  Result<Device> device = Device::open("emulator", options);
  if (!spec || !device)
    return spec ? device.status() : spec.status();
  if (change) // as where data is not on the host, whose ranges no launch can test
    for (TensorArgument &tensor : compiled->manifest.tensors)
      tensor.range.reset();
  Result<Module> module = Module::fromPtx(*device, compiled->ptx, toJson(compiled->manifest));
  if (!module)
    return module.status();
  dsl::EvaluationInput bound;
  bound.extents = {{"batch", 1}, {"q_len", 33}, {"kv_len", 77}};
  bound.scalars = std::move(scalars);
  Result<dsl::EvaluationInput> input = dsl::randomInput(**spec, bound);
  if (!input)
    return input.status();
  if (change)
    change(*input);
  Result<tools::NamedTensors> outputs = tools::runOnInput(*device, *module->plan(), **spec, *input);
  if (!outputs)
    return outputs.status();
  Result<dsl::EvaluationOutput> exact = dsl::evaluate(**spec, *input, {.emulateKernel = true});
  if (!exact)
    return exact.status();
  Result<tools::CheckRecord> record = tools::compareOutputs(**spec, *input, *outputs, *exact);
  EXPECT_TRUE(record && record->isWithin()) << statements;
  return {};
}

/// The finding is a trap, and names the line of the first statement.
static void expectTrap(const Status &status) {
  ASSERT_FALSE(status);
  EXPECT_NE(status.message().find("trap"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find(fmt::format("{}:3", kFileName)), std::string::npos) << status.message();
}

static void expectSuccess(const Status &status) { EXPECT_TRUE(status) << status.message(); }

TEST(Checked, ReadsOutOfRangeTrap) {
  expectTrap(run("table: f32[8]", "score = score + table[kv_idx]"));
  expectTrap(run("table: f32[8]", "score = score + table[q_idx]"));
  expectTrap(run("table: f32[8]", "score = score + table[kv_idx - q_idx]"));
  expectTrap(run("flags: bool[8]", "mask = flags[kv_idx]"));
  expectTrap(run("table: f16[30, head_dim]", "query = query + table[q_idx]"));
  expectTrap(run("table: f16[30, head_dim]", "key = key * table[kv_idx]"));
  expectTrap(run("place: i32[30] in 0..99", "query = rope(query, place[q_idx])"));
  expectTrap(run("gate: f32[30]", "out = out * gate[q_idx]"));
  expectTrap(run("gate: f32[30]", "probs = softmax(score) * gate[kv_idx]"));
  expectTrap(run("bias: f32[30]", "probs = sigmoid(score + bias[kv_idx])"));
  expectTrap(run("rel: f16[33, head_dim]", "key = key + rel[kv_idx - q_idx]"));
  expectTrap(run("rel: f16[300, head_dim]", "key = key + rel[kv_idx - q_idx]"));
  expectTrap(run("rel: f16[108, head_dim]", "score = score + dot(key, rel[kv_idx - q_idx + 32])"));
  expectTrap(run("rel: f32[109, head_dim]", "value = value + rel[kv_idx - q_idx + 33]"));
  expectTrap(run("table: f16[4, head_dim]", "score = score + dot(query, table[floor(suffix_sum(1.0))])"));
}

TEST(Checked, SharedIndicesOutOfRangeTrap) {
  expectTrap(run("table: f32[8], n: i32", "score = score + table[n]", {{"n", 8}}));
  expectTrap(run("table: f32[8], n: i32", "score = score + table[n]", {{"n", -1}}));
  expectSuccess(run("table: f32[8], n: i32", "score = score + table[n]", {{"n", 7}}));
}

TEST(Checked, ReadsInRangeDoNot) {
  expectSuccess(run("table: f32[8]", "score = score + table[kv_idx % 8]"));
  expectSuccess(run("place: i32[q_len] in 0..99", "query = rope(query, place[q_idx])"));
  expectSuccess(run("bias: f32[q_heads, q_len, kv_len]", "mask = causal()\nscore = score + bias[h, q_idx, kv_idx]"));
}

TEST(Checked, ReadsThatDoNotCountDoNot) {
  expectSuccess(run("rel: f16[77, head_dim]", "mask = causal()\nkey = key + rel[q_pos - kv_pos]"));
  expectSuccess(run("rel: f16[kv_len, head_dim]", "mask = causal()\nkey = key + rel[q_pos - kv_pos]"));
  expectSuccess(run("rel: f16[109, head_dim]", "score = score + dot(key, rel[kv_idx - q_idx + 32])"));
  expectSuccess(run("rel: f32[kv_len, head_dim]", "mask = causal()\nvalue = value + rel[q_pos - kv_pos]"));
  expectSuccess(run("table: f16[4, head_dim]", "mask = kv_idx < 3\nscore = score + dot(query, table[floor(suffix_sum(1.0))])"));
  expectSuccess(run("table: f32[8]", "mask = kv_idx < 8\nscore = score + table[kv_idx]"));
  expectSuccess(run("gate: f32[kv_len]", "mask = causal()\nprobs = softmax(score) * gate[q_pos - kv_pos]"));
  expectSuccess(run("bias: f32[8]", "mask = kv_idx < 8\nprobs = normalize(sigmoid(score + bias[kv_idx]))"));
  expectSuccess(run("table: f32[8]", "score = if kv_idx < 8 then score + table[kv_idx] else score"));
  expectSuccess(run("flags: bool[8]", "mask = kv_idx < 8 and flags[kv_idx]"));
  expectSuccess(run("flags: bool[8]", "mask = kv_idx >= 8 or flags[kv_idx]"));
  expectSuccess(run("table: f32[kv_len]", "mask = causal()\nscore = score + table[q_pos - kv_pos]"));
  expectSuccess(run("table: f32[8], n: i32", "score = if n < 8 then score + table[n] else score", {{"n", 9}}));
}

/// Of pages that are not there, those that are read: on both targets, in the attention and in a kernel before it.
TEST(Checked, PagesOutOfRangeTrap) {
  const auto entry = [](std::size_t at, std::int32_t page) {
    return [=](dsl::EvaluationInput &input) { std::memcpy(input.tensors.at("page_table").bytes.data() + 4 * at, &page, sizeof(page)); };
  };
  for (const char *target : {"sm_80", "sm_90a"})
    for (const char *statements : {"layout: paged(16)", "layout: paged(16)\nkey = rope(key, kv_pos)",
                                   "layout: paged(16)\nscore = score + dot(query - key, query - key)"}) {
      SCOPED_TRACE(std::string(target) + statements);
      for (std::int32_t page : {-1, 1000, 2'000'000'000}) {
        Status status = run("", statements, {}, target, entry(1, page));
        ASSERT_FALSE(status);
        EXPECT_NE(status.message().find("trap"), std::string::npos) << status.message();
      }
      expectSuccess(run("", statements, {}, target));
    }
}

/// Where an index cannot be out of range there is no test, nor in a kernel that is not checked.
TEST(Checked, NothingWhereNothingCanHappen) {
  std::string bias = "bias: f32[q_heads, q_len, kv_len]", read = "score = score + bias[h, q_idx, kv_idx]";
  EXPECT_EQ(ptxOf(requestFor(bias, read, true)).find("trap"), std::string::npos);
  EXPECT_EQ(ptxOf(requestFor("table: f32[8]", "score = score + table[kv_idx]", false)).find("trap"), std::string::npos);
  EXPECT_NE(ptxOf(requestFor("table: f32[8]", "score = score + table[kv_idx]", true)).find("trap"), std::string::npos);
}

} // namespace attn::conformance
