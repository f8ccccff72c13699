// Runs the table of Cases.def: compile, run, compare with the float64 evaluation; or where a row says that the compiler
// refuses it, hold the compiler to that. A test is one row at one type and is named GROUP.NAME_DTYPE_HEADDIM.
//
//   conformance_test [--device=emulator|cuda] [--target=NAME] [--multiprocessors=N] [--splits=N] [--checked]
//                    [--sanitize] [GoogleTest's options]
//
// On the virtual GPU each input runs twice: with asynchronous copies that land at once, and as late as the program allows; with
// `--sanitize` under all checks, and thrice more with copies that land by chance; with `--multiprocessors` all of that again on so
// many, where blocks that stay do one tile after the other.
// Without a GPU the tests of `cuda` are skipped. A failed case leaves its specification, and unusual
// inputs, in conformance_failures/ and prints the `attnc check` command that repeats it.
#include "tests/conformance/Case.h"
#include "tests/conformance/SpecialValues.h"

#include "attn/Module.h"
#include "driver/Compiler.h"
#include "dsl/TypedSpec.h"
#include "tools/attnc/Check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <regex>

namespace attn::conformance {

namespace {
/// The program's own options.
struct TestOptions {
  std::string device = "emulator";
  std::string target; ///< unless given sm_80, on a GPU what suits it best
  unsigned multiprocessors = 0; ///< above 0: a virtual GPU of so many besides that of the default
  bool checked = false;   ///< compile with traps on indices out of range: none may fire
  bool sanitize = false;
  std::uint32_t splits = 0; ///< above 0: the kernels for few rows run, whose keys are split into so many shares
};

/// A device, and the options of `attnc` that give it.
struct TestDevice {
  Device device;
  std::string options;
  std::string environment; ///< that gives what no option does
};

class AttentionTest : public testing::Test {
public:
  AttentionTest(const Case &row, CaseType type, const TestOptions &options) : row(row), type(std::move(type)), options(options) {}

  void TestBody() override;

private:
  const Case &row;
  CaseType type;
  const TestOptions &options;
  std::string text;
  std::unique_ptr<dsl::TypedSpec> spec;

  std::string stem() const { return fmt::format("{}.{}_{}", row.group, row.name, type.name()); }
  driver::CompileRequest request() const;
  void checkRefusal(const Result<driver::CompiledPlan> &compiled);
  void runShape(const std::vector<std::pair<const TestDevice *, Plan>> &plans, const std::string &shape, std::uint64_t seed);
  std::string repetition(const TestDevice &on, const dsl::EvaluationInput &input, const std::string &shape, std::uint64_t seed);
};
} // namespace

static Result<TestDevice> openEmulator(const TestOptions &test, unsigned multiprocessors, EmulatorOptions::Completion completion,
                                       std::string_view more, std::uint64_t seed = 0) {
  DeviceOptions deviceOptions;
  deviceOptions.target = test.target;
  if (multiprocessors > 0)
    deviceOptions.multiprocessors = multiprocessors;
  deviceOptions.emulator.completion = completion;
  deviceOptions.emulator.seed = seed;
  deviceOptions.emulator.checks = test.sanitize ? EmulatorOptions::Checks::Full : EmulatorOptions::Checks::Memory;
  deviceOptions.emulator.threads = 1; // ctest runs groups beside each other
  Result<Device> device = Device::open("emulator", deviceOptions);
  if (!device)
    return device.status();
  return TestDevice{std::move(*device), fmt::format("--device emulator --target {}{}{}", test.target, more, test.sanitize ? " --sanitize" : ""),
                    multiprocessors > 0 ? fmt::format("ATTN_EMULATOR_MULTIPROCESSORS={} ", multiprocessors) : ""};
}

/// The ways to run on a virtual GPU of one size: two, or five.
static void openEmulators(const TestOptions &test, unsigned multiprocessors, std::vector<TestDevice> &list) {
  using Completion = EmulatorOptions::Completion;
  list.push_back(*openEmulator(test, multiprocessors, Completion::Eager, ""));
  list.push_back(*openEmulator(test, multiprocessors, Completion::Lazy, " --completion lazy"));
  for (std::uint64_t seed = 1; test.sanitize && seed <= 3; ++seed)
    list.push_back(*openEmulator(test, multiprocessors, Completion::Random, fmt::format(" --completion random --completion-seed {}", seed), seed));
}

/// Opened once.
static const std::vector<TestDevice> &devices(const TestOptions &test) {
  static const std::vector<TestDevice> opened = [&] {
    std::vector<TestDevice> list;
    if (test.device == "emulator") {
      openEmulators(test, 0, list);
      if (test.multiprocessors > 0)
        openEmulators(test, test.multiprocessors, list);
    } else if (Result<Device> device = Device::open(test.device)) {
      list.push_back({std::move(*device), fmt::format("--device {} --target {}", test.device, test.target), ""});
    }
    return list;
  }();
  return opened;
}

driver::CompileRequest AttentionTest::request() const {
  driver::CompileRequest request;
  request.source = text;
  request.fileName = stem() + ".attn";
  request.schedule = row.schedule;
  if (options.splits > 0)
    request.schedule += request.schedule.empty() ? "split=1" : ",split=1";
  request.tf32 = row.tf32;
  request.approximateTanh = row.approximateTanh;
  request.checked = options.checked;
  request.target = options.target;
  return request;
}

void AttentionTest::checkRefusal(const Result<driver::CompiledPlan> &compiled) {
  ASSERT_FALSE(compiled) << stem() << " compiles now: take its `refused` out of Cases.def\n" << text;
  const std::string &message = compiled.status().message();
  EXPECT_TRUE(std::regex_search(message, std::regex(R"(\.attn:\d+:\d+: error: )"))) << "has no place: " << message;
  EXPECT_NE(message.find(row.refused), std::string::npos) << message;
  EXPECT_EQ(message.find("could not be lowered"), std::string::npos) << message;
}

/// Leaves what a person needs to repeat the case, and says how.
std::string AttentionTest::repetition(const TestDevice &on, const dsl::EvaluationInput &input, const std::string &shape, std::uint64_t seed) {
  std::filesystem::path stemPath = std::filesystem::absolute("conformance_failures") / stem();
  std::error_code ignored;
  std::filesystem::create_directories(stemPath.parent_path(), ignored);
  std::string path = stemPath.string() + ".attn";
  if (Status status = tools::writeFile(path, text); !status)
    return status.message();
  if (row.values == Values::Normal)
    return fmt::format("attnc check {} --shape {} --seed {} {}", path, shape, seed, on.options);
  tools::NamedTensors tensors;
  for (const auto &[name, tensor] : input.tensors)
    tensors.emplace(name, spec->properties.layout == dsl::LayoutKind::Bhsd && tensor.shape.size() == 4 ? tools::swapRowsAndHeads(tensor) : tensor);
  std::string inputs = stemPath.string() + ".safetensors";
  if (Status status = tools::writeFile(inputs, tools::formatSafetensors(tensors)); !status)
    return status.message();
  return fmt::format("attnc check {} --input {} --shape {} {}", path, inputs, shape, on.options);
}

void AttentionTest::runShape(const std::vector<std::pair<const TestDevice *, Plan>> &plans, const std::string &shape, std::uint64_t seed) {
  Result<dsl::EvaluationInput> input = makeInput(*spec, shape, row.values, seed);
  ASSERT_TRUE(input) << input.status().message();
  Result<dsl::EvaluationOutput> exact = dsl::evaluate(*spec, *input, {.emulateKernel = true, .tf32 = row.tf32, .approximateTanh = row.approximateTanh,
                                                                        .float8Scores = !plans.empty() && plans.front().second.manifest().float8Scores,
                                                                        .float8Probs = !plans.empty() && plans.front().second.manifest().float8Probs, .threads = 1});
  ASSERT_TRUE(exact) << exact.status().message();
  tools::MemoryOrder order = row.memory == Memory::Gaps ? tools::MemoryOrder::Gaps : tools::MemoryOrder::Contiguous;
  for (const auto &[on, plan] : plans) {
    auto describe = [&, device = on] {
      std::string schedule = *row.schedule ? fmt::format(" --schedule {}", row.schedule) : "";
      if (options.splits > 0)
        schedule += fmt::format(" --splits {}", options.splits);
      return fmt::format("\n{}at {}, seed {}; repeat with\n  {}{}{}{}", text, shape, seed, device->environment, repetition(*device, *input, shape, seed),
                         options.checked ? " --checked" : "", schedule + (row.tf32 ? " --tf32" : "") + (row.approximateTanh ? " --approximate-tanh" : ""));
    };
    Result<tools::NamedTensors> outputs = tools::runOnInput(on->device, plan, *spec, *input, order, options.splits);
    if (!outputs) {
      ADD_FAILURE() << outputs.status().message() << describe();
      continue;
    }
    Result<tools::CheckRecord> record = tools::compareOutputs(*spec, *input, *outputs, *exact);
    ASSERT_TRUE(record) << record.status().message();
    EXPECT_FALSE(record->outputs.empty());
    for (const tools::OutputError &error : record->outputs)
      if (!error.isWithin)
        ADD_FAILURE() << fmt::format("`{}`: {}; relative error {:.3g}, that of the reference algorithm {:.3g}", error.name,
                                     error.problem, error.rmsRelative, error.emulatedRms)
                      << describe();
  }
}

void AttentionTest::TestBody() {
  text = specText(row, type);
  const std::vector<TestDevice> &on = devices(options);
  if (on.empty())
    GTEST_SKIP() << "there is no device `" << options.device << "`";
  Result<driver::CompiledPlan> compiled = driver::compileSpec(request());
  if (row.refused)
    return checkRefusal(compiled);
  ASSERT_TRUE(compiled) << compiled.status().message();
  Result<std::unique_ptr<dsl::TypedSpec>> analyzed = driver::analyzeSpec(request());
  ASSERT_TRUE(analyzed) << analyzed.status().message();
  spec = std::move(*analyzed);
  std::vector<std::pair<const TestDevice *, Plan>> plans;
  for (const TestDevice &device : on) {
    Result<Module> module = Module::fromPtx(device.device, compiled->ptx, toJson(compiled->manifest));
    ASSERT_TRUE(module) << module.status().message();
    Result<Plan> plan = module->plan();
    ASSERT_TRUE(plan) << plan.status().message();
    plans.emplace_back(&device, std::move(*plan));
  }
  std::uint64_t seed = 0;
  for (const std::string &shape : shapesOf(row))
    runShape(plans, shape, ++seed);
}

static std::string defaultTarget(const std::string &device) {
  if (device != "emulator")
    if (Result<Device> opened = Device::open(device))
      return opened->info().compileTarget;
  return "sm_80";
}

static void registerCases(const TestOptions &options) {
  for (const Case &row : allCases())
    for (const CaseType &type : typesOf(row)) {
      std::string name = fmt::format("{}_{}", row.name, type.name());
      testing::RegisterTest(row.group, name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [&row, type, &options]() -> AttentionTest * { return new AttentionTest(row, type, options); });
    }
}

} // namespace attn::conformance

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  attn::conformance::TestOptions options;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (argument == "--checked") {
      options.checked = true;
    } else if (argument == "--sanitize") {
      options.sanitize = true;
    } else if (argument.starts_with("--device=")) {
      options.device = argument.substr(std::string_view("--device=").size());
    } else if (argument.starts_with("--splits=")) {
      options.splits = static_cast<std::uint32_t>(std::atoi(argv[i] + std::string_view("--splits=").size()));
    } else if (argument.starts_with("--target=")) {
      options.target = argument.substr(std::string_view("--target=").size());
    } else if (argument.starts_with("--multiprocessors=")) {
      options.multiprocessors = static_cast<unsigned>(std::atoi(argv[i] + std::string_view("--multiprocessors=").size()));
    } else {
      fmt::print(stderr, "{}: unknown option; expects --device=emulator, --device=cuda, --target=NAME, --multiprocessors=N, --splits=N, --checked or --sanitize\n",
                 argument);
      return 2;
    }
  }
  if (options.target.empty())
    options.target = attn::conformance::defaultTarget(options.device);
  attn::conformance::registerCases(options);
  return RUN_ALL_TESTS();
}
