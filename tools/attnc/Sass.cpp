// From the text of a disassembly to instructions.
#include "tools/attnc/Sass.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

namespace attn::tools {

static std::string_view trimmed(std::string_view text) {
  std::size_t begin = text.find_first_not_of(" \t\r{}"), end = text.find_last_not_of(" \t\r{}");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

static std::optional<std::uint32_t> hexNumber(std::string_view digits) {
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return error == std::errc() && end == digits.data() + digits.size() ? std::optional(value) : std::nullopt;
}

static std::string_view rootOf(std::string_view opcode) { return opcode.substr(0, opcode.find('.')); }

static std::optional<InstructionClass> classOfRoot(std::string_view root) {
  static const std::map<std::string_view, InstructionClass> kClasses = {
#define SASS_OPCODE(name, kind) {#name, InstructionClass::kind},
#include "tools/attnc/SassOpcodes.def"
#undef SASS_OPCODE
  };
  auto found = kClasses.find(root);
  if (found == kClasses.end() && root.starts_with("U"))
    found = kClasses.find(root.substr(1));
  return found == kClasses.end() ? std::nullopt : std::optional(found->second);
}

/// `IMAD.MOV.U32 R1, RZ, RZ, R2` and `IMAD.U32 R1, RZ, RZ, UR2` copy a register.
static bool isCopy(const SassInstruction &instruction) {
  return instruction.opcode.starts_with("IMAD.MOV") ||
         (instruction.opcode == "IMAD.U32" && instruction.operands.find(", RZ, RZ, ") != std::string::npos);
}

static void classify(SassInstruction &instruction) {
  std::optional<InstructionClass> kind = classOfRoot(rootOf(instruction.opcode));
  instruction.isKnown = kind.has_value();
  instruction.kind = isCopy(instruction) ? InstructionClass::Move : kind.value_or(InstructionClass::Other);
}

/// `        /*0120*/               @P0 BRA `(.L_x_1) ;`, and nothing for other lines.
static std::optional<SassInstruction> parseInstruction(std::string_view line) {
  line = trimmed(line);
  std::size_t close = line.find("*/");
  if (!line.starts_with("/*") || close == std::string_view::npos)
    return std::nullopt;
  std::optional<std::uint32_t> address = hexNumber(line.substr(2, close - 2));
  std::size_t semicolon = line.find(';', close);
  if (!address || semicolon == std::string_view::npos)
    return std::nullopt;
  std::string_view text = trimmed(line.substr(close + 2, semicolon - close - 2));
  SassInstruction instruction{.address = *address, .guard = {}, .opcode = {}, .operands = {}};
  if (text.starts_with("@")) {
    std::size_t space = std::min(text.find(' '), text.size());
    instruction.guard = text.substr(0, space);
    text = trimmed(text.substr(space));
  }
  std::size_t space = std::min(text.find(' '), text.size());
  instruction.opcode = text.substr(0, space);
  instruction.operands = trimmed(text.substr(space));
  classify(instruction);
  return instruction;
}

/// The name of the kernel that begins at this line: `.section .text.NAME,…` of nvdisasm, `Function : NAME` of cuobjdump.
static std::optional<std::string> kernelBegin(std::string_view line) {
  static constexpr std::string_view kSection = ".section\t.text.", kFunction = "Function : ";
  if (std::size_t at = line.find(kSection); at != std::string_view::npos) {
    std::string_view rest = line.substr(at + kSection.size());
    return std::string(rest.substr(0, rest.find(',')));
  }
  if (std::size_t at = line.find(kFunction); at != std::string_view::npos)
    return std::string(trimmed(line.substr(at + kFunction.size())));
  return std::nullopt;
}

namespace {
/// A kernel with the labels in front of its instructions.
struct Labelled {
  SassFunction function;
  std::map<std::string, std::size_t, std::less<>> labels;
};
} // namespace

static bool branches(const SassInstruction &instruction) {
  std::string_view root = rootOf(instruction.opcode);
  return root == "BRA" || root == "JMP" || root == "CALL";
}

/// Where a branch goes: a label in `(…)` or an address at the end. A call of a function comes back, so that it has no
/// target; a call of a label inside the kernel is a jump.
static std::ptrdiff_t targetOf(const Labelled &kernel, std::size_t index) {
  const SassInstruction &instruction = kernel.function.code[index];
  if (!branches(instruction))
    return -1;
  std::string_view operands = instruction.operands;
  const bool isCall = rootOf(instruction.opcode) == "CALL";
  if (std::size_t open = operands.find("`("); open != std::string_view::npos) {
    std::string_view label = operands.substr(open + 2, operands.find(')', open) - open - 2);
    auto found = kernel.labels.find(label);
    bool isInside = found != kernel.labels.end() && (!isCall || label.starts_with("."));
    return isInside ? static_cast<std::ptrdiff_t>(found->second) : -1;
  }
  std::size_t last = operands.find_last_of(" ,");
  std::string_view word = last == std::string_view::npos ? operands : operands.substr(last + 1);
  if (!word.starts_with("0x") || (isCall && instruction.guard.empty()))
    return -1;
  std::optional<std::uint32_t> address = hexNumber(word.substr(2));
  auto isThere = [&](const SassInstruction &each) { return address && each.address == *address; };
  auto found = std::find_if(kernel.function.code.begin(), kernel.function.code.end(), isThere);
  return found == kernel.function.code.end() ? -1 : found - kernel.function.code.begin();
}

Result<std::vector<SassFunction>> parseSass(std::string_view text) {
  std::vector<Labelled> kernels;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (std::optional<std::string> name = kernelBegin(line)) {
      kernels.push_back({.function = {.name = std::move(*name), .code = {}, .targets = {}}, .labels = {}});
      continue;
    }
    if (kernels.empty())
      continue;
    Labelled &kernel = kernels.back();
    std::string_view words = trimmed(line);
    if (words.ends_with(":") && words.find(' ') == std::string_view::npos)
      kernel.labels.emplace(words.substr(0, words.size() - 1), kernel.function.code.size());
    else if (std::optional<SassInstruction> instruction = parseInstruction(line))
      kernel.function.code.push_back(std::move(*instruction));
  }
  std::erase_if(kernels, [](const Labelled &kernel) { return kernel.function.code.empty(); });
  if (kernels.empty())
    return Status(StatusCode::InvalidArgument, "the disassembly holds no kernel");
  std::vector<SassFunction> functions;
  for (Labelled &kernel : kernels) {
    for (std::size_t i = 0; i < kernel.function.code.size(); ++i) {
      std::ptrdiff_t target = targetOf(kernel, i);
      kernel.function.targets.push_back(target < static_cast<std::ptrdiff_t>(kernel.function.code.size()) ? target : -1);
    }
    functions.push_back(std::move(kernel.function));
  }
  return functions;
}

/// Sizes of `64x128x16`, or of `16816`, where each is 4, 8, 16 or 32.
static std::vector<unsigned> shapeOf(std::string_view opcode) {
  std::string_view rest = opcode.substr(std::min(opcode.find('.'), opcode.size() - 1) + 1);
  std::string_view word = rest.substr(0, rest.find('.'));
  std::vector<unsigned> sizes;
  const bool isSeparated = word.find('x') != std::string_view::npos;
  while (!word.empty()) {
    unsigned size = 0;
    std::string_view digits = word.substr(0, isSeparated                                             ? word.find('x')
                                             : word.starts_with("16") || word.starts_with("32") ? 2
                                                                                                     : 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (error != std::errc() || end != digits.data() + digits.size())
      return {};
    sizes.push_back(size);
    word.remove_prefix(std::min(word.size(), digits.size() + isSeparated));
  }
  return sizes;
}

SassProduct productOf(const SassInstruction &instruction) {
  if (instruction.kind != InstructionClass::Tensor)
    return {};
  std::vector<unsigned> shape = shapeOf(instruction.opcode);
  if (shape.size() != 3)
    return {};
  const bool isTf32 = instruction.opcode.find("TF32") != std::string::npos, isOfBytes = shape[2] == 32;
  double macs = double(shape[0]) * shape[1] * shape[2] * (isTf32 ? 2 : isOfBytes ? 0.5 : 1); // as many of f16 take as long
  if (!instruction.opcode.starts_with("HGMMA") && !instruction.opcode.starts_with("QGMMA") && !instruction.opcode.starts_with("IGMMA"))
    return {.macs = macs, .sharedBytes = 0};
  const double elementBytes = shape[2] == 16 ? 2 : shape[2] == 32 ? 1 : 4;
  std::size_t comma = instruction.operands.find(", ");
  const bool sharedA = comma != std::string::npos && instruction.operands.compare(comma + 2, 5, "gdesc") == 0;
  double bytes = (shape[1] / 4.0 + (sharedA ? shape[0] / 4.0 : 0)) * shape[2] * elementBytes;
  return {.macs = macs / 4, .sharedBytes = bytes};
}

double sharedWavefrontsOf(const SassInstruction &instruction) {
  if (instruction.kind != InstructionClass::SharedMemory)
    return 0;
  const std::string &opcode = instruction.opcode;
  if (opcode.starts_with("LDSM") || opcode.starts_with("STSM"))
    return opcode.ends_with(".4") ? 4 : opcode.ends_with(".2") ? 2 : 1;
  return opcode.find(".128") != std::string::npos ? 4 : opcode.find(".64") != std::string::npos ? 2 : 1;
}

} // namespace attn::tools
