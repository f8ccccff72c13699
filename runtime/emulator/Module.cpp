// PtxModule: parse, check, decode.
#include "runtime/emulator/Module.h"

#include "runtime/emulator/Decode.h"
#include "runtime/emulator/PtxParser.h"

#include <fmt/format.h>

namespace attn::emulator {

static EntryInfo describe(const ptx::Module &module, const ptx::Function &function, const Program &program) {
  EntryInfo info;
  info.name = function.name;
  for (std::uint32_t index : function.parameters) {
    const ptx::Variable &variable = module.variables[index];
    EntryParameter parameter{variable.name, program.variableOffset[index], static_cast<std::uint32_t>(variable.bytes),
                             variable.alignment};
    info.parameterBytes = parameter.offset + parameter.size;
    info.parameters.push_back(std::move(parameter));
  }
  info.requiredBlock = {function.requiredBlock[0], function.requiredBlock[1], function.requiredBlock[2]};
  info.maxThreads = function.maxThreads;
  for (std::uint32_t i = 0; i < module.variables.size(); ++i)
    if (module.variables[i].space == ptx::Space::Shared && !module.variables[i].isExtern && program.variableOffset[i])
      info.staticSharedBytes = std::max(info.staticSharedBytes, program.variableOffset[i] +
                                                                    static_cast<std::uint32_t>(module.variables[i].bytes) -
                                                                    kReservedSharedBytes);
  return info;
}

Result<PtxModule> PtxModule::parse(std::string_view text, std::string_view name) {
  auto content = std::make_shared<Content>();
  ptx::ParseError parseError;
  content->tree = ptx::parseModule(text, name, parseError);
  if (!content->tree)
    return Status(StatusCode::CompileError, fmt::format("{}:{}: {}", name, parseError.line, parseError.message));
  for (const auto &function : content->tree->functions) {
    if (!function->isEntry || !function->hasBody)
      continue;
    auto program = std::make_unique<Program>();
    DecodeError error;
    if (!decodeEntry(*content->tree, *function, laneHandlers(), *program, error))
      return Status(StatusCode::CompileError, fmt::format("{}:{}: {}", name, error.line, error.message));
    content->entries.push_back(describe(*content->tree, *function, *program));
    if (content->entries.back().parameterBytes > 32764)
      return Status(StatusCode::CompileError,
                    fmt::format("{}:{}: an entry has at most 32764 bytes of parameters", name, function->line));
    content->programs.push_back(std::move(program));
  }
  return PtxModule(std::move(content));
}

const std::vector<EntryInfo> &PtxModule::entries() const { return shared->entries; }

const EntryInfo *PtxModule::entry(std::string_view name) const {
  for (const EntryInfo &info : shared->entries)
    if (info.name == name)
      return &info;
  return nullptr;
}

std::string_view PtxModule::target() const { return shared->tree->target; }
unsigned PtxModule::version() const { return shared->tree->version; }
std::string PtxModule::print() const { return ptx::print(*shared->tree); }

} // namespace attn::emulator
