// Names of types, spaces and special registers, as PTX spells them.
#include "runtime/emulator/PtxAst.h"

#include <array>

namespace attn::emulator::ptx {

namespace {
struct TypeFacts {
  std::string_view name;
  unsigned bits;
  bool isFloat, isSigned;
};
} // namespace

// In the order of ScalarType.
static constexpr TypeFacts kTypes[] = {
    {"", 0, false, false},      {"pred", 1, false, false},  {"b8", 8, false, false},    {"b16", 16, false, false},
    {"b32", 32, false, false},  {"b64", 64, false, false},  {"b128", 128, false, false}, {"u8", 8, false, false},
    {"u16", 16, false, false},  {"u32", 32, false, false},  {"u64", 64, false, false},  {"s8", 8, false, true},
    {"s16", 16, false, true},   {"s32", 32, false, true},   {"s64", 64, false, true},   {"f16", 16, true, true},
    {"f16x2", 32, true, true},  {"bf16", 16, true, true},   {"bf16x2", 32, true, true}, {"tf32", 32, true, true},
    {"f32", 32, true, true},    {"f64", 64, true, true},    {"u16x2", 32, false, false}, {"s16x2", 32, false, true},
    {"e4m3x2", 16, false, false}, {"e5m2x2", 16, false, false},
    {"e4m3", 8, true, true},    {"e5m2", 8, true, true},
};

ScalarType parseScalarType(std::string_view word) {
  for (std::size_t i = 1; i < std::size(kTypes); ++i)
    if (kTypes[i].name == word)
      return static_cast<ScalarType>(i);
  return ScalarType::None;
}

static const TypeFacts &facts(ScalarType type) { return kTypes[static_cast<std::size_t>(type)]; }
std::string_view spelling(ScalarType type) { return facts(type).name; }
unsigned bitWidth(ScalarType type) { return facts(type).bits; }
bool isFloat(ScalarType type) { return facts(type).isFloat; }
bool isSigned(ScalarType type) { return facts(type).isSigned; }

std::string_view spelling(Space space) {
  static constexpr std::string_view kNames[] = {"generic", "global", "shared", "local", "const", "param"};
  return kNames[static_cast<std::size_t>(space)];
}

// The order is that of SpecialRegister in Program.h.
static constexpr std::array<std::string_view, kSpecialRegisters> kSpecials = {
    "%tid.x", "%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ntid.z", "%ctaid.x", "%ctaid.y", "%ctaid.z",
    "%nctaid.x", "%nctaid.y", "%nctaid.z", "%laneid", "%warpid", "%nwarpid", "%smid", "%nsmid", "%gridid",
    "%lanemask_eq", "%lanemask_lt", "%lanemask_le", "%lanemask_gt", "%lanemask_ge", "%clock", "%clock64",
    "%clock_hi", "%globaltimer", "%globaltimer_lo", "%globaltimer_hi", "%dynamic_smem_size", "%total_smem_size",
    "%cluster_ctaid.x", "%cluster_ctaid.y", "%cluster_ctaid.z", "%cluster_nctaid.x", "%cluster_nctaid.y",
    "%cluster_nctaid.z", "%cluster_ctarank", "%cluster_nctarank", "%clusterid.x", "%clusterid.y", "%clusterid.z",
    "%nclusterid.x", "%nclusterid.y", "%nclusterid.z", "%is_explicit_cluster", "%aggr_smem_size",
};

std::string_view specialRegisterName(std::uint32_t index) { return kSpecials[index]; }

int specialRegisterIndex(std::string_view name) {
  for (std::size_t i = 0; i < kSpecials.size(); ++i)
    if (kSpecials[i] == name)
      return static_cast<int>(i);
  return -1;
}

std::string_view Module::lineText(std::uint32_t line) const {
  if (line == 0 || line > lineStart.size())
    return {};
  std::size_t begin = lineStart[line - 1];
  std::size_t end = text.find('\n', begin);
  std::string_view view = std::string_view(text).substr(begin, end == std::string::npos ? end : end - begin);
  while (!view.empty() && (view.front() == ' ' || view.front() == '\t'))
    view.remove_prefix(1);
  while (!view.empty() && (view.back() == '\r' || view.back() == ' ' || view.back() == '\t'))
    view.remove_suffix(1);
  return view;
}

} // namespace attn::emulator::ptx
