// Every scalar form of the instruction set against its oracle, and ptxas's word that the forms are PTX.
#include "tests/unit/emulator/Forms.h"

#include "tests/unit/emulator/Hardware.h"
#include "tests/unit/emulator/Ptxas.h"

#include <gtest/gtest.h>

#include <set>

namespace attn::emulator::testing {

static std::vector<const Form *> formsOf(const std::string &group) {
  std::vector<const Form *> forms;
  for (const Form &form : allForms())
    if (group.empty() || form.group == group)
      forms.push_back(&form);
  return forms;
}

static std::vector<std::string> groups() {
  std::set<std::string> names;
  for (const Form &form : allForms())
    names.insert(form.group);
  return {names.begin(), names.end()};
}

class FormsTest : public ::testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    if (!missingHardware().empty())
      GTEST_SKIP() << missingHardware();
  }
};

TEST_P(FormsTest, ComputeWhatTheIsaSays) { check(formsOf(GetParam())); }

INSTANTIATE_TEST_SUITE_P(Groups, FormsTest, ::testing::ValuesIn(groups()), [](const auto &info) { return info.param; });

TEST(Forms, ThatPtxLacksAreRefused) {
  EXPECT_FALSE(refusedForms().empty());
  for (const Form &form : refusedForms()) {
    auto module = PtxModule::parse(moduleOf({&form}), "form.ptx");
    ASSERT_FALSE(module) << form.opcode.text;
    EXPECT_NE(module.status().message().find("X01 unsupported instruction `" + form.opcode.text + "`"), std::string::npos)
        << module.status().message();
  }
}

/// The forms are real: the assembler of the CUDA toolkit takes each of them.
TEST(Forms, ArePtx) {
  if (!hasPtxas())
    GTEST_SKIP() << "no ptxas on this machine";
  EXPECT_EQ(assemble(moduleOf(formsOf(""))), "");
}

} // namespace attn::emulator::testing
