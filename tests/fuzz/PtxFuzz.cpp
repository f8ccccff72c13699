// The PTX parser and decoder: any bytes give a module or a message with a line, soon and in little memory. A module prints
// to text that parses to the same text; its entries run, within a bound of steps, without harm to the process.
#include "runtime/emulator/Emulator.h"
#include "tests/fuzz/FuzzTarget.h"

#include <algorithm>
#include <vector>

using namespace attn;
using namespace attn::emulator;

namespace attn::fuzz {

std::span<const std::string_view> dictionary() {
  static constexpr std::string_view kWords[] = {
      ".version 7.8", ".target sm_80", ".address_size 64", ".entry ", ".visible ", ".func ", ".extern ", ".param ", ".reg ", ".shared ", ".global ",
      ".const ", ".local ", ".align 16 ", ".b8", ".b16", ".b32", ".b64", ".b128", ".pred", ".u32", ".s64", ".f16x2", ".f32", ".loc 1 2 3\n",
      ".file 1 \"a\"", ".section .debug {", ".pragma \"x\";", ".branchtargets", ".maxntid 32,1,1", "%r<99999999>", "%r1", "%p0|%p1", "@!%p0 ", "{%r1, _}",
      "[%rd1+-4294967296]", "0x7FFFFFFFFFFFFFFF", "0fFFFFFFFF", "0d7FF0000000000000", "99999999999999999999", "ld.global.nc.v4.f32", "st.shared.b64",
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", "cp.async.cg.shared.global",
      "bar.sync 0;", "call.uni", "brx.idx", "ret;", "LABEL:", "bra LABEL;", "shfl.sync.bfly.b32", "atom.global.add.f32", "cvt.rn.bf16x2.f32", "setp.lt.and.f32",
      "mov.u32 %r1, %tid.x;", "generic(", "/*", "*/", "//", "\"", ";", "{", "}", "(", ")", "[", "]", "<", ">", "::", "\0"};
  return kWords;
}

} // namespace attn::fuzz

/// `fuzz.ptx:` and a line number.
static bool isLocated(const std::string &message) {
  std::size_t at = message.find("fuzz.ptx:");
  return at == 0 && message.size() > 9 && message[9] >= '0' && message[9] <= '9' && message.find(": ", 9) != std::string::npos;
}

static void launchAll(const PtxModule &module) {
  static const std::unique_ptr<VirtualGpu> gpu = [] {
    auto made = VirtualGpu::create({.memoryBytes = 1 << 20});
    return made ? std::move(*made) : nullptr;
  }();
  static const DeviceAddress buffer = *gpu->allocate(4096);
  for (const EntryInfo &entry : module.entries())
    for (CheckLevel checks : {CheckLevel::Memory, CheckLevel::Full, CheckLevel::Off}) {
      std::vector<std::byte> parameters(entry.parameterBytes);
      for (const EntryParameter &parameter : entry.parameters)
        if (parameter.size == sizeof(buffer))
          __builtin_memcpy(parameters.data() + parameter.offset, &buffer, sizeof(buffer));
      LaunchConfig config;
      config.block = entry.requiredBlock.x ? entry.requiredBlock : Dim3{40, 1, 1};
      config.dynamicSharedBytes = 1024;
      gpu->launch(module, entry.name, config, std::span<const std::byte>(parameters),
                  {.checks = checks, .completion = AsyncCompletion::Lazy, .threads = 1, .keepGoing = checks != CheckLevel::Off, .stepLimit = 3000});
    }
  gpu->unload(module);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  auto module = PtxModule::parse(text, "fuzz.ptx");
  if (!module) {
    if (!isLocated(module.status().message()))
      fuzz::fail("a message without a line: " + module.status().message());
    return 0;
  }
  std::string printed = module->print();
  auto again = PtxModule::parse(printed, "printed.ptx");
  if (!again)
    fuzz::fail("printed, it does not parse: " + again.status().message() + "\n" + printed);
  if (std::string second = again->print(); second != printed) {
    std::size_t at = static_cast<std::size_t>(std::mismatch(printed.begin(), printed.end(), second.begin(), second.end()).first - printed.begin());
    std::size_t from = at < 80 ? 0 : at - 80;
    fuzz::fail("printed twice, it differs: …" + printed.substr(from, 160) + "\n---\n…" + second.substr(from, 160));
  }
  launchAll(*module);
  return 0;
}
