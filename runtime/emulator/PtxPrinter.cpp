// Prints a syntax tree as PTX. Blocks are flattened, so a name used in several blocks gets a number.
#include "runtime/emulator/PtxAst.h"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <set>
#include <unordered_set>
#include <vector>

namespace attn::emulator::ptx {

namespace {
/// The printed names of a function's registers, labels and local variables: unique within the function.
class Names {
public:
  Names(const Module &module, const Function &function) {
    for (std::uint32_t index : module.moduleVariables)
      taken.insert(module.variables[index].name);
    for (const auto &other : module.functions)
      taken.insert(other->name);
    for (const auto *list : {&function.results, &function.parameters, &function.locals})
      for (std::uint32_t index : *list)
        variables[index] = unique(module.variables[index].name);
    for (const Register &reg : function.registers)
      registers.push_back(unique(reg.name));
    for (const Label &label : function.labels)
      labels.push_back(unique(label.name));
  }

  std::map<std::uint32_t, std::string> variables;
  std::vector<std::string> registers, labels;

private:
  std::string unique(const std::string &name) {
    std::string candidate = name;
    for (unsigned number = 0; !taken.insert(candidate).second; ++number)
      candidate = fmt::format("{}_{}", name, number);
    return candidate;
  }
  std::unordered_set<std::string> taken;
};

class Printer {
public:
  explicit Printer(const Module &module) : module(module) {}

  void operand(const Function &function, const Names &names, const Operand &operand) {
    if (operand.negated)
      text += '!';
    switch (operand.kind) {
    case Operand::Kind::Register:
      text += names.registers[operand.index];
      break;
    case Operand::Kind::Special:
      text += specialRegisterName(operand.index);
      break;
    case Operand::Kind::Integer:
      append("{}", operand.value);
      break;
    case Operand::Kind::Float32:
      append("0f{:08X}", static_cast<std::uint32_t>(operand.value));
      break;
    case Operand::Kind::Float64:
      append("0d{:016X}", static_cast<std::uint64_t>(operand.value));
      break;
    case Operand::Kind::Symbol: {
      auto local = names.variables.find(operand.index);
      text += local != names.variables.end() ? local->second : module.variables[operand.index].name;
      if (operand.value != 0)
        append("+{}", operand.value);
      break;
    }
    case Operand::Kind::Function:
      text += module.functions[operand.index]->name;
      break;
    case Operand::Kind::Label:
      text += names.labels[operand.index];
      break;
    case Operand::Kind::Address:
    case Operand::Kind::Vector:
      list(function, names, operand, operand.kind == Operand::Kind::Address ? "[]" : "{}");
      return;
    case Operand::Kind::Sink:
      text += '_';
      break;
    }
    if (operand.isPair) {
      text += '|';
      this->operand(function, names, operand.parts.back());
    }
  }

  void list(const Function &function, const Names &names, const Operand &operand, const char *brackets) {
    text += brackets[0];
    for (std::size_t i = 0; i < operand.parts.size(); ++i) {
      text += i ? ", " : "";
      this->operand(function, names, operand.parts[i]);
      if (i == 0 && operand.value != 0)
        append("+{}", operand.value);
    }
    text += brackets[1];
  }

  void instruction(const Function &function, const Names &names, const Instruction &instruction) {
    if (instruction.guard >= 0)
      append("@{}{} ", instruction.guardNegated ? "!" : "", names.registers[instruction.guard]);
    text += instruction.opcode;
    bool isCall = instruction.root == "call";
    for (std::size_t i = 0; i < instruction.operands.size(); ++i) {
      text += i ? ", " : " ";
      const Operand &each = instruction.operands[i];
      if (isCall && each.kind == Operand::Kind::Vector)
        list(function, names, each, "()");
      else
        operand(function, names, each);
    }
    text += ";";
  }

  void variable(const Variable &variable, const std::string &name, bool declaredInModule) {
    if (!variable.linkage.empty())
      append("{} ", variable.linkage);
    append(".{} .align {} ", spelling(variable.space), variable.alignment);
    if (variable.vectorWidth > 1)
      append(".v{} ", variable.vectorWidth);
    append(".{} ", spelling(variable.type));
    if (!variable.pointee.empty())
      append("{} ", variable.pointee);
    text += name;
    if (variable.isArray) {
      std::uint64_t element = bitWidth(variable.type) / 8 * variable.vectorWidth;
      if (variable.isExtern && variable.bytes == 0)
        text += "[]";
      else
        append("[{}]", variable.bytes / element);
    }
    if (declaredInModule && !variable.initial.empty())
      initialiser(variable);
  }

  void initialiser(const Variable &variable) {
    unsigned bytes = bitWidth(variable.type) / 8;
    bool braces = variable.isArray || variable.vectorWidth > 1;
    text += braces ? " = {" : " = ";
    for (std::uint64_t offset = 0; offset + bytes <= variable.initial.size(); offset += bytes) {
      text += offset ? ", " : "";
      const Relocation *relocation = nullptr;
      for (const Relocation &each : variable.relocations)
        if (each.offset == offset)
          relocation = &each;
      std::uint64_t bits = 0;
      for (unsigned i = 0; i < bytes && i < 8; ++i)
        bits |= std::uint64_t(variable.initial[offset + i]) << (8 * i);
      if (relocation) {
        append("generic({})", module.variables[relocation->variable].name);
        if (relocation->addend)
          append("+{}", relocation->addend);
      } else if (variable.type == ScalarType::F32)
        append("0f{:08X}", bits);
      else if (variable.type == ScalarType::F64)
        append("0d{:016X}", bits);
      else
        append("{}", bits);
    }
    text += braces ? "}" : "";
  }

  void parameterList(const std::vector<std::uint32_t> &list, const Names &names) {
    text += "(";
    for (std::size_t i = 0; i < list.size(); ++i) {
      text += i ? ",\n\t" : "\n\t";
      variable(module.variables[list[i]], names.variables.at(list[i]), false);
    }
    text += "\n)";
  }

  void function(const Function &function, bool withBody) {
    Names names(module, function);
    if (!function.linkage.empty())
      append("{} ", function.linkage);
    text += function.isEntry ? ".entry " : ".func ";
    if (!function.results.empty()) {
      parameterList(function.results, names);
      text += " ";
    }
    text += function.name;
    parameterList(function.parameters, names);
    for (std::size_t i = 0; withBody == function.hasBody && i < function.directives.size(); ++i)
      append("\n{}", function.directives[i]);
    if (!withBody) {
      text += ";\n";
      return;
    }
    text += "\n{\n";
    body(function, names);
    text += "}\n";
  }

  void body(const Function &function, const Names &names) {
    for (std::size_t i = 0; i < function.registers.size(); ++i)
      append("\t.reg .{} {};\n", spelling(function.registers[i].type), names.registers[i]);
    for (std::uint32_t index : function.locals) {
      text += '\t';
      variable(module.variables[index], names.variables.at(index), false);
      text += ";\n";
    }
    std::multimap<std::uint32_t, std::size_t> labelsAt;
    for (std::size_t i = 0; i < function.labels.size(); ++i)
      if (function.labels[i].targets.empty())
        labelsAt.emplace(function.labels[i].position, i);
    printBranchTargets(function, names);
    SourceLocation last;
    for (std::uint32_t i = 0; i <= function.instructions.size(); ++i) {
      auto [begin, end] = labelsAt.equal_range(i);
      for (auto it = begin; it != end; ++it)
        append("{}:\n", names.labels[it->second]);
      if (i == function.instructions.size())
        break;
      const Instruction &each = function.instructions[i];
      if (each.location.file != last.file || each.location.line != last.line)
        append("\t.loc {} {} 0\n", each.location.file, each.location.line);
      last = each.location;
      text += '\t';
      instruction(function, names, each);
      text += '\n';
    }
  }

  void printBranchTargets(const Function &function, const Names &names) {
    for (std::size_t i = 0; i < function.labels.size(); ++i) {
      const Label &label = function.labels[i];
      if (label.targets.empty())
        continue;
      append("{}: .branchtargets ", names.labels[i]);
      for (std::size_t t = 0; t < label.targets.size(); ++t)
        append("{}{}", t ? ", " : "", names.labels[label.targets[t]]);
      text += ";\n";
    }
  }

  void run() {
    append(".version {}.{}\n.target {}\n.address_size 64\n", module.version / 10, module.version % 10, module.target);
    for (std::uint32_t index : module.moduleVariables) {
      variable(module.variables[index], module.variables[index].name, true);
      text += ";\n";
    }
    // Functions before entries; where one calls another that comes later, all are announced, so that their order stays.
    std::vector<const Function *> order;
    for (bool isEntry : {false, true})
      for (const auto &each : module.functions)
        if (each->isEntry == isEntry)
          order.push_back(each.get());
    bool announce = callsAhead(order);
    for (const Function *each : order)
      if (announce && !each->isEntry)
        function(*each, false);
    for (const Function *each : order)
      if (!announce || each->hasBody)
        function(*each, each->hasBody);
    for (std::size_t i = 0; i < module.files.size(); ++i)
      if (!module.files[i].empty())
        append(".file {} \"{}\"\n", i, module.files[i]);
  }

  std::string text;

private:
  bool callsAhead(const std::vector<const Function *> &order) const {
    std::set<const Function *> seen;
    for (const Function *caller : order) {
      seen.insert(caller);
      for (const Instruction &instruction : caller->instructions)
        for (const Operand &operand : instruction.operands)
          if (operand.kind == Operand::Kind::Function && !seen.count(module.functions[operand.index].get()))
            return true;
    }
    return false;
  }

  template <typename... Arguments> void append(fmt::format_string<Arguments...> format, Arguments &&...arguments) {
    fmt::format_to(std::back_inserter(text), format, std::forward<Arguments>(arguments)...);
  }
  const Module &module;
};
} // namespace

std::string print(const Module &module) {
  Printer printer(module);
  printer.run();
  return std::move(printer.text);
}

std::string print(const Module &module, const Function &function, const Instruction &instruction) {
  Printer printer(module);
  printer.instruction(function, Names(module, function), instruction);
  return std::move(printer.text);
}

} // namespace attn::emulator::ptx
