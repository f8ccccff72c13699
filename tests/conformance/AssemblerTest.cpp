// Every example through ptxas, also for later targets than it was compiled for; and, when asked for by name, every kernel of
// Cases.def, which conformance_test assembles as it runs it. Each assembles, and none spills for sm_90a, nor for sm_80 where
// head_dim is at most 128. Those that do today stand in Spills.def with their bytes, which none may exceed; a row whose kernel
// no longer spills fails, so that the list can only shrink. Without ptxas all of it is skipped.
#include "tests/conformance/Assembly.h"
#include "tests/conformance/Case.h"

#include "driver/Compiler.h"
#include "dsl/TypedSpec.h"
#include "tools/attnc/TensorFile.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace attn::conformance {

namespace {
class AssemblerTest : public testing::Test {
public:
  AssemblerTest(std::string name, driver::CompileRequest request, std::string target)
      : name(std::move(name)), request(std::move(request)), target(std::move(target)) {}

  void TestBody() override;

private:
  std::string name;
  driver::CompileRequest request;
  std::string target;
};
} // namespace

void AssemblerTest::TestBody() {
  if (!canAssemble())
    GTEST_SKIP() << "ptxas is not installed";
  Result<std::unique_ptr<dsl::TypedSpec>> spec = driver::analyzeSpec(request);
  ASSERT_TRUE(spec) << spec.status().message();
  Result<driver::CompiledPlan> compiled = driver::compileSpec(request);
  ASSERT_TRUE(compiled) << compiled.status().message();
  checkAssembly(compiled->ptx, {.name = name,
                                .kernel = compiled->manifest.name,
                                .compiledFor = request.target,
                                .assembledFor = target,
                                .longestRow = std::max((*spec)->properties.headDim, (*spec)->properties.headDimV)});
}

/// `suite.name` is also the name in Spills.def.
static void registerTest(const char *suite, const std::string &name, const driver::CompileRequest &request, const std::string &target) {
  testing::RegisterTest(suite, name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                        [=, full = fmt::format("{}.{}", suite, name)]() -> AssemblerTest * { return new AssemblerTest(full, request, target); });
}

static void registerExamples() {
  std::vector<std::filesystem::path> files;
  for (const auto &entry : std::filesystem::directory_iterator(ATTN_SOURCE_DIR "/examples"))
    if (entry.path().extension() == ".attn")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const std::filesystem::path &file : files) {
    Result<std::string> source = tools::readFile(file.string());
    std::string stem = file.stem().string();
    driver::CompileRequest request;
    request.source = source ? *source : source.status().message();
    request.fileName = file.filename().string();
    registerTest("example", stem, request, request.target);
    driver::CompileRequest hopper = request;
    hopper.target = "sm_90a";
    registerTest("hopper", "example_" + stem, hopper, hopper.target);
    // Code for sm_80 runs on every later part of the line.
    if (stem.starts_with("01_") || stem.starts_with("05_") || stem.starts_with("07_"))
      for (const char *target : {"sm_86", "sm_89", "sm_90"})
        registerTest("later", fmt::format("{}_{}", stem, target), request, target);
  }
}

static void registerCases() {
  for (const Case &row : allCases()) {
    if (row.refused)
      continue;
    for (const CaseType &type : typesOf(row)) {
      std::string name = fmt::format("{}_{}_{}", row.group, row.name, type.name());
      driver::CompileRequest request;
      request.source = specText(row, type);
      request.fileName = name + ".attn";
      request.schedule = row.schedule;
      request.tf32 = row.tf32;
      request.approximateTanh = row.approximateTanh;
      registerTest("kernel", name, request, request.target);
      request.target = "sm_90a";
      registerTest("hopper", name, request, request.target);
      if (name.starts_with("fp8_scores")) { // of 8 bits by mma.sync
        request.target = "sm_89";
        registerTest("ada", name, request, request.target);
      }
      // With the kernels for few rows of queries, and for their merge.
      request.schedule += request.schedule.empty() ? "split=1" : ",split=1";
      registerTest("split_hopper", name, request, request.target);
      request.target = "sm_80";
      registerTest("split", name, request, request.target);
    }
  }
}

} // namespace attn::conformance

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  attn::conformance::registerExamples();
  attn::conformance::registerCases();
  return RUN_ALL_TESTS();
}
