// Runs the table of Cases.def: compile, run, compare with the float64 evaluation; or where a row says that the compiler
// refuses it, hold the compiler to that. A test is one row at one type and is named GROUP.NAME_DTYPE_HEADDIM.
//
//   conformance_test [--device=emulator|cuda] [--target=NAME,…] [--multiprocessors=N] [--splits=N,…] [--checked]
//                    [--sanitize] [--assemble[=FILTER]] [GoogleTest's options]
//
// Several targets, and several numbers of shares, are run on the same inputs and compared with one evaluation.
// On the virtual GPU each input runs twice: with asynchronous copies that land at once, and as late as the program allows; with
// `--sanitize` under all checks, and thrice more with copies that land by chance. With `--multiprocessors`, kernels whose blocks do
// one tile after the other run all of that on so many, and copies that land late on a virtual GPU of the usual size besides.
// With `--assemble` the kernels also go through ptxas where there is one (Assembly.h); FILTER is as in --gtest_filter, without `-`.
// Without a GPU the tests of `cuda` are skipped. A failed case leaves its specification, and unusual
// inputs, in conformance_failures/ and prints the `attnc check` command that repeats it.
#include "tests/conformance/Assembly.h"
#include "tests/conformance/Case.h"
#include "tests/conformance/SpecialValues.h"

#include "attn/Module.h"
#include "driver/Compiler.h"
#include "dsl/TypedSpec.h"
#include "tools/attnc/Check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fnmatch.h>
#include <map>
#include <regex>
#include <sstream>

namespace attn::conformance {

namespace {
/// The program's own options.
struct TestOptions {
  std::string device = "emulator";
  std::vector<std::string> targets; ///< unless given sm_80, on a GPU what suits it best
  unsigned multiprocessors = 0; ///< above 0: for kernels that do one tile after the other, a virtual GPU of so many
  bool checked = false;   ///< compile with traps on indices out of range: none may fire
  bool sanitize = false;
  std::vector<std::uint32_t> splits; ///< unless none: the kernels for few rows run, whose keys are split into so many shares
  std::vector<std::string> assembled; ///< patterns of the tests whose kernels are assembled
};

/// A device, and the options of `attnc` that give it.
struct TestDevice {
  Device device;
  std::string options;
  std::string environment; ///< that gives what no option does
};

/// The ways to run for one target.
struct TestDevices {
  std::vector<TestDevice> usual; ///< empty: there is no such device
  std::vector<TestDevice> few;   ///< the same with `multiprocessors` of them
};

/// A compiled plan where it runs.
struct DevicePlan {
  const TestDevice *on;
  Plan plan;
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
  driver::CompileRequest request(const std::string &target) const;
  void compileFor(const std::string &target, std::vector<DevicePlan> &runs);
  void checkRefusal(const Result<driver::CompiledPlan> &compiled);
  void assemble(const driver::CompiledPlan &compiled, const std::string &target);
  void runShape(const std::vector<DevicePlan> &runs, const std::string &shape, std::uint64_t seed);
  void runOnce(const DevicePlan &run, const dsl::EvaluationInput &input, const dsl::EvaluationOutput &exact, std::uint32_t splits,
               const std::string &shape, std::uint64_t seed);
  std::string repetition(const TestDevice &on, const dsl::EvaluationInput &input, const std::string &shape, std::uint64_t seed);
};
} // namespace

static Result<TestDevice> openEmulator(const TestOptions &test, const std::string &target, unsigned multiprocessors,
                                       EmulatorOptions::Completion completion, std::string_view more, std::uint64_t seed = 0) {
  DeviceOptions deviceOptions;
  deviceOptions.target = target;
  if (multiprocessors > 0)
    deviceOptions.multiprocessors = multiprocessors;
  deviceOptions.emulator.completion = completion;
  deviceOptions.emulator.seed = seed;
  deviceOptions.emulator.checks = test.sanitize ? EmulatorOptions::Checks::Full : EmulatorOptions::Checks::Memory;
  deviceOptions.emulator.threads = 1; // ctest runs groups beside each other
  Result<Device> device = Device::open("emulator", deviceOptions);
  if (!device)
    return device.status();
  return TestDevice{std::move(*device), fmt::format("--device emulator --target {}{}{}", target, more, test.sanitize ? " --sanitize" : ""),
                    multiprocessors > 0 ? fmt::format("ATTN_EMULATOR_MULTIPROCESSORS={} ", multiprocessors) : ""};
}

/// The ways to run on a virtual GPU of one size: two, or five.
static std::vector<TestDevice> openEmulators(const TestOptions &test, const std::string &target, unsigned multiprocessors) {
  using Completion = EmulatorOptions::Completion;
  std::vector<TestDevice> list;
  list.push_back(*openEmulator(test, target, multiprocessors, Completion::Eager, ""));
  list.push_back(*openEmulator(test, target, multiprocessors, Completion::Lazy, " --completion lazy"));
  for (std::uint64_t seed = 1; test.sanitize && seed <= 3; ++seed)
    list.push_back(*openEmulator(test, target, multiprocessors, Completion::Random,
                                 fmt::format(" --completion random --completion-seed {}", seed), seed));
  return list;
}

static TestDevices openDevices(const TestOptions &test, const std::string &target) {
  TestDevices opened;
  if (test.device == "emulator") {
    opened.usual = openEmulators(test, target, 0);
    if (test.multiprocessors > 0)
      opened.few = openEmulators(test, target, test.multiprocessors);
  } else if (Result<Device> device = Device::open(test.device)) {
    opened.usual.push_back({std::move(*device), fmt::format("--device {} --target {}", test.device, target), ""});
  }
  return opened;
}

/// Opened once.
static const TestDevices &devices(const TestOptions &test, const std::string &target) {
  // Not destroyed: what a driver's library has of its own, loaded after this, goes before it.
  static auto &opened = *new std::map<std::string, TestDevices>;
  auto found = opened.find(target);
  return found != opened.end() ? found->second : opened.emplace(target, openDevices(test, target)).first->second;
}

/// Where a plan runs: in all ways on the usual size; but one whose blocks take several tiles runs in all ways where there are few
/// multiprocessors, and on the usual size, where each block has one tile, only with copies that land late.
static std::vector<const TestDevice *> devicesOf(const TestDevices &opened, const PlanManifest &manifest) {
  bool takesTiles = std::any_of(manifest.kernels.begin(), manifest.kernels.end(),
                                [](const KernelManifest &kernel) { return kernel.blocksPerMultiprocessor > 0; });
  std::vector<const TestDevice *> list;
  if (opened.few.empty() || !takesTiles) {
    for (const TestDevice &device : opened.usual)
      list.push_back(&device);
    return list;
  }
  list.push_back(&opened.usual.at(1));
  for (const TestDevice &device : opened.few)
    list.push_back(&device);
  return list;
}

/// How Spills.def calls the kernels of a target.
static std::string suiteOf(const std::string &target, bool splits) {
  std::string line = target == "sm_90a" ? "hopper" : target == "sm_89" ? "ada" : "kernel";
  return !splits ? line : line == "kernel" ? "split" : "split_" + line;
}

driver::CompileRequest AttentionTest::request(const std::string &target) const {
  driver::CompileRequest request;
  request.source = text;
  request.fileName = stem() + ".attn";
  request.schedule = row.schedule;
  if (!options.splits.empty())
    request.schedule += request.schedule.empty() ? "split=1" : ",split=1";
  request.tf32 = row.tf32;
  request.approximateTanh = row.approximateTanh;
  request.checked = options.checked;
  request.target = target;
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

void AttentionTest::runOnce(const DevicePlan &run, const dsl::EvaluationInput &input, const dsl::EvaluationOutput &exact, std::uint32_t splits,
                            const std::string &shape, std::uint64_t seed) {
  auto describe = [&] {
    std::string schedule = *row.schedule ? fmt::format(" --schedule {}", row.schedule) : "";
    if (splits > 0)
      schedule += fmt::format(" --splits {}", splits);
    return fmt::format("\n{}at {}, seed {}; repeat with\n  {}{}{}{}", text, shape, seed, run.on->environment, repetition(*run.on, input, shape, seed),
                       options.checked ? " --checked" : "", schedule + (row.tf32 ? " --tf32" : "") + (row.approximateTanh ? " --approximate-tanh" : ""));
  };
  tools::MemoryOrder order = row.memory == Memory::Gaps ? tools::MemoryOrder::Gaps : tools::MemoryOrder::Contiguous;
  Result<tools::NamedTensors> outputs = tools::runOnInput(run.on->device, run.plan, *spec, input, order, splits);
  if (!outputs) {
    ADD_FAILURE() << outputs.status().message() << describe();
    return;
  }
  Result<tools::CheckRecord> record = tools::compareOutputs(*spec, input, *outputs, exact);
  ASSERT_TRUE(record) << record.status().message();
  EXPECT_FALSE(record->outputs.empty());
  for (const tools::OutputError &error : record->outputs)
    if (!error.isWithin)
      ADD_FAILURE() << fmt::format("`{}`: {}; relative error {:.3g}, that of the reference algorithm {:.3g}", error.name,
                                   error.problem, error.rmsRelative, error.emulatedRms)
                    << describe();
}

void AttentionTest::runShape(const std::vector<DevicePlan> &runs, const std::string &shape, std::uint64_t seed) {
  Result<dsl::EvaluationInput> input = makeInput(*spec, shape, row.values, seed);
  ASSERT_TRUE(input) << input.status().message();
  std::map<std::pair<bool, bool>, dsl::EvaluationOutput> evaluated; // for targets that multiply alike
  for (const DevicePlan &run : runs) {
    const PlanManifest &manifest = run.plan.manifest();
    std::pair<bool, bool> products(manifest.float8Scores, manifest.float8Probs);
    if (!evaluated.count(products)) {
      Result<dsl::EvaluationOutput> exact = dsl::evaluate(*spec, *input, {.emulateKernel = true, .tf32 = row.tf32,
                                                                            .approximateTanh = row.approximateTanh, .float8Scores = products.first,
                                                                            .float8Probs = products.second, .threads = 1});
      ASSERT_TRUE(exact) << exact.status().message();
      evaluated.emplace(products, std::move(*exact));
    }
    if (options.splits.empty())
      runOnce(run, *input, evaluated.at(products), 0, shape, seed);
    for (std::uint32_t splits : options.splits)
      runOnce(run, *input, evaluated.at(products), splits, shape, seed);
  }
}

void AttentionTest::assemble(const driver::CompiledPlan &compiled, const std::string &target) {
  bool isSelected = std::any_of(options.assembled.begin(), options.assembled.end(),
                                [&](const std::string &pattern) { return ::fnmatch(pattern.c_str(), stem().c_str(), 0) == 0; });
  if (!isSelected || !canAssemble())
    return;
  std::string name = fmt::format("{}.{}_{}_{}", suiteOf(target, !options.splits.empty()), row.group, row.name, type.name());
  checkAssembly(compiled.ptx, {.name = name,
                               .kernel = compiled.manifest.name,
                               .compiledFor = target,
                               .assembledFor = target,
                               .longestRow = std::max(type.headDim, type.headDimV)});
}

void AttentionTest::compileFor(const std::string &target, std::vector<DevicePlan> &runs) {
  SCOPED_TRACE(target);
  Result<driver::CompiledPlan> compiled = driver::compileSpec(request(target));
  if (row.refused)
    return checkRefusal(compiled);
  ASSERT_TRUE(compiled) << compiled.status().message();
  assemble(*compiled, target);
  for (const TestDevice *device : devicesOf(devices(options, target), compiled->manifest)) {
    Result<Module> module = Module::fromPtx(device->device, compiled->ptx, toJson(compiled->manifest));
    ASSERT_TRUE(module) << module.status().message();
    Result<Plan> plan = module->plan();
    ASSERT_TRUE(plan) << plan.status().message();
    runs.push_back({device, std::move(*plan)});
  }
}

void AttentionTest::TestBody() {
  text = specText(row, type);
  if (devices(options, options.targets.front()).usual.empty())
    GTEST_SKIP() << "there is no device `" << options.device << "`";
  std::vector<DevicePlan> runs;
  for (const std::string &target : options.targets) {
    compileFor(target, runs);
    if (HasFatalFailure())
      return;
  }
  if (row.refused)
    return;
  Result<std::unique_ptr<dsl::TypedSpec>> analyzed = driver::analyzeSpec(request(options.targets.front()));
  ASSERT_TRUE(analyzed) << analyzed.status().message();
  spec = std::move(*analyzed);
  std::uint64_t seed = 0;
  for (const std::string &shape : shapesOf(row))
    runShape(runs, shape, ++seed);
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

static std::vector<std::string> parts(std::string_view text, char separator) {
  std::vector<std::string> result;
  std::istringstream stream{std::string(text)};
  for (std::string part; std::getline(stream, part, separator);)
    result.push_back(part);
  return result;
}

/// What stands behind `option` in an argument that begins with it.
static std::optional<std::string_view> valueOf(std::string_view argument, std::string_view option) {
  return argument.starts_with(option) ? std::optional(argument.substr(option.size())) : std::nullopt;
}

/// Takes one of the program's own options; false: it is none.
static bool parseOption(std::string_view argument, TestOptions &options) {
  if (argument == "--checked")
    options.checked = true;
  else if (argument == "--sanitize")
    options.sanitize = true;
  else if (argument == "--assemble")
    options.assembled = {"*"};
  else if (auto filter = valueOf(argument, "--assemble="))
    options.assembled = parts(*filter, ':');
  else if (auto device = valueOf(argument, "--device="))
    options.device = *device;
  else if (auto targets = valueOf(argument, "--target="))
    options.targets = parts(*targets, ',');
  else if (auto multiprocessors = valueOf(argument, "--multiprocessors="))
    options.multiprocessors = static_cast<unsigned>(std::stoul(std::string(*multiprocessors)));
  else if (auto splits = valueOf(argument, "--splits="))
    for (const std::string &number : parts(*splits, ','))
      options.splits.push_back(static_cast<std::uint32_t>(std::stoul(number)));
  else
    return false;
  return true;
}

} // namespace attn::conformance

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  attn::conformance::TestOptions options;
  for (int i = 1; i < argc; ++i)
    if (!attn::conformance::parseOption(argv[i], options)) {
      fmt::print(stderr, "{}: unknown option; expects --device=emulator, --device=cuda, --target=NAME,…, --multiprocessors=N, --splits=N,…, "
                         "--assemble[=FILTER], --checked or --sanitize\n",
                 argv[i]);
      return 2;
    }
  if (options.targets.empty())
    options.targets = {attn::conformance::defaultTarget(options.device)};
  if (!options.assembled.empty() && !attn::conformance::canAssemble())
    fmt::print("ptxas is not installed: no kernel is assembled\n");
  attn::conformance::registerCases(options);
  int status = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0 && !testing::GTEST_FLAG(list_tests)) {
    fmt::print(stderr, "no case is selected by --gtest_filter={}\n", testing::GTEST_FLAG(filter));
    return 2;
  }
  return status;
}
