// Every scalar form of the instruction set against its oracle, and ptxas's word that the forms are PTX.
#include "tests/unit/emulator/Forms.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
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

class FormsTest : public ::testing::TestWithParam<std::string> {};

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
  std::string ptxas = "/usr/local/cuda/bin/ptxas";
  if (!std::filesystem::exists(ptxas))
    ptxas = "ptxas";
  if (std::system((ptxas + " --version > /dev/null 2>&1").c_str()) != 0)
    GTEST_SKIP() << "no ptxas on this machine";
  std::filesystem::path directory = std::filesystem::path(::testing::TempDir()) / "attn_forms";
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "forms.ptx") << moduleOf(formsOf(""));
  std::string command = fmt::format("{} -arch=sm_90 -O0 {}/forms.ptx -o /dev/null > {}/log 2>&1", ptxas, directory.string(),
                                    directory.string());
  int status = std::system(command.c_str());
  std::ifstream log(directory / "log");
  EXPECT_EQ(status, 0) << std::string(std::istreambuf_iterator<char>(log), {}).substr(0, 4000);
  if (status == 0)
    std::filesystem::remove_all(directory);
}

} // namespace attn::emulator::testing
