// Attention as others compute it (tests/golden/attention): PyTorch, Hugging Face's models, the code of papers. The float64
// evaluation of each specification must give what they gave, and each compiled kernel must be as close to it as the
// tolerance of docs/numerics.md asks, with their numbers in the place of the evaluation's.
//
// Tests are named SUITE.FAMILY_ATTENTION; suites are `evaluation`, the targets on the virtual GPU, `f32` and `f64` for the same
// specifications with that dtype, whose kernels err no more than the numbers of others are stored to, and `cuda` for a GPU where
// there is one. The files and the table name the same.
#include "attn/Module.h"
#include "driver/Compiler.h"
#include "dsl/TypedSpec.h"
#include "tools/attnc/Check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

namespace attn::golden {
namespace {

/// How the outside implementation computed.
enum class Arithmetic : std::uint8_t { Float64, Float32 };

struct Golden {
  std::string family, attention;
  Arithmetic arithmetic = Arithmetic::Float64;
  bool isRefusedInF64 = false;       ///< the compiler says so today, at its place

  std::string name() const { return family + "_" + attention; }
  std::string file(const char *extension) const { return ATTN_SOURCE_DIR "/tests/golden/attention/" + family + extension; }
};

const std::vector<Golden> kGoldens = {
#define GOLDEN(goldenFamily, goldenAttention, ...) Golden{.family = #goldenFamily, .attention = #goldenAttention, ##__VA_ARGS__},
#include "tests/golden/Goldens.def"
#undef GOLDEN
};

/// Outputs are stored in f32. Where the implementation rotated or normalised in f32, its angles, of up to 110 radians here,
/// are off by 4e-6, and a few of them meet in a score.
double allowedError(Arithmetic arithmetic, double stored) {
  return 0x1.01p-24 * std::abs(stored) + (arithmetic == Arithmetic::Float64 ? 1e-9 : 1e-5);
}

class GoldenTest : public testing::Test {
public:
  GoldenTest(const Golden &golden, std::string suite) : golden(golden), suite(std::move(suite)) {}
  void TestBody() override;

private:
  const Golden &golden;
  std::string suite;                 ///< what is compared with the stored output
  driver::CompileRequest request;
  std::unique_ptr<dsl::TypedSpec> spec;
  dsl::EvaluationInput input;
  dsl::EvaluationOutput exact;
  HostTensor out;
  std::optional<HostTensor> lse;

  bool isF32() const { return suite == "f32"; }
  bool isF64() const { return suite == "f64"; }
  void load();
  void compareEvaluation() const;
  void compareKernel();
};

} // namespace

static void expectNear(const std::vector<double> &actual, const HostTensor &stored, Arithmetic arithmetic, const char *what) {
  ASSERT_EQ(static_cast<std::int64_t>(actual.size()), stored.elementCount());
  for (std::int64_t i = 0; i < stored.elementCount(); ++i) {
    double wanted = stored.get(i), found = actual[static_cast<std::size_t>(i)];
    ASSERT_TRUE(found == wanted || std::abs(found - wanted) <= allowedError(arithmetic, wanted))
        << what << ", element " << i << ": is " << found << ", stored " << wanted;
  }
}

/// The same attentions of tensors in f32 or f64; all of them give their head_dim.
static std::string inType(const std::string &source, const std::string &type) {
  static const std::regex dtype(R"(;\s*dtype: b?f16)"), headDim(R"(head_dim: (\d+))");
  return std::regex_replace(std::regex_replace(source, dtype, ""), headDim, "head_dim: $1;  dtype: " + type);
}

/// Reads the specification and its tensors, and evaluates.
void GoldenTest::load() {
  Result<std::string> source = tools::readFile(golden.file(".attn"));
  Result<tools::NamedTensors> tensors = tools::readTensors(golden.file(".safetensors"));
  ASSERT_TRUE(source) << source.status().message();
  ASSERT_TRUE(tensors) << tensors.status().message();
  request.source = isF32() || isF64() ? inType(*source, suite) : *source;
  request.fileName = golden.family + ".attn";
  request.attention = golden.attention;
  Result<std::unique_ptr<dsl::TypedSpec>> analyzed = driver::analyzeSpec(request);
  ASSERT_TRUE(analyzed) << analyzed.status().message();
  spec = std::move(*analyzed);
  ASSERT_TRUE(tensors->contains("out_" + golden.attention));
  out = tensors->at("out_" + golden.attention);
  if (auto found = tensors->find("lse_" + golden.attention); found != tensors->end())
    lse = found->second;

  const HostTensor &query = tensors->at("query"), &key = tensors->at("key");
  input.extents = {{"batch", query.shape[0]}, {"q_len", query.shape[1]}, {"kv_len", key.shape[1]}};
  for (const char *name : {"query", "key", "value"}) {
    const HostTensor &given = tensors->at(name);
    input.tensors.emplace(name, isF32() ? given.converted(ElementType::F32) : isF64() ? given.converted(ElementType::F64) : given);
  }
  for (const dsl::TensorParameter &parameter : spec->tensors) {
    ASSERT_TRUE(tensors->contains(parameter.name)) << parameter.name;
    HostTensor tensor = tensors->at(parameter.name);
    input.tensors.emplace(parameter.name, parameter.element == ElementType::Bit ? tensor.converted(ElementType::Bit) : tensor);
  }
  Result<dsl::EvaluationOutput> output = dsl::evaluate(*spec, input, {.emulateKernel = suite != "evaluation", .threads = 1});
  ASSERT_TRUE(output) << output.status().message();
  exact = std::move(*output);
}

void GoldenTest::compareEvaluation() const {
  expectNear(exact.out, out, golden.arithmetic, "out");
  if (lse)
    expectNear(exact.lse, *lse, golden.arithmetic, "lse");
}

/// The suite's device. Kernels for sm_80 run on every GPU that is compiled for; products of f64 of 16 rows are sm_90a's.
static Result<Device> openDevice(const std::string &suite, std::string &target) {
  target = suite == "cuda" || suite == "f32" ? "sm_80" : suite == "f64" ? "sm_90a" : suite;
  if (suite == "cuda")
    return Device::open("cuda");
  DeviceOptions options;
  options.target = target;
  options.emulator.checks = EmulatorOptions::Checks::Memory;
  options.emulator.threads = 1;
  return Device::open("emulator", options);
}

void GoldenTest::compareKernel() {
  Result<Device> device = openDevice(suite, request.target);
  if (!device && suite == "cuda")
    GTEST_SKIP() << device.status().message();
  ASSERT_TRUE(device) << device.status().message();
  Result<driver::CompiledPlan> compiled = driver::compileSpec(request);
  if (isF64() && golden.isRefusedInF64) {
    ASSERT_FALSE(compiled) << "compiles now: take `.isRefusedInF64` out of Goldens.def";
    EXPECT_TRUE(std::regex_search(compiled.status().message(), std::regex(R"(\.attn:\d+:\d+: error: .*beside `f64`)"))) << compiled.status().message();
    return;
  }
  ASSERT_TRUE(compiled) << compiled.status().message();
  Result<Module> module = Module::fromPtx(*device, compiled->ptx, toJson(compiled->manifest));
  ASSERT_TRUE(module) << module.status().message();
  Result<Plan> plan = module->plan();
  ASSERT_TRUE(plan) << plan.status().message();
  Result<tools::NamedTensors> outputs = tools::runOnInput(*device, *plan, *spec, input);
  ASSERT_TRUE(outputs) << outputs.status().message();
  if (isF64() || (isF32() && golden.arithmetic == Arithmetic::Float32)) { // theirs is the larger error, or that of storing
    std::vector<double> computed;
    for (std::int64_t i = 0; i < outputs->at("out").elementCount(); ++i)
      computed.push_back(outputs->at("out").get(i));
    expectNear(computed, out, golden.arithmetic, "out");
  } else {
    for (std::size_t i = 0; i < exact.out.size(); ++i)
      exact.out[i] = out.get(static_cast<std::int64_t>(i));
  }
  Result<tools::CheckRecord> record = tools::compareOutputs(*spec, input, *outputs, exact);
  ASSERT_TRUE(record) << record.status().message();
  EXPECT_FALSE(record->outputs.empty());
  for (const tools::OutputError &error : record->outputs)
    EXPECT_TRUE(error.isWithin) << fmt::format("`{}`: {}; relative error {:.3g}, that of the reference algorithm {:.3g}",
                                               error.name, error.problem, error.rmsRelative, error.emulatedRms);
}

void GoldenTest::TestBody() {
  load();
  if (HasFatalFailure())
    return;
  if (suite == "evaluation")
    compareEvaluation();
  else
    compareKernel();
}

static std::set<std::string> namesOf(const std::string &text, const char *pattern) {
  std::set<std::string> names;
  std::regex expression(pattern, std::regex::multiline);
  for (std::sregex_iterator match(text.begin(), text.end(), expression), end; match != end; ++match)
    names.insert((*match)[1]);
  return names;
}

/// No attention and no output without a row of the table.
TEST(files, HoldWhatTheTableNames) {
  std::map<std::string, std::set<std::string>> families;
  for (const Golden &golden : kGoldens)
    families[golden.family].insert(golden.attention);
  for (const auto &[family, attentions] : families) {
    Golden golden{family, ""};
    Result<std::string> source = tools::readFile(golden.file(".attn"));
    Result<tools::NamedTensors> tensors = tools::readTensors(golden.file(".safetensors"));
    ASSERT_TRUE(source && tensors) << family;
    EXPECT_EQ(namesOf(*source, R"(^attention (\w+))"), attentions) << family;
    std::set<std::string> outputs;
    for (const auto &[name, tensor] : *tensors)
      if (name.starts_with("out_"))
        outputs.insert(name.substr(4));
    EXPECT_EQ(outputs, attentions) << family;
  }
}

} // namespace attn::golden

int main(int argc, char **argv) {
  using namespace attn::golden;
  testing::InitGoogleTest(&argc, argv);
  for (const Golden &golden : kGoldens)
    for (const char *suite : {"evaluation", "sm_80", "sm_90a", "f32", "f64", "cuda"})
      testing::RegisterTest(suite, golden.name().c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [&golden, suite]() -> GoldenTest * { return new GoldenTest(golden, suite); });
  return RUN_ALL_TESTS();
}
