// Random masks of the language through kernels that list the blocks which tiles visit (passes/attn/ListedBlocks.h): compiled for
// both families of targets, run on the virtual GPU and compared with the float64 evaluation. A visible block that is left out, or
// a partial one that is taken as full, shows in `out`.
//
//   random_lists_test [--masks=N] [--seed=N]
#include "MaskWriter.h"
#include "NumberOption.h"

#include "attn/Module.h"
#include "driver/Compiler.h"
#include "dsl/RandomInputs.h"
#include "tools/attnc/Check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>


namespace attn::test {
namespace {

struct TestOptions {
  unsigned masks = 12, seed = 1;
} options;

/// Blocks are as small as each target has them, so that tables have many.
struct Machine {
  const char *target, *schedule;
};
constexpr Machine kMachines[] = {{"sm_80", "block_m=16,block_n=16,warps=1,stages=1,listed=1"},
                                 {"sm_90a", "block_m=64,block_n=16,warps=4,stages=2,listed=1"}};

} // namespace

static driver::CompileRequest requestOf(const WrittenMask &mask, const Machine &machine) {
  driver::CompileRequest request;
  request.source = fmt::format("attention random{} {{\n  q_heads: 2;  kv_heads: 1;  head_dim: 16;  dtype: f16\n  {}\n  mask = {}\n}}\n",
                               mask.parameters.empty() ? "" : "(" + mask.parameters + ")", mask.positions, mask.condition);
  request.fileName = "random.attn";
  request.target = machine.target;
  request.schedule = machine.schedule;
  return request;
}

/// Compiles, runs and compares; false where the compiler proves that nothing is visible.
static bool runMask(const WrittenMask &mask, const Machine &machine, unsigned seed) {
  driver::CompileRequest request = requestOf(mask, machine);
  Result<driver::CompiledPlan> compiled = driver::compileSpec(request);
  if (!compiled && compiled.status().message().find("hides every key") != std::string::npos)
    return false;
  EXPECT_TRUE(compiled) << compiled.status().message() << "\n" << request.source;
  Result<std::unique_ptr<dsl::TypedSpec>> spec = driver::analyzeSpec(request);
  DeviceOptions deviceOptions;
  deviceOptions.target = machine.target;
  Result<Device> device = Device::open("emulator", deviceOptions);
  EXPECT_TRUE(spec && device);
  if (!compiled || !spec || !device)
    return true;
  EXPECT_EQ(compiled->manifest.kernels.size(), 3u) << "marks, lists, attention\n" << request.source;
  Result<Module> module = Module::fromPtx(*device, compiled->ptx, toJson(compiled->manifest));
  EXPECT_TRUE(module) << module.status().message();
  Result<Plan> plan = module ? module->plan() : Result<Plan>(module.status());
  EXPECT_TRUE(plan) << plan.status().message();
  if (!plan)
    return true;
  std::mt19937 random(seed);
  auto between = [&](int low, int high) { return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1)); };
  dsl::EvaluationInput bound;
  bound.extents = {{"batch", between(1, 2)}, {"q_len", between(1, 80)}, {"kv_len", between(1, 150)}};
  Result<dsl::EvaluationInput> input = dsl::randomInput(**spec, bound, {.seed = seed, .varyScalars = true});
  EXPECT_TRUE(input) << input.status().message();
  Result<tools::CheckRecord> record = input ? tools::checkPlan(*device, *plan, **spec, *input) : Result<tools::CheckRecord>(input.status());
  EXPECT_TRUE(record) << record.status().message() << "\n" << request.source;
  for (const tools::OutputError &error : record ? record->outputs : std::vector<tools::OutputError>())
    EXPECT_TRUE(error.isWithin) << fmt::format("`{}`: {}, at {} for {}\n{}", error.name, error.problem, record->shape, machine.target, request.source);
  return true;
}

TEST(RandomLists, KernelsSeeWhatMasksShow) {
  unsigned run = 0;
  for (unsigned seed = options.seed; seed < options.seed + options.masks; ++seed) {
    SCOPED_TRACE(fmt::format("--seed={} --masks=1", seed));
    WrittenMask mask = MaskWriter(seed).write();
    for (const Machine &machine : kMachines)
      run += runMask(mask, machine, seed);
    if (testing::Test::HasFailure())
      return;
  }
  EXPECT_GT(run, options.masks);
}

} // namespace attn::test

int main(int argc, char **argv) {
  using attn::test::options, attn::test::readNumber;
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (!readNumber(argument, "--masks=", options.masks) && !readNumber(argument, "--seed=", options.seed)) {
      fmt::print(stderr, "{}: unknown option; expects --masks=N or --seed=N\n", argument);
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}
