// Running the programs of Programs.h.
#include "tests/unit/emulator/Programs.h"

#include "tests/unit/emulator/Hardware.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace attn::emulator::testing {

std::set<std::pair<std::string, std::string>> &executed() {
  static std::set<std::pair<std::string, std::string>> opcodes;
  return opcodes;
}

std::vector<Program> &programsRun() {
  static std::vector<Program> programs;
  return programs;
}

std::string textOf(const Program &program) {
  return ".version 8.6\n.target " + program.target + "\n.address_size 64\n" + program.declarations + entryOf(program, "program");
}

std::string entryOf(const Program &program, const std::string &name) {
  std::string text = "\n.visible .entry " + name + "(";
  for (std::size_t i = 0; i < program.inputs.size(); ++i)
    text += fmt::format(".param .u64 in{}, ", i);
  for (std::size_t i = 0; i < program.maps.size(); ++i)
    text += fmt::format(".param .align 64 .b8 {}_map{}[128], ", name, i);
  text += ".param .u64 out)\n{\n  .reg .pred %p<32>;\n  .reg .b16 %h<32>;\n  .reg .b32 %r<64>, %thread, %x<4>;\n"
          "  .reg .b64 %d<64>, %in<4>, %out, %mine, %mine8, %map<4>;\n";
  for (std::size_t i = 0; i < program.maps.size(); ++i)
    text += fmt::format("  mov.b64 %map{0}, {1}_map{0};\n  cvta.param.u64 %map{0}, %map{0};\n", i, name);
  for (std::size_t i = 0; i < program.inputs.size(); ++i)
    text += fmt::format("  ld.param.u64 %in{0}, [in{0}];\n", i);
  text += "  ld.param.u64 %out, [out];\n  mov.u32 %x0, %ctaid.x;\n  mov.u32 %x1, %ntid.x;\n  mov.u32 %x2, %tid.x;\n"
          "  mad.lo.u32 %thread, %x0, %x1, %x2;\n  mad.wide.u32 %mine, %thread, 4, %out;\n"
          "  mad.wide.u32 %mine8, %thread, 8, %out;\n";
  return text + program.body + "\n  ret;\n}\n";
}

static Words runOnce(const PtxModule &module, const Program &program, AsyncCompletion completion, std::uint64_t seed) {
  auto gpu = std::move(*VirtualGpu::create());
  std::vector<DeviceAddress> buffers;
  for (const Words &input : program.inputs) {
    buffers.push_back(*gpu->allocate(input.size() * 4));
    EXPECT_TRUE(gpu->copyIn(buffers.back(), std::as_bytes(std::span(input))));
  }
  Words out(program.outputs, 0);
  buffers.push_back(*gpu->allocate(out.size() * 4));
  EXPECT_TRUE(gpu->copyIn(buffers.back(), std::as_bytes(std::span(out))));
  std::vector<std::array<std::byte, kTensorMapBytes>> maps;
  for (TensorMap map : program.maps) {
    map.address = buffers[map.address];
    EXPECT_TRUE(encodeTensorMap(map, maps.emplace_back()));
  }
  std::vector<void *> arguments;
  for (DeviceAddress &buffer : buffers)
    arguments.push_back(&buffer);
  for (std::size_t i = 0; i < maps.size(); ++i)
    arguments.insert(arguments.end() - 1, maps[i].data());
  LaunchOptions options;
  options.completion = completion;
  options.seed = seed;
  options.threads = 1;
  options.stepLimit = 1'000'000;
  options.countMemory = true;
  LaunchReport report = gpu->launch(
      module, "program", {.grid = program.grid, .block = program.block, .dynamicSharedBytes = program.dynamicShared}, arguments,
      options);
  EXPECT_TRUE(report.status) << report.status.message() << "\n" << program.body;
  EXPECT_TRUE(gpu->copyOut(std::as_writable_bytes(std::span(out)), buffers.back()));
  for (const LineCounters &line : report.counters.lines)
    executed().emplace(line.opcode, line.row);
  return out;
}

Words run(const Program &program) {
  programsRun().push_back(program);
  auto module = PtxModule::parse(textOf(program), "program.ptx");
  if (!module) {
    ADD_FAILURE() << module.status().message() << "\n" << program.body;
    return Words(program.outputs, 0xBAD);
  }
  Words early = runOnce(*module, program, AsyncCompletion::Eager, 0);
  EXPECT_EQ(early, runOnce(*module, program, AsyncCompletion::Lazy, 0)) << program.body;
  for (std::uint64_t seed : {1, 2})
    EXPECT_EQ(early, runOnce(*module, program, AsyncCompletion::Random, seed)) << program.body;
  if (hasHardware(program.target)) {
    EXPECT_EQ(early, runOnHardware(program)) << "the GPU's words differ from the virtual GPU's\n" << program.body;
  }
  auto again = PtxModule::parse(module->print(), "printed.ptx");
  if (!again)
    ADD_FAILURE() << "printed again: " << again.status().message() << "\n" << module->print();
  else
    EXPECT_EQ(again->print(), module->print());
  return early;
}

const std::vector<ProgramCase> &programCases() {
  static const std::vector<ProgramCase> all = [] {
    std::vector<ProgramCase> cases;
    for (auto group : {memoryCases, atomicCases, warpCases, blockCases, asyncCases, matrixCases, controlCases, mbarrierCases,
                       tensorCopyCases, warpgroupCases})
      for (const ProgramCase &each : group())
        cases.push_back(each);
    return cases;
  }();
  return all;
}

} // namespace attn::emulator::testing
