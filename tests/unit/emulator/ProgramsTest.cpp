// The programs of the instructions with state, and the check that no row of Instructions.def, and no choice a row offers,
// is without a test that executes it.
#include "runtime/emulator/InstructionTable.h"
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Hardware.h"
#include "tests/unit/emulator/Programs.h"
#include "tests/unit/emulator/Ptxas.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

namespace attn::emulator::testing {

class ProgramsTest : public ::testing::TestWithParam<ProgramCase> {
protected:
  void SetUp() override {
    if (!missingHardware().empty())
      GTEST_SKIP() << missingHardware();
  }
};

TEST_P(ProgramsTest, DoWhatTheIsaSays) { GetParam().run(); }

INSTANTIATE_TEST_SUITE_P(Cases, ProgramsTest, ::testing::ValuesIn(programCases()), [](const auto &info) { return std::string(info.param.name); });

/// Which choice of each group of `row` the modifiers took; empty when they do not fit. −1: none of an optional group.
static std::vector<int> choicesOf(const ptx::InstructionRow &row, const std::vector<std::string> &modifiers, std::size_t group = 0, std::size_t at = 0) {
  if (group == row.groups.size())
    return at == modifiers.size() ? std::vector<int>{0} : std::vector<int>{}; // a last entry tells a fit from none
  const ptx::ModifierGroup &current = row.groups[group];
  for (std::size_t i = 0; at < modifiers.size() && i < current.choices.size(); ++i)
    if (current.choices[i] == modifiers[at])
      if (std::vector<int> rest = choicesOf(row, modifiers, group + 1, at + 1); !rest.empty()) {
        rest.insert(rest.begin(), static_cast<int>(i));
        return rest;
      }
  if (current.required)
    return {};
  std::vector<int> rest = choicesOf(row, modifiers, group + 1, at);
  if (!rest.empty())
    rest.insert(rest.begin(), -1);
  return rest;
}

/// Not counted as executed: what ends a launch (in the tests of reports), and calls, whose place the callee's body takes
/// (in the program `calls`).
static bool isNotCounted(std::string_view row) { return row == "Trap" || row == "Breakpoint" || row == "Call"; }

TEST(Instructions, EveryRowAndChoiceIsExecuted) {
  std::set<std::pair<std::string, std::string>> opcodes;
  std::vector<const Form *> forms;
  for (const Form &form : allForms())
    forms.push_back(&form);
  for (auto &each : check(forms))
    opcodes.insert(std::move(each));
  for (const ProgramCase &each : programCases())
    each.run();
  opcodes.insert(executed().begin(), executed().end());
  std::map<std::string, std::vector<std::set<int>>> seen;
  for (const auto &[opcode, name] : opcodes)
    for (const ptx::InstructionRow &row : ptx::instructionRows())
      if (row.name == name) {
        auto &groups = seen[name];
        groups.resize(row.groups.size());
        std::vector<int> choices = choicesOf(row, Opcode(opcode).parts);
        ASSERT_FALSE(choices.empty()) << opcode << " does not fit row " << name;
        for (std::size_t i = 0; i < groups.size(); ++i)
          groups[i].insert(choices[i]);
      }
  for (const ptx::InstructionRow &row : ptx::instructionRows()) {
    if (isNotCounted(row.name))
      continue;
    auto found = seen.find(std::string(row.name));
    if (found == seen.end()) {
      ADD_FAILURE() << "row " << row.name << " of Instructions.def has no test";
      continue;
    }
    for (std::size_t group = 0; group < row.groups.size(); ++group)
      for (std::size_t i = 0; i < row.groups[group].choices.size(); ++i)
        EXPECT_TRUE(found->second[group].count(static_cast<int>(i)))
            << "row " << row.name << " of Instructions.def: no test executes `" << row.root << "` with `." << row.groups[group].choices[i] << "`";
  }
}

TEST(Programs, ArePtx) {
  if (!hasPtxas())
    GTEST_SKIP() << "no ptxas on this machine";
  for (const ProgramCase &each : programCases())
    each.run();
  const std::string head = ".version 8.6\n.target sm_90\n.address_size 64\n";
  std::string together = head;
  for (std::size_t i = 0; i < programsRun().size(); ++i) {
    const Program &program = programsRun()[i];
    if (program.declarations.empty() && program.target == "sm_90")
      together += entryOf(program, fmt::format("program{}", i));
    else
      EXPECT_EQ(assemble(textOf(program), program.target), "") << textOf(program);
  }
  EXPECT_EQ(assemble(together), "");
}

} // namespace attn::emulator::testing
