// The kernels of tests/lit/codegen/sm_90a, written by hand in the `tile` dialect: through ptxas, whose code must keep its
// products and copies overlapped, and on the virtual GPU against attention in float64.
//
//   sm_90a_kernels [--keep=DIRECTORY] [GoogleTest's options]
//
// A file named causal_… masks keys behind the query's position; in all others every key is visible. Without ptxas or
// nvdisasm the tests that need them are skipped.
#include "codegen/KernelAbi.h"
#include "codegen/LlvmModule.h"
#include "codegen/Ptx.h"
#include "driver/Session.h"
#include "tools/attnc/PlanRun.h"
#include "tools/attnc/Ptxas.h"
#include "tools/attnc/TensorFile.h"

#include "attn/Device.h"
#include "attn/Module.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <regex>

namespace attn {

static constexpr const char *kTarget = "sm_90a";
static std::string keepDirectory;

namespace {
struct Kernel {
  std::string name;
  PlanManifest manifest;
  std::string ptx;
  bool isCausal = false;
};
} // namespace

static Result<Kernel> compileFile(const std::filesystem::path &path) {
  Result<std::string> text = tools::readFile(path.string());
  if (!text)
    return text.status();
  driver::CompileRequest request;
  request.source = *text;
  request.fileName = path.filename().string();
  request.target = kTarget;
  request.from = driver::Stage::Tile;
  driver::Session session(request);
  auto module = session.lower(driver::Stage::Tile);
  if (!module)
    return module.status();
  Kernel kernel;
  kernel.name = path.stem().string();
  kernel.isCausal = kernel.name.starts_with("causal");
  std::string error;
  auto manifest = codegen::buildManifest(**module, kTarget, &error);
  if (!manifest)
    return session.failure(error);
  kernel.manifest = std::move(*manifest);
  if (Status status = session.continueTo(**module, driver::Stage::Tile, driver::Stage::Nvvm); !status)
    return status;
  auto llvmModule = codegen::translateToLlvm(**module);
  if (!llvmModule)
    return session.failure("no LLVM IR");
  auto ptx = codegen::emitPtx(*llvmModule, {.target = kTarget}, &error);
  if (!ptx)
    return Status(StatusCode::CompileError, error);
  kernel.ptx = std::move(*ptx);
  if (!keepDirectory.empty())
    static_cast<void>(tools::writeFile(fmt::format("{}/{}.ptx", keepDirectory, kernel.name), kernel.ptx));
  return kernel;
}

//===----------------------------------------------------------------------===//
// Launch
//===----------------------------------------------------------------------===//

/// Warps of all roles; five slots of two barriers behind 80 KiB of tiles; a block a multiprocessor, work tiles along x alone.
TEST(Sm90aManifest, DescribesTheLaunch) {
  Result<Kernel> kernel = compileFile(ATTN_SOURCE_DIR "/tests/lit/codegen/sm_90a/causal_64.mlir");
  ASSERT_TRUE(kernel) << kernel.status().message();
  const KernelManifest &launch = kernel->manifest.kernels[0];
  EXPECT_EQ(launch.threads, 384U);
  EXPECT_EQ(launch.sharedBytes, 81920U + 2 * 5 * 8);
  EXPECT_EQ(launch.grid[0].text(), "batch * 4 * ceildiv(q_len, 128)");
  EXPECT_EQ(launch.grid[1].text(), "1");
  EXPECT_EQ(launch.blocksPerMultiprocessor, 1U);
  ASSERT_GE(launch.params.size(), 4U);
  for (auto [index, name] : {std::pair{0, "query"}, {1, "key"}, {2, "value"}}) {
    EXPECT_EQ(launch.params[index].kind, KernelParam::Kind::TensorMap);
    EXPECT_EQ(launch.params[index].name, name);
    TensorMapLayout map{.dims = {3, 1, 2, 0}, .box = {64, 128, 1, 1}, .swizzle = 128};
    EXPECT_EQ(launch.params[index].map, map);
  }
  EXPECT_EQ(launch.params[3].kind, KernelParam::Kind::Pointer); // only outputs are addressed by the threads themselves
  EXPECT_EQ(launch.params[3].name, "out");
}

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

/// The instructions of a cubin, a line each; nothing without nvdisasm.
static std::vector<std::string> disassemble(const std::string &cubin, const std::string &name) {
  std::filesystem::path beside = std::filesystem::path(*tools::findPtxas()).parent_path() / "nvdisasm";
  std::string tool = std::filesystem::exists(beside) ? beside.string() : "nvdisasm";
  std::string path = fmt::format("{}/{}.cubin", testing::TempDir(), name);
  if (!tools::writeFile(path, cubin))
    return {};
  FILE *pipe = ::popen(fmt::format("{} -c {} 2>/dev/null", tool, path).c_str(), "r");
  std::vector<std::string> lines;
  char buffer[512];
  static const std::regex instruction(R"(/\*[0-9a-f]{4,}\*/\s+(.*);)");
  while (pipe && std::fgets(buffer, sizeof buffer, pipe)) {
    std::cmatch match;
    if (std::regex_search(buffer, match, instruction))
      lines.push_back(match[1]);
  }
  if (pipe)
    ::pclose(pipe);
  return lines;
}

static bool contains(const std::string &line, std::string_view word) { return line.find(word) != std::string::npos; }

namespace {
class Sm90aKernel : public testing::TestWithParam<std::filesystem::path> {
protected:
  static Result<tools::AssemblerReport> assembled(const Kernel &kernel) { return tools::assemble(kernel.ptx, kTarget); }
};
} // namespace

TEST_P(Sm90aKernel, Assembles) {
  if (!tools::findPtxas())
    GTEST_SKIP() << "ptxas is not installed";
  Result<Kernel> kernel = compileFile(GetParam());
  ASSERT_TRUE(kernel) << kernel.status().message();
  auto start = std::chrono::steady_clock::now();
  Result<tools::AssemblerReport> report = assembled(*kernel);
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  RecordProperty("ptxas_milliseconds", static_cast<int>(1000 * time.count()));
  ASSERT_TRUE(report) << report.status().message();
  EXPECT_EQ(report->text.find("C75"), std::string::npos) << report->text; // products serialised, setmaxnreg ignored
  ASSERT_EQ(report->kernels.size(), 1U);
  EXPECT_EQ(report->kernels[0].spillBytes, 0U) << report->text;
  EXPECT_EQ(report->kernels[0].registers, std::min(255U, 65536 / kernel->manifest.kernels[0].threads) / 8 * 8) << report->text;
}

/// In the loop over keys both products are issued, and all exponentials stand between the waits for them.
TEST_P(Sm90aKernel, ExponentialsOverlapTheSecondProduct) {
  if (!tools::findPtxas())
    GTEST_SKIP() << "ptxas is not installed";
  Result<Kernel> kernel = compileFile(GetParam());
  ASSERT_TRUE(kernel) << kernel.status().message();
  Result<tools::AssemblerReport> report = assembled(*kernel);
  ASSERT_TRUE(report) << report.status().message();
  std::vector<std::string> lines = disassemble(report->cubin, kernel->name);
  if (lines.empty())
    GTEST_SKIP() << "nvdisasm is not installed";
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [](const std::string &line) { return contains(line, "UTMALDG"); }));
  // The wait that leaves one product in flight is the first of an iteration; the next one ends it.
  auto first = std::find_if(lines.begin(), lines.end(), [](const std::string &line) {
    return contains(line, "WARPGROUP.DEPBAR") && contains(line, "gsb0, 0x1");
  });
  if (kernel->name.ends_with("synchronous")) {
    EXPECT_EQ(first, lines.end());
    return;
  }
  ASSERT_NE(first, lines.end()) << "no wait leaves a product in flight";
  auto second = std::find_if(first + 1, lines.end(), [](const std::string &line) { return contains(line, "WARPGROUP.DEPBAR"); });
  auto begin = std::find_if(std::make_reverse_iterator(first), lines.rend(), [](const std::string &line) { return contains(line, "WARPGROUP.DEPBAR"); });
  auto count = [](auto from, auto to, std::string_view word) { return std::count_if(from, to, [&](const std::string &line) { return contains(line, word); }); };
  auto end = std::find_if(second, lines.end(), [](const std::string &line) { return contains(line, "GMMA."); });
  std::int64_t between = count(first, second, "MUFU.EX2"), after = count(second, end, "MUFU.EX2");
  RecordProperty("products", static_cast<int>(count(begin.base(), first, "HGMMA")));
  EXPECT_EQ(count(begin.base(), first, "QGMMA") > 0, kernel->name.ends_with("float8"));
  RecordProperty("exponentials_between", static_cast<int>(between));
  EXPECT_GT(count(begin.base(), first, "HGMMA"), 0);
  EXPECT_GT(between, 0);
  EXPECT_EQ(after, 0);
}

//===----------------------------------------------------------------------===//
// Execution
//===----------------------------------------------------------------------===//

namespace {
struct Shape {
  std::int64_t batch, queries, keys;
};

/// A tensor [batch, rows, heads, dim] in double, of one head.
class Rows {
public:
  Rows(const HostTensor &tensor) : shape(tensor.shape), values(tensor.elementCount()) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = tensor.get(static_cast<std::int64_t>(i));
  }
  const double *row(std::int64_t b, std::int64_t row, std::int64_t head) const {
    return values.data() + ((b * shape[1] + row) * shape[2] + head) * shape[3];
  }

  std::vector<std::int64_t> shape;
  std::vector<double> values;
};

/// Attention as the kernels define it, all in double.
class Reference {
public:
  Reference(const tools::NamedTensors &inputs, bool isCausal)
      : query(inputs.at("query")), key(inputs.at("key")), value(inputs.at("value")), isCausal(isCausal) {
    if (auto found = inputs.find("bias"); found != inputs.end())
      bias = &found->second;
  }

  /// Returns the logarithm of the sum of a row's exponentials, and its output in `out`.
  double row(std::int64_t b, std::int64_t h, std::int64_t i, std::vector<double> &out) const {
    std::int64_t queries = query.shape[1], keys = key.shape[1], dim = query.shape[3], kvHead = h / (query.shape[2] / key.shape[2]);
    std::int64_t visible = isCausal ? std::min(keys, i + keys - queries + 1) : keys;
    out.assign(dim, 0.0);
    if (visible <= 0)
      return -INFINITY;
    std::vector<double> scores(visible);
    for (std::int64_t j = 0; j < visible; ++j) {
      double dot = bias ? bias->get(b * keys + j) : 0.0;
      for (std::int64_t c = 0; c < dim; ++c)
        dot += query.row(b, i, h)[c] * key.row(b, j, kvHead)[c];
      scores[j] = dot / std::sqrt(static_cast<double>(dim));
    }
    double maximum = *std::max_element(scores.begin(), scores.end()), sum = 0;
    for (std::int64_t j = 0; j < visible; ++j) {
      double weight = std::exp(scores[j] - maximum);
      sum += weight;
      for (std::int64_t c = 0; c < dim; ++c)
        out[c] += weight * value.row(b, j, kvHead)[c];
    }
    for (double &element : out)
      element /= sum;
    return maximum + std::log(sum);
  }

private:
  Rows query, key, value;
  const HostTensor *bias = nullptr; ///< a number a key, before the scale
  bool isCausal;
};
} // namespace

static HostTensor randomTensor(const TensorArgument &argument, std::int64_t batch, std::int64_t rows, std::uint64_t seed) {
  std::vector<std::int64_t> shape{batch, rows};
  for (std::size_t dim = 2; dim < argument.dims.size(); ++dim)
    shape.push_back(*argument.dims[dim].constant());
  HostTensor tensor(argument.type, shape);
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  for (std::int64_t i = 0; i < tensor.elementCount(); ++i)
    tensor.set(i, normal(generator));
  return tensor;
}

static tools::PlanInputs randomInputs(const Kernel &kernel, const Shape &shape) {
  tools::PlanInputs inputs;
  for (const TensorArgument &argument : kernel.manifest.tensors)
    if (argument.role == ArgumentRole::Input)
      inputs.tensors[argument.name] =
          randomTensor(argument, shape.batch, argument.name == "query" ? shape.queries : shape.keys, inputs.tensors.size() + 1);
  return inputs;
}

/// What is wrong with the outputs, or nothing. Rounding of probabilities and of the result allows two units each; `lse` is
/// in f32 throughout.
static std::string findDifference(const tools::NamedTensors &actual, const HostTensor &query, const Reference &reference) {
  Rows out(actual.at("out"));
  const HostTensor &lse = actual.at("lse");
  // Sums of 8-bit products have 14 bits: scores are off by some 2^-10, and so are weights.
  bool isFloat8 = query.type == ElementType::E4M3;
  double rounding = query.type == ElementType::BF16 ? 0x1p-8 : isFloat8 ? 0x1p-10 : 0x1p-11, lseLimit = isFloat8 ? 0x1p-8 : 1e-4;
  std::int64_t queries = query.shape[1], heads = query.shape[2];
  std::vector<double> expected;
  for (std::int64_t b = 0; b < query.shape[0]; ++b)
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t i = 0; i < queries; ++i) {
        double expectedLse = reference.row(b, h, i, expected), actualLse = lse.get((b * heads + h) * queries + i);
        bool isSame = std::isinf(expectedLse) ? expectedLse == actualLse : std::abs(expectedLse - actualLse) < lseLimit;
        if (!isSame)
          return fmt::format("lse of batch {}, head {}, query {}: {} instead of {}", b, h, i, actualLse, expectedLse);
        for (std::size_t c = 0; c < expected.size(); ++c) {
          double element = out.row(b, i, h)[c];
          if (!(std::abs(element - expected[c]) <= 4 * rounding * (1 + std::abs(expected[c]))))
            return fmt::format("out of batch {}, head {}, query {}, column {}: {} instead of {}", b, h, i, c, element, expected[c]);
        }
      }
  return {};
}

static Result<tools::NamedTensors> runOnEmulator(const Kernel &kernel, const tools::PlanInputs &inputs,
                                                 EmulatorOptions::Completion completion, std::uint32_t multiprocessors) {
  DeviceOptions options;
  options.target = kTarget;
  options.emulator.completion = completion;
  options.emulator.checks = EmulatorOptions::Checks::Memory;
  options.multiprocessors = multiprocessors;
  auto device = Device::open("emulator", options);
  if (!device)
    return device.status();
  auto module = Module::fromPtx(*device, kernel.ptx, toJson(kernel.manifest));
  if (!module)
    return module.status();
  auto plan = module->plan();
  if (!plan)
    return plan.status();
  return tools::runPlan(*device, *plan, inputs);
}

/// With copies and products that complete at once, and as late as the program allows.
static std::string findProblem(const Kernel &kernel, const Shape &shape, std::uint32_t multiprocessors) {
  tools::PlanInputs inputs = randomInputs(kernel, shape);
  Reference reference(inputs.tensors, kernel.isCausal);
  for (auto completion : {EmulatorOptions::Completion::Eager, EmulatorOptions::Completion::Lazy}) {
    Result<tools::NamedTensors> outputs = runOnEmulator(kernel, inputs, completion, multiprocessors);
    std::string problem = outputs ? findDifference(*outputs, inputs.tensors["query"], reference) : std::string(outputs.status().message());
    if (!problem.empty())
      return problem;
  }
  return {};
}

/// Whole tiles; parts of tiles, several blocks, more keys than queries; queries that see no key. With a block a tile, and with
/// three blocks for all.
TEST_P(Sm90aKernel, ComputesAttention) {
  Result<Kernel> kernel = compileFile(GetParam());
  ASSERT_TRUE(kernel) << kernel.status().message();
  for (Shape shape : {Shape{1, 128, 128}, Shape{2, 150, 331}, Shape{1, 65, 20}})
    for (std::uint32_t multiprocessors : {132, 3})
      EXPECT_EQ(findProblem(*kernel, shape, multiprocessors), "") << multiprocessors << " multiprocessors";
}

namespace {
struct Mutation {
  const char *what, *pattern, *replacement;
};
} // namespace

/// The kernel is right at this shape, and each mutant is found to be wrong.
static void expectFound(const char *file, const Shape &shape, std::uint32_t multiprocessors, std::initializer_list<Mutation> mutations) {
  Result<Kernel> kernel = compileFile(std::filesystem::path(ATTN_SOURCE_DIR "/tests/lit/codegen/sm_90a") / file);
  ASSERT_TRUE(kernel) << kernel.status().message();
  for (const Mutation &mutation : mutations) {
    Kernel mutant = *kernel;
    mutant.ptx = std::regex_replace(kernel->ptx, std::regex(mutation.pattern), mutation.replacement);
    EXPECT_TRUE(mutant.ptx != kernel->ptx) << mutation.what;
    EXPECT_NE(findProblem(mutant, shape, multiprocessors), "") << mutation.what;
  }
  EXPECT_EQ(findProblem(*kernel, shape, multiprocessors), "");
}

/// What a mistake of the lowering would look like does not pass.
TEST(Sm90aMutation, IsFound) {
  expectFound("causal_64.mlir", {1, 150, 400}, 132,
              {{"scores are read in flight", R"(wgmma\.wait_group\.sync\.aligned 1;)", ""},
               {"the first step accumulates", R"(set, 1, 1, 0, 0;)", "add, 1, 1, 0, 0;"},
               {"values are multiplied transposed", R"(b, add, 1, 1, 1;)", "b, add, 1, 1, 0;"},
               {"a step of the depth is taken twice", R"(add\.s64 b, (%rd\d+), 4;)", "add.s64 b, $1, 2;"},
               {"entries are never released", R"(@%p\d+ mbarrier\.arrive\.shared::cta\.b64 _, \[%r\d+\];)", ""},
               {"the turn is not passed on", R"(\n\s*bar\.arrive %r\d+, 256;)", "\n"},
               {"entries are not waited for", R"(mbarrier\.try_wait\.parity\.shared\.b64 (%p\d+), \[[^\]]*\], %r\d+;)", "setp.eq.b32 $1, 0, 0;"}});
}

/// Tiles that follow each other in a block share its staging.
TEST(Sm90aMutation, IsFoundBetweenTiles) {
  expectFound("causal_64_staged.mlir", {2, 150, 331}, 3,
              {{"the staging is written while it is read", R"(cp\.async\.bulk\.wait_group\.read\s+0;)", ""},
               {"stores belong to no group", R"(cp\.async\.bulk\.commit_group;)", ""},
               {"matrices are staged transposed", R"(stmatrix\.sync\.aligned\.m8n8\.x4\.shared)", "stmatrix.sync.aligned.m8n8.x4.trans.shared"},
               {"blocks count more of them than there are", R"(mov\.u32\s+(%r\d+), %nctaid\.x;)", "mov.u32 $1, 4;"}});
}

static std::vector<std::filesystem::path> kernelFiles() {
  std::vector<std::filesystem::path> files;
  for (const auto &entry : std::filesystem::directory_iterator(ATTN_SOURCE_DIR "/tests/lit/codegen/sm_90a"))
    if (entry.path().extension() == ".mlir")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

INSTANTIATE_TEST_SUITE_P(All, Sm90aKernel, testing::ValuesIn(kernelFiles()),
                         [](const auto &info) { return info.param.stem().string(); });

} // namespace attn

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]).starts_with("--keep="))
      attn::keepDirectory = std::string_view(argv[i]).substr(7);
  return RUN_ALL_TESTS();
}
