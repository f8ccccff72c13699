#include "runtime/manifest/KernelManifest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace attn {

static SizeExpr size(std::string_view text) { return *SizeExpr::parse(text); }

static PlanManifest example() {
  PlanManifest plan;
  plan.name = "windowed";
  plan.target = "sm_80";
  plan.specSource = "attention windowed {\n  head_dim: 64\n}\n";
  plan.tensors = {
      {"query", ElementType::BF16, ArgumentRole::Input, {size("batch"), size("q_len"), size("q_heads"), size("64")}, {}, false, {}, {}, 1, 16},
      {"depth", ElementType::I32, ArgumentRole::Input, {size("batch"), size("q_len")}, ValueRange{size("0"), size("kv_len - 1")}, true, size("q_len"), {}, 1, 4},
      {"partial", ElementType::F32, ArgumentRole::Workspace, {size("batch * q_heads"), size("ceildiv(q_len, 64)")}, {}, false, {}, {}, 1, 256},
      {"out", ElementType::BF16, ArgumentRole::Output, {size("batch"), size("q_len"), size("q_heads"), size("64")}, {}, false, {}, {}, 1, 16}};
  plan.scalars = {{"window", ElementType::I32, 128, ValueRange{size("1"), size("65536")}},
                  {"sink", ElementType::F32, -std::numeric_limits<double>::infinity(), {}},
                  {"flag", ElementType::Bool, {}, {}}};
  plan.checks = {{size("q_heads % kv_heads"), "`kv_heads` must divide `q_heads`"}};
  plan.kernels = {{"windowed_forward", {size("ceildiv(q_len, 128)"), size("q_heads"), size("batch")}, 128, 98304,
                   {{KernelParam::Kind::Pointer, "query"}, {KernelParam::Kind::Stride, "query", 1},
                    {KernelParam::Kind::Extent, "kv_len + 1"}, {KernelParam::Kind::Scalar, "window"}}}};
  return plan;
}

static std::string errorOf(std::string json, std::string_view from, std::string_view to) {
  std::size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  json.replace(at, from.size(), to);
  std::string error;
  EXPECT_FALSE(parseManifest(json, &error)) << to;
  return error;
}

TEST(Manifest, RoundTrips) {
  const std::string json = toJson(example());
  std::string error;
  auto plan = parseManifest(json, &error);
  ASSERT_TRUE(plan) << error;
  EXPECT_EQ(toJson(*plan), json);
  EXPECT_EQ(plan->name, "windowed");
  EXPECT_EQ(plan->specSource, example().specSource);
  ASSERT_NE(plan->tensor("depth"), nullptr);
  EXPECT_EQ(plan->tensor("depth")->range->hi, size("kv_len - 1"));
  EXPECT_TRUE(plan->tensor("depth")->ascending);
  EXPECT_EQ(plan->tensor("depth")->mostStep, size("q_len"));
  EXPECT_EQ(plan->tensor("depth")->alignment, 4u);
  EXPECT_EQ(plan->tensor("nothing"), nullptr);
  EXPECT_EQ(plan->scalars[0].defaultValue, 128);
  EXPECT_TRUE(std::isinf(*plan->scalars[1].defaultValue));
  EXPECT_FALSE(plan->scalars[2].defaultValue);
  EXPECT_EQ(plan->kernels[0].params[1].dim, 1u);
  EXPECT_EQ(plan->kernels[0].sharedBytes, 98304u);
  EXPECT_EQ(plan->kernels[0].blocksPerMultiprocessor, 0u);
}

TEST(Manifest, CountsOfRowsStandInAVectorOfI32) {
  PlanManifest plan = example();
  plan.tensors[1].countedBy = "lengths";
  plan.tensors[1].countUnit = 64;
  std::string error;
  EXPECT_FALSE(parseManifest(toJson(plan), &error));
  EXPECT_EQ(error, "manifest: /tensors/1/countedBy: `lengths` cannot count the numbers of `depth`");
  plan.tensors.push_back({"lengths", ElementType::I32, ArgumentRole::Input, {size("batch")}, {}, false, {}, {}, 1, 4});
  auto read = parseManifest(toJson(plan), &error);
  ASSERT_TRUE(read) << error;
  EXPECT_EQ(read->tensor("depth")->countedBy, "lengths");
  EXPECT_EQ(read->tensor("depth")->countUnit, 64u);
}

TEST(Manifest, SaysWhereTanhIsApproximate) {
  PlanManifest plan = example();
  EXPECT_EQ(toJson(plan).find("approximateTanh"), std::string::npos);
  plan.approximateTanh = true;
  std::string error;
  auto read = parseManifest(toJson(plan), &error);
  ASSERT_TRUE(read) << error;
  EXPECT_TRUE(read->approximateTanh);
}

TEST(Manifest, SaysWhereF32IsRounded) {
  PlanManifest plan = example();
  EXPECT_EQ(toJson(plan).find("tf32"), std::string::npos);
  plan.tf32 = true;
  std::string error;
  auto read = parseManifest(toJson(plan), &error);
  ASSERT_TRUE(read) << error;
  EXPECT_TRUE(read->tf32);
}

TEST(Manifest, SaysWhatIsMultipliedIn8Bits) {
  for (bool PlanManifest::*each : {&PlanManifest::float8Scores, &PlanManifest::float8Probs}) {
    PlanManifest plan = example();
    EXPECT_EQ(toJson(plan).find("float8"), std::string::npos);
    plan.*each = true;
    std::string error;
    auto read = parseManifest(toJson(plan), &error);
    ASSERT_TRUE(read) << error;
    EXPECT_TRUE((*read).*each);
  }
}

TEST(Manifest, BlocksThatTakeTilesCountThemAlongOneDimension) {
  PlanManifest plan = example();
  plan.kernels[0].grid = {size("batch * ceildiv(q_len, 128)"), size("1"), size("1")};
  plan.kernels[0].blocksPerMultiprocessor = 2;
  const std::string json = toJson(plan);
  std::string error;
  auto read = parseManifest(json, &error);
  ASSERT_TRUE(read) << error;
  EXPECT_EQ(read->kernels[0].blocksPerMultiprocessor, 2u);
  EXPECT_EQ(errorOf(json, "\"blocksPerMultiprocessor\": 2", "\"blocksPerMultiprocessor\": 33"),
            "manifest: /kernels/0/blocksPerMultiprocessor: expects at most 32, but got 33");
  plan.kernels[0].grid[1] = size("q_heads");
  EXPECT_FALSE(parseManifest(toJson(plan), &error));
  EXPECT_EQ(error, "manifest: /kernels/0/grid: tiles of work are counted along the first dimension alone, where blocks take one after the other");
}

TEST(Manifest, SourceThatIsNotUtf8IsKeptReadable) {
  PlanManifest plan = example();
  plan.specSource = "caf\xe9";
  std::string error;
  ASSERT_TRUE(parseManifest(toJson(plan), &error)) << error;
}

TEST(Manifest, RefusesBadSyntaxWithLineAndColumn) {
  EXPECT_EQ(errorOf(toJson(example()), "\"target\"", "target"), "manifest: line 4, column 3: not valid JSON");
  std::string error;
  EXPECT_FALSE(parseManifest("", &error));
  EXPECT_EQ(error, "manifest: line 1, column 1: not valid JSON");
  EXPECT_FALSE(parseManifest(std::string(100000, '['), &error));
}

TEST(Manifest, RefusesWhatItDoesNotKnowAndSaysWhere) {
  const std::string json = toJson(example());
  EXPECT_EQ(errorOf(json, "\"format\": 1", "\"format\": 2"), "manifest: /format: this version reads format 1, but got 2");
  EXPECT_EQ(errorOf(json, "\"scalars\"", "\"scalers\""), "manifest: /: unknown field `scalers`; did you mean `scalars`?");
  EXPECT_EQ(errorOf(json, "\"bf16\"", "\"bf15\""), "manifest: /tensors/0/type: `bf15` is not an element type");
  EXPECT_EQ(errorOf(json, "\"output\"", "\"result\""),
            "manifest: /tensors/3/role: unknown word `result`; there are `input`, `output`, `workspace`");
  EXPECT_EQ(errorOf(json, "\"kv_len - 1\"", "\"kv_len -\""),
            "manifest: /tensors/1/range/1: `kv_len -` is not a size: column 9: expected a number, a name or `(` at the end");
  EXPECT_EQ(errorOf(json, "\"threads\": 128", "\"threads\": -128"),
            "manifest: /kernels/0/threads: expects a whole number from 0 to 2147483647, but got -128");
  EXPECT_EQ(errorOf(json, "\"threads\": 128", "\"threads\": \"many\""),
            "manifest: /kernels/0/threads: expects a whole number from 0 to 2147483647, but got \"many\"");
  EXPECT_EQ(errorOf(json, "\"name\": \"window\"", "\"nom\": \"window\""),
            "manifest: /scalars/0: unknown field `nom`; did you mean `name`?");
  EXPECT_EQ(errorOf(json, "\"default\": \"-inf\"", "\"default\": \"low\""),
            "manifest: /scalars/1/default: expects a number, \"inf\", \"-inf\" or \"nan\", but got \"low\"");
}

TEST(Manifest, RefusesContradictions) {
  const std::string json = toJson(example());
  EXPECT_EQ(errorOf(json, "\"name\": \"depth\"", "\"name\": \"query\""),
            "manifest: /tensors/1/name: `query` is empty or taken already");
  EXPECT_EQ(errorOf(json, "\"dim\": 1", "\"dim\": 4"), "manifest: /kernels/0/params/1/dim: `query` has 4 dimensions, but got 4");
  EXPECT_EQ(errorOf(json, "\"threads\": 128", "\"threads\": 2048"), "manifest: /kernels/0/threads: expects 1 to 1024, but got 2048");
  EXPECT_EQ(errorOf(json, "\"alignment\": 4", "\"alignment\": 12"),
            "manifest: /tensors/1/alignment: expects a power of two up to 1024, but got 12");
  EXPECT_EQ(errorOf(json, "\"name\": \"kv_len + 1\"", "\"name\": \"kv_len +\"").substr(0, 33),
            "manifest: /kernels/0/params/2/nam");
  PlanManifest plan = example();
  plan.kernels[0].params[3].name = "widow";
  std::string error;
  EXPECT_FALSE(parseManifest(toJson(plan), &error));
  EXPECT_EQ(error, "manifest: /kernels/0/params/3/name: there is no scalar `widow`");
  plan = example();
  plan.kernels.clear();
  EXPECT_FALSE(parseManifest(toJson(plan), &error));
  EXPECT_EQ(error, "manifest: /kernels: expects at least one");
}

static PlanManifest withMap() {
  PlanManifest plan = example();
  plan.kernels[0].params.push_back(
      {KernelParam::Kind::TensorMap, "query", 0, {.dims = {3, 1, 2, 0}, .box = {64, 128, 1, 1}, .swizzle = 128}});
  return plan;
}

TEST(Manifest, TensorMapsRoundTrip) {
  const std::string json = toJson(withMap());
  std::string error;
  auto plan = parseManifest(json, &error);
  ASSERT_TRUE(plan) << error;
  EXPECT_EQ(toJson(*plan), json);
  EXPECT_EQ(plan->kernels[0].params[4].kind, KernelParam::Kind::TensorMap);
  EXPECT_EQ(plan->kernels[0].params[4].map, withMap().kernels[0].params[4].map);
}

TEST(Manifest, RefusesTensorMapsThatNoDeviceCouldEncode) {
  auto refusal = [](auto change) {
    PlanManifest plan = withMap();
    change(plan.kernels[0].params[4]);
    std::string error;
    EXPECT_FALSE(parseManifest(toJson(plan), &error));
    return error;
  };
  const std::string at = "manifest: /kernels/0/params/4/";
  EXPECT_EQ(refusal([](auto &param) { param.name = "queri"; }), at + "name: there is no tensor `queri`");
  EXPECT_EQ(refusal([](auto &param) { param.map.dims = {3, 1, 1, 0}; }),
            at + "dims: expects each of the 4 dimensions of `query` once");
  EXPECT_EQ(refusal([](auto &param) { param.map.dims = {3, 1, 2}; }),
            at + "dims: expects each of the 4 dimensions of `query` once");
  EXPECT_EQ(refusal([](auto &param) { param.map.dims = {0, 1, 2, 3}; }),
            at + "dims: expects the last dimension of `query` first, but got 0");
  EXPECT_EQ(refusal([](auto &param) { param.map.box = {64, 128}; }), at + "box: expects 4 sizes, but got 2");
  EXPECT_EQ(refusal([](auto &param) { param.map.box[1] = 512; }), at + "box: expects sizes from 1 to 256, but got 512");
  EXPECT_EQ(refusal([](auto &param) { param.map.swizzle = 16; }), at + "swizzle: expects 0, 32, 64 or 128, but got 16");
  EXPECT_EQ(refusal([](auto &param) { param.map.box[0] = 32; }), at + "box: a row has 64 bytes, but the swizzle 128");
  EXPECT_EQ(refusal([](auto &param) { param.map = {.dims = {3, 1, 2, 0}, .box = {20, 1, 1, 1}, .swizzle = 0}; }),
            at + "box: a row has 40 bytes, which is no multiple of 16");
  EXPECT_EQ(errorOf(toJson(example()), "\"dim\": 1", "\"dim\": 1, \"swizzle\": 0"),
            "manifest: /kernels/0/params/1: only a tensor map has `swizzle`");
  PlanManifest many = withMap();
  many.kernels[0].params.assign(40, many.kernels[0].params[4]);
  std::string error;
  EXPECT_FALSE(parseManifest(toJson(many), &error));
  EXPECT_EQ(error, "manifest: /kernels/0/params: 40 parameters take 5120 bytes; the limit is 4096");
}

} // namespace attn
