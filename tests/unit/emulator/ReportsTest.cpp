// What the checks say, and that they are silent where nothing is wrong. Each file of tests/emulator/reports is a program
// that triggers one finding, and, with small changes written into it, its clean twin:
//
//   // finding: M01 out of bounds …     the start of the finding's message    (or `// error: …`, of the refusal at load)
//   // launch: checks full, grid 2, block 64, shared 128, completion lazy, steps 1000   (what differs from level `memory`, one warp and
//                                                                             eager copies)
//   // buffer: in 128 [unwritten]       a parameter: a buffer of so many bytes, zeroed, or never written
//   // map: 64x32 box 64x8 swizzle 128 [rows 24]   a tensor map of 16-bit elements over a buffer of its own, which may end early,
//                                                 or over the first one: `at out`
//   // source: softcap.attn:17          the position that `.loc` gave
//     st.u32 [%d4+4], %r1; // bad       the line that the finding names
//     // good: st.u32 [%d4], %r1;       alone in its line: in the twin, stands here, and in place of a bad line above it
//     bra A; // good: bra B;            the twin's line
#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/TensorMap.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace attn::emulator {

namespace {
struct Buffer {
  std::size_t bytes = 0;
  bool written = true;
};

struct ReportCase {
  std::string name, text, twin, finding, error, source;
  unsigned badLine = 0;
  std::vector<Buffer> buffers;
  std::vector<TensorMap> maps; ///< `address`: the bytes of its buffer; 0: the first of `buffers`
  LaunchConfig config = {.block = {32, 1, 1}};
  LaunchOptions options = {.threads = 1, .stepLimit = 1'000'000}; ///< `checks`: the level that reports it
};

void PrintTo(const ReportCase &run, std::ostream *stream) { *stream << run.name; }
} // namespace

static std::string after(const std::string &line, const std::string &mark) {
  std::size_t at = line.find(mark);
  return at == std::string::npos ? "" : line.substr(at + mark.size());
}

static void readLaunch(std::istringstream words, ReportCase &read) {
  for (std::string key, value; words >> key >> value;) {
    if (!value.empty() && value.back() == ',')
      value.pop_back();
    if (key == "completion")
      read.options.completion = value == "random" ? AsyncCompletion::Random : AsyncCompletion::Lazy;
    else if (key == "checks")
      read.options.checks = CheckLevel::Full;
    else if (key == "grid")
      read.config.grid.x = static_cast<std::uint32_t>(std::stoul(value));
    else if (key == "block")
      read.config.block.x = static_cast<std::uint32_t>(std::stoul(value));
    else if (key == "shared")
      read.config.dynamicSharedBytes = static_cast<std::uint32_t>(std::stoul(value));
    else
      read.options.stepLimit = std::stoul(value);
  }
}

static TensorMap readMap(std::istringstream words) {
  TensorMap map{.rank = 2, .elementBytes = 2};
  char times = 0;
  words >> map.extents[0] >> times >> map.extents[1];
  map.strides[0] = map.extents[0] * 2;
  std::uint64_t rows = map.extents[1], swizzle = 0;
  bool isOverBuffer = false;
  for (std::string key; words >> key;) {
    if (key == "at") {
      isOverBuffer = true;
      words >> key;
    } else if (key == "box")
      words >> map.box[0] >> times >> map.box[1];
    else {
      std::uint64_t value = 0;
      words >> value;
      (key == "swizzle" ? swizzle : rows) = value;
    }
  }
  map.swizzle = static_cast<unsigned>(swizzle);
  map.address = isOverBuffer ? 0 : rows * map.strides[0];
  return map;
}

static void readHeader(const std::string &line, ReportCase &read) {
  if (std::string found = after(line, "// finding: "); !found.empty())
    read.finding = found;
  if (std::string found = after(line, "// error: "); !found.empty())
    read.error = found;
  if (std::string found = after(line, "// source: "); !found.empty())
    read.source = found;
  if (std::string found = after(line, "// launch: "); !found.empty())
    readLaunch(std::istringstream(found), read);
  if (std::string found = after(line, "// map: "); !found.empty())
    read.maps.push_back(readMap(std::istringstream(found)));
  if (std::string found = after(line, "// buffer: "); !found.empty()) {
    std::istringstream words(found);
    std::string name, mark;
    Buffer buffer;
    words >> name >> buffer.bytes >> mark;
    buffer.written = mark != "unwritten";
    read.buffers.push_back(buffer);
  }
}

static ReportCase readCase(const std::filesystem::path &path) {
  ReportCase read;
  read.name = path.stem().string();
  std::ifstream file(path);
  std::vector<std::string> twin;
  bool previousIsBad = false;
  unsigned number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    read.text += line + "\n";
    readHeader(line, read);
    bool isBad = line.find("// bad") != std::string::npos;
    read.badLine = isBad ? number : read.badLine;
    std::string good = after(line, "// good: ");
    bool alone = line.find_first_not_of(' ') == line.find("//");
    if (!good.empty() && alone && previousIsBad)
      twin.pop_back();
    twin.push_back(good.empty() ? line : good);
    previousIsBad = isBad;
  }
  for (const std::string &line : twin)
    read.twin += line + "\n";
  return read;
}

static std::vector<ReportCase> readCases() {
  std::vector<ReportCase> cases;
  for (const auto &entry : std::filesystem::directory_iterator(std::string(ATTN_SOURCE_DIR) + "/tests/emulator/reports"))
    if (entry.path().extension() == ".ptx")
      cases.push_back(readCase(entry.path()));
  std::sort(cases.begin(), cases.end(), [](const ReportCase &a, const ReportCase &b) { return a.name < b.name; });
  return cases;
}

static LaunchReport launch(const PtxModule &module, const ReportCase &run, std::optional<CheckLevel> checks = {}) {
  auto gpu = std::move(*VirtualGpu::create());
  std::vector<DeviceAddress> addresses;
  for (const Buffer &buffer : run.buffers) {
    addresses.push_back(*gpu->allocate(buffer.bytes));
    if (buffer.written) {
      EXPECT_TRUE(gpu->memset(addresses.back(), std::byte(0), buffer.bytes));
    }
  }
  std::vector<void *> arguments;
  for (DeviceAddress &address : addresses)
    arguments.push_back(&address);
  std::vector<std::array<std::byte, kTensorMapBytes>> maps(run.maps.size());
  for (std::size_t i = 0; i < maps.size(); ++i) {
    TensorMap map = run.maps[i];
    if (const std::uint64_t bytes = map.address) {
      map.address = *gpu->allocate(bytes);
      EXPECT_TRUE(gpu->memset(map.address, std::byte(0), bytes));
    } else {
      map.address = addresses.at(0);
    }
    EXPECT_TRUE(encodeTensorMap(map, maps[i]));
    arguments.push_back(maps[i].data());
  }
  LaunchOptions options = run.options;
  options.checks = checks.value_or(options.checks);
  return gpu->launch(module, "kernel", run.config, arguments, options);
}

class Reports : public ::testing::TestWithParam<ReportCase> {};

TEST_P(Reports, NameTheFault) {
  const ReportCase &run = GetParam();
  ASSERT_TRUE(run.finding.empty() != run.error.empty());
  auto module = PtxModule::parse(run.text, run.name + ".ptx");
  if (!run.error.empty()) {
    ASSERT_FALSE(module);
    EXPECT_EQ(module.status().code(), StatusCode::CompileError);
    std::string expected = fmt::format("{}.ptx:{}: {}", run.name, run.badLine, run.error);
    EXPECT_EQ(module.status().message().substr(0, expected.size()), expected);
    return;
  }
  ASSERT_TRUE(module) << module.status().message();
  LaunchReport report = launch(*module, run);
  ASSERT_EQ(report.findings.size(), 1u) << report.status.message();
  const Finding &finding = report.findings[0];
  EXPECT_EQ(finding.message.substr(0, run.finding.size()), run.finding);
  EXPECT_EQ(finding.id, run.finding.substr(0, 3));
  EXPECT_EQ(report.status.code(), StatusCode::DeviceError);
  EXPECT_EQ(report.status.message(), finding.message);
  if (run.badLine) {
    EXPECT_EQ(finding.ptxLine, run.badLine) << finding.message;
    EXPECT_NE(finding.message.find(fmt::format("{}.ptx:{}", run.name, run.badLine)), std::string::npos) << finding.message;
  }
  if (!run.source.empty()) {
    EXPECT_EQ(fmt::format("{}:{}", finding.source.file, finding.source.line), run.source);
    EXPECT_NE(finding.message.find(run.source), std::string::npos) << finding.message;
  }
}

TEST_P(Reports, AreSilentAboutTheTwin) {
  const ReportCase &run = GetParam();
  ASSERT_NE(run.text, run.twin);
  auto module = PtxModule::parse(run.twin, run.name + ".ptx");
  ASSERT_TRUE(module) << module.status().message();
  ReportCase twin = run;
  for (AsyncCompletion completion : {AsyncCompletion::Eager, AsyncCompletion::Lazy, AsyncCompletion::Random}) {
    twin.options.completion = completion;
    for (CheckLevel checks : {CheckLevel::Memory, CheckLevel::Full}) {
      LaunchReport report = launch(*module, twin, checks);
      EXPECT_TRUE(report.status) << report.status.message();
      EXPECT_TRUE(report.findings.empty());
    }
  }
}

/// What orders accesses does not depend on when asynchronous work is done: whatever the timing, a report is due, if only about
/// another of the accesses.
TEST_P(Reports, OfOrderDoNotDependOnTiming) {
  ReportCase run = GetParam();
  if (run.options.checks != CheckLevel::Full)
    return;
  auto module = PtxModule::parse(run.text, run.name + ".ptx");
  ASSERT_TRUE(module);
  for (AsyncCompletion completion : {AsyncCompletion::Eager, AsyncCompletion::Lazy, AsyncCompletion::Random})
    for (std::uint64_t seed = 0; seed < (completion == AsyncCompletion::Random ? 5u : 1u); ++seed) {
      run.options.completion = completion;
      run.options.seed = seed;
      LaunchReport report = launch(*module, run);
      EXPECT_EQ(report.findings.size(), 1u);
    }
}

/// Without checks the process survives whatever the program does, and the launch comes to an end.
TEST_P(Reports, DoNoHarmUnchecked) {
  const ReportCase &run = GetParam();
  auto module = PtxModule::parse(run.text, run.name + ".ptx");
  if (!module)
    return; // refused at load
  launch(*module, run, CheckLevel::Off);
}

INSTANTIATE_TEST_SUITE_P(Files, Reports, ::testing::ValuesIn(readCases()), [](const auto &info) { return info.param.name; });

static const char *const kTwoFaults = R"(.version 7.8
.target sm_80
.address_size 64
.visible .entry kernel(.param .u64 out)
{
  .reg .b32 %r<4>;
  .reg .b64 %d<4>;
  ld.param.u64 %d0, [out];
  mov.u32 %r1, 0;
LOOP:
  st.global.u32 [%d0], %r2;
  st.global.u32 [%d0+4096], %r1;
  st.global.u32 [%d0+2], %r1;
  add.u32 %r1, %r1, 1;
  setp.lt.u32 %p1, %r1, 5;
  @%p1 bra LOOP;
  st.global.u32 [%d0], %r1;
  ret;
}
)";

static PtxModule parsed(std::string text, const std::string &name = "kernel.ptx") {
  auto module = PtxModule::parse(text, name);
  EXPECT_TRUE(module) << module.status().message();
  return std::move(*module);
}

/// The first finding stops the launch; with `keepGoing` each is told once for each instruction.
TEST(Findings, StopOrGoOn) {
  std::string text = kTwoFaults;
  text.insert(text.find("  .reg .b32"), "  .reg .pred %p<2>;\n");
  PtxModule module = parsed(text);
  auto gpu = std::move(*VirtualGpu::create());
  DeviceAddress out = *gpu->allocate(64);
  void *arguments[] = {&out};
  LaunchReport report = gpu->launch(module, "kernel", {.grid = {3, 1, 1}, .block = {64, 1, 1}}, arguments, {.threads = 1});
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].id, "U01");
  report = gpu->launch(module, "kernel", {.grid = {3, 1, 1}, .block = {64, 1, 1}}, arguments, {.threads = 1, .keepGoing = true});
  ASSERT_EQ(report.findings.size(), 3u);
  EXPECT_EQ(report.findings[0].id, "U01");
  EXPECT_EQ(report.findings[1].id, "M01");
  EXPECT_EQ(report.findings[2].id, "M02");
  std::uint32_t result = 0;
  EXPECT_TRUE(gpu->copyOut(std::as_writable_bytes(std::span(&result, 1)), out));
  EXPECT_EQ(result, 5u) << "it should have run to its end";
}

TEST(Findings, NameFreedMemoryVariablesAndPlace) {
  PtxModule module = parsed(R"(.version 7.8
.target sm_80
.address_size 64
.global .align 4 .b8 table[64];
.visible .entry kernel(.param .u64 p)
{
  .reg .pred %p<2>;
  .reg .b32 %r<4>;
  .reg .b64 %d<4>;
  ld.param.u64 %d0, [p];
  mov.u32 %r1, %ctaid.y;
  setp.eq.u32 %p0, %r1, 1;
  @%p0 ld.global.u32 %r0, [%d0];
  ret;
}
.visible .entry past(.param .u64 p)
{
  .reg .b32 %r<4>;
  .reg .b64 %d<4>;
  ld.global.u32 %r0, [table+64];
  ret;
}
)");
  auto gpu = std::move(*VirtualGpu::create());
  DeviceAddress freed = *gpu->allocate(1000);
  ASSERT_TRUE(gpu->free(freed));
  void *arguments[] = {&freed};
  LaunchReport report = gpu->launch(module, "kernel", {.grid = {1, 2, 1}, .block = {40, 1, 1}}, arguments, {.threads = 1});
  ASSERT_EQ(report.findings.size(), 1u);
  const std::string &message = report.findings[0].message;
  EXPECT_NE(message.find(fmt::format("inside the 1000-byte allocation at {:#x} that was freed", freed)), std::string::npos) << message;
  EXPECT_NE(message.find("in CTA (0, 1, 0) warp 0 all lanes"), std::string::npos) << message;
  EXPECT_EQ(report.findings[0].cta.y, 1u);
  report = gpu->launch(module, "past", {}, arguments, {.threads = 1});
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_NE(report.findings[0].message.find("0 bytes past the end of the 64-byte variable `table`"), std::string::npos) << report.findings[0].message;
}

/// What a launch refuses before anything runs.
TEST(Launches, RefuseBadArguments) {
  PtxModule module = parsed(R"(.version 7.8
.target sm_80
.address_size 64
.visible .entry plain(.param .u64 p, .param .u32 n) { ret; }
.visible .entry required() .reqntid 64, 2, 1 { ret; }
.visible .entry limited() .maxntid 128, 1, 1 { ret; }
.visible .entry large() { .shared .b8 tile[40000]; ret; }
)");
  auto gpu = std::move(*VirtualGpu::create());
  auto refusal = [&](const char *entry, const LaunchConfig &config, std::span<void *const> arguments = {}, LaunchOptions options = {}) {
    LaunchReport report = gpu->launch(module, entry, config, arguments, options);
    EXPECT_FALSE(report.status) << entry;
    EXPECT_TRUE(report.findings.empty());
    return report.status.message();
  };
  std::uint64_t value = 0;
  void *two[] = {&value, &value};
  EXPECT_EQ(refusal("missing", {}), "launch: the module has no entry `missing`");
  EXPECT_EQ(refusal("plain", {}), "launch of `plain`: 0 arguments, but it takes 2");
  EXPECT_EQ(gpu->launch(module, "plain", {}, std::span<const std::byte>()).status.message(), "launch of `plain`: 0 bytes of parameters, but it takes 12");
  EXPECT_EQ(refusal("plain", {.block = {2048, 1, 1}}, two), "launch of `plain`: block (2048, 1, 1) is outside 1 to 1024 threads");
  EXPECT_EQ(refusal("plain", {.block = {1, 1, 65}}, two), "launch of `plain`: block (1, 1, 65) is outside 1 to 1024 threads");
  EXPECT_EQ(refusal("plain", {.block = {32, 0, 1}}, two), "launch of `plain`: block (32, 0, 1) is outside 1 to 1024 threads");
  EXPECT_EQ(refusal("plain", {.grid = {1, 0, 1}}, two), "launch of `plain`: grid (1, 0, 1) is outside (2147483647, 65535, 65535) or empty");
  EXPECT_EQ(refusal("plain", {.grid = {1, 70000, 1}}, two), "launch of `plain`: grid (1, 70000, 1) is outside (2147483647, 65535, 65535) or empty");
  EXPECT_EQ(refusal("required", {.block = {128, 1, 1}}), "launch of `required`: block (128, 1, 1), but the entry requires (64, 2, 1)");
  EXPECT_EQ(refusal("limited", {.block = {129, 1, 1}}), "launch of `limited`: 129 threads, but the entry allows 128");
  EXPECT_EQ(refusal("large", {.dynamicSharedBytes = 200000}), "launch of `large`: 240000 bytes of shared memory, but a block has at most 232448");
  EXPECT_TRUE(gpu->launch(module, "required", {.block = {64, 2, 1}}, std::span<void *const>()).status);
}

/// Host calls check their ranges too.
TEST(Memory, HostCallsAreChecked) {
  auto gpu = std::move(*VirtualGpu::create({.memoryBytes = 1 << 20}));
  DeviceAddress address = *gpu->allocate(100);
  std::byte bytes[128] = {};
  EXPECT_EQ(gpu->copyIn(address, bytes).code(), StatusCode::InvalidArgument);
  EXPECT_EQ(gpu->copyOut(bytes, address + 1).code(), StatusCode::InvalidArgument);
  EXPECT_EQ(gpu->memset(address + 90, std::byte(1), 11).code(), StatusCode::InvalidArgument);
  EXPECT_EQ(gpu->copyWithin(address, address + 64, 64).code(), StatusCode::InvalidArgument);
  EXPECT_EQ(gpu->free(address + 8).message(), fmt::format("free: {:#x} is not the start of an allocation", address + 8));
  EXPECT_TRUE(gpu->free(address));
  EXPECT_FALSE(gpu->free(address));
  EXPECT_EQ(gpu->allocate(2 << 20).status().code(), StatusCode::OutOfMemory);
}

} // namespace attn::emulator
